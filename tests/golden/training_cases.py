"""A small model, optimizers with schedulers, and steps on given gradients: one text for gpuflow and for Paddle."""
import numpy as np

BEFORE, AFTER = 4, 3   # steps before and after the checkpoint
SHAPES = ((5, 3), (3, 4), (4,), (4,), (4,), (4, 2), (2,))


def adamw(paddle, params):
    warm = paddle.optimizer.lr.LinearWarmup(paddle.optimizer.lr.StepDecay(0.1, step_size=2), 3, 0.0, 0.1)
    return warm, paddle.optimizer.AdamW(warm, beta1=0.8, parameters=params, weight_decay=0.1,
                                        apply_decay_param_fun=lambda name: ".w_" in name,
                                        grad_clip=paddle.nn.ClipGradByGlobalNorm(3.0))


def momentum(paddle, params):
    cosine = paddle.optimizer.lr.CosineAnnealingDecay(0.1, T_max=6, eta_min=0.01)
    return cosine, paddle.optimizer.Momentum(cosine, 0.9, parameters=params, use_nesterov=True, weight_decay=0.02)


def by_name(cls, **options):
    def case(paddle, params):
        if cls == "Rprop":   # takes no scheduler
            return None, paddle.optimizer.Rprop(0.05, parameters=params, **options)
        cosine = paddle.optimizer.lr.CosineAnnealingDecay(0.1, T_max=6, eta_min=0.01)
        return cosine, getattr(paddle.optimizer, cls)(cosine, parameters=params, **options)

    return case


CASES = {"adamw": adamw, "momentum": momentum, "nadam": by_name("NAdam"), "radam": by_name("RAdam", beta2=0.9),
         "asgd": by_name("ASGD", batch_num=3), "rprop": by_name("Rprop", learning_rate_range=(1e-3, 0.2)),
         "lamb": by_name("Lamb"), "adamax": by_name("Adamax"), "adadelta": by_name("Adadelta"),
         "adagrad": by_name("Adagrad"), "rmsprop": by_name("RMSProp", momentum=0.9, centered=True),
         "adam": by_name("Adam", amsgrad=True)}


def built(paddle, name):
    """(model, scheduler, optimizer). Names start anew, as in a fresh process."""
    with paddle.utils.unique_name.guard():
        model = paddle.nn.Sequential(paddle.nn.Embedding(5, 3), paddle.nn.Linear(3, 4), paddle.nn.LayerNorm(4),
                                     paddle.nn.Linear(4, 2))
    return model, *CASES[name](paddle, model.parameters())


def gradients():
    """One array [steps, *shape] per parameter."""
    rng = np.random.default_rng(7)
    return [rng.normal(size=(BEFORE + AFTER, *shape)).astype(np.float32) for shape in SHAPES]


def train(paddle, model, schedule, optimizer, grads, steps):
    for k in steps:
        for p, g in zip(model.parameters(), grads, strict=True):
            paddle.sum(p * paddle.to_tensor(g[k])).backward()   # linear, so that this is the gradient
        optimizer.step()
        optimizer.clear_grad()
        if schedule is not None:
            schedule.step()


def resumed(paddle, name, stem):
    """(model, scheduler, optimizer) of a rebuilt model that goes on from stem.pdparams and stem.pdopt."""
    model, schedule, optimizer = built(paddle, name)
    model.set_state_dict(paddle.load(f"{stem}.pdparams"))
    optimizer.set_state_dict(paddle.load(f"{stem}.pdopt"))
    return model, schedule, optimizer


def numbers(model, optimizer):
    """{name: array}: the weights and the rate."""
    weights = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    return {**weights, "rate": np.float64(optimizer.get_lr())}
