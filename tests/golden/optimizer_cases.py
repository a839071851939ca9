"""The optimizer runs that optimizers.npz holds, as data, and how one is replayed. Knows no framework.

Two float32 parameters, w [4, 3] and b [3], take STEPS steps with gradients that are fixed per step: the loss is
sum(w * w_grad[step]) + sum(b * b_grad[step]), so the gradient is the recorded array itself, bit for bit. optimizers.npz
holds "inputs/w", "inputs/b" (the first values), "inputs/w_grad", "inputs/b_grad" (one per step), and per case
"<case>/w", "<case>/b": the parameters after the steps KEPT, first axis the step.

How near to expect: worked out in float64 instead, SGD and Momentum differ by up to 2e-7, Adam and AdamW by up to 3e-6,
since Paddle keeps 0.999 ** step and 1 - 0.999 in float32.

A case is a dict; entries that do not apply are left out:

    optimizer     class name in paddle.optimizer
    args          its arguments; a class with arguments is written as a list: ["L2Decay", 0.05]
    clip          grad_clip, from paddle.nn: ["ClipGradByNorm", 1.0]
    scheduler     learning_rate, from paddle.optimizer.lr, stepped after every step: ["ExponentialDecay", 0.1, 0.8]
    attr          arguments of ParamAttr per parameter: {"w": {"learning_rate": 2.0}}
    groups        parameter groups; "params" lists the names, "clip" stands for grad_clip
    decay_only    names for which apply_decay_param_fun is true
    no_decay      names for which exclude_from_weight_decay_fn is true
    loss          "quadratic": 0.5 * sum(p * p * curvature) + the loss above with the first step's arrays, for LBFGS
"""

from itertools import count

import numpy as np

STEPS = 20
KEPT = (0, 1, 2, 5, 11, 19)   # steps after which the parameters are kept
SHAPES = {"w": [4, 3], "b": [3]}

# The rules that meet every strategy.
RULES = {
    "sgd": {"optimizer": "SGD", "args": {"learning_rate": 0.1}},
    "momentum": {"optimizer": "Momentum", "args": {"learning_rate": 0.1, "momentum": 0.9}},
    "momentum_nesterov": {
        "optimizer": "Momentum",
        "args": {"learning_rate": 0.1, "momentum": 0.9, "use_nesterov": True},
    },
    "momentum_l2": {
        "optimizer": "Momentum",
        "args": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": ["L2Decay", 0.2]},
    },
    "adam": {"optimizer": "Adam", "args": {"learning_rate": 0.1}},
    "adam_l1": {"optimizer": "Adam", "args": {"learning_rate": 0.1, "weight_decay": ["L1Decay", 0.2]}},
    "adam_l2": {"optimizer": "Adam", "args": {"learning_rate": 0.1, "weight_decay": ["L2Decay", 0.2]}},
    "adamw": {"optimizer": "AdamW", "args": {"learning_rate": 0.1}},
    "adamw_decay_only": {
        "optimizer": "AdamW",
        "args": {"learning_rate": 0.1, "weight_decay": 0.3},
        "decay_only": ["w"],
    },
}

# What a case adds to a rule. The bounds bite in some steps and not in others.
CLIP_VALUE, CLIP_NORM, CLIP_GLOBAL = ["ClipGradByValue", 0.5], ["ClipGradByNorm", 1.0], ["ClipGradByGlobalNorm", 1.0]
STRATEGIES = {
    "plain": {},
    "clip_value": {"clip": CLIP_VALUE},
    "clip_value_range": {"clip": ["ClipGradByValue", 0.4, -0.2]},
    "clip_norm": {"clip": CLIP_NORM},
    "clip_global": {"clip": CLIP_GLOBAL},
    "clip_value_w_exempt": {"clip": CLIP_VALUE, "attr": {"w": {"need_clip": False}}},
    "clip_norm_w_exempt": {"clip": CLIP_NORM, "attr": {"w": {"need_clip": False}}},
    "clip_global_b_exempt": {"clip": CLIP_GLOBAL, "attr": {"b": {"need_clip": False}}},
    "rate_of_w": {"attr": {"w": {"learning_rate": 2.0}}},
    "regularizer_of_w": {"attr": {"w": {"regularizer": ["L1Decay", 0.3]}}},
    "regularizer_of_w_clip_global": {"clip": CLIP_GLOBAL, "attr": {"w": {"regularizer": ["L2Decay", 0.3]}}},
    "groups": {"groups": [{"params": ["w"], "learning_rate": 0.5, "weight_decay": 0.4}, {"params": ["b"]}]},
    "scheduler": {"scheduler": ["ExponentialDecay", 0.1, 0.8]},
}
# Paddle 3.3.1 adds AdamW's own decay on top of a parameter's regularizer, against its FAQ: nothing to hold on to.
NOT_WITH_ADAMW = ("regularizer_of_w", "regularizer_of_w_clip_global")

OTHERS = {
    # Several groups and one shared norm: the norm is taken per group.
    "sgd/groups_clip_global": {
        **RULES["sgd"],
        "clip": CLIP_GLOBAL,
        "groups": [{"params": ["w"]}, {"params": ["b"], "learning_rate": 0.5}],
    },
    "sgd/groups_clip_of_group": {
        **RULES["sgd"],
        "clip": CLIP_GLOBAL,
        "groups": [{"params": ["w"], "clip": ["ClipGradByValue", 0.3]}, {"params": ["b"]}],
    },
    "adam/own_numbers": {
        "optimizer": "Adam",
        "args": {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
    },
    "adam/amsgrad": {"optimizer": "Adam", "args": {"learning_rate": 0.1, "beta2": 0.9, "amsgrad": True}},
    "adamw/amsgrad": {"optimizer": "AdamW", "args": {"learning_rate": 0.1, "beta2": 0.9, "amsgrad": True}},
    "adamw/no_decay": {"optimizer": "AdamW", "args": {"learning_rate": 0.1, "weight_decay": 0.0}},
    "adamw/rate_and_clip_and_scheduler": {
        "optimizer": "AdamW",
        "args": {"weight_decay": 0.3},
        "clip": CLIP_GLOBAL,
        "scheduler": ["ExponentialDecay", 0.1, 0.8],
        "attr": {"w": {"learning_rate": 2.0}},
    },
    "adagrad/plain": {"optimizer": "Adagrad", "args": {"learning_rate": 0.1}},
    "adagrad/started": {"optimizer": "Adagrad", "args": {"learning_rate": 0.1, "initial_accumulator_value": 0.5}},
    "adadelta/plain": {"optimizer": "Adadelta", "args": {"learning_rate": 1.0}},
    "adadelta/own_numbers": {"optimizer": "Adadelta", "args": {"learning_rate": 0.5, "epsilon": 1e-3, "rho": 0.8}},
    "adamax/plain": {"optimizer": "Adamax", "args": {"learning_rate": 0.1}},
    "adamax/own_numbers": {
        "optimizer": "Adamax",
        "args": {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3},
    },
    "rmsprop/plain": {"optimizer": "RMSProp", "args": {"learning_rate": 0.1}},
    "rmsprop/momentum": {"optimizer": "RMSProp", "args": {"learning_rate": 0.1, "momentum": 0.9, "rho": 0.8}},
    "rmsprop/centered": {"optimizer": "RMSProp", "args": {"learning_rate": 0.1, "centered": True}},
    "rmsprop/centered_momentum": {
        "optimizer": "RMSProp",
        "args": {"learning_rate": 0.1, "centered": True, "momentum": 0.9, "epsilon": 1e-3},
    },
    "nadam/plain": {"optimizer": "NAdam", "args": {"learning_rate": 0.1}},
    "nadam/own_numbers": {
        "optimizer": "NAdam",
        "args": {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.9, "momentum_decay": 0.1},
    },
    "radam/plain": {"optimizer": "RAdam", "args": {"learning_rate": 0.1}},
    "radam/own_numbers": {"optimizer": "RAdam", "args": {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.95}},
    "asgd/plain": {"optimizer": "ASGD", "args": {"learning_rate": 0.1}},
    "asgd/of_three": {"optimizer": "ASGD", "args": {"learning_rate": 0.1, "batch_num": 3}},
    "rprop/plain": {"optimizer": "Rprop", "args": {"learning_rate": 0.1}},
    "rprop/bounded": {
        "optimizer": "Rprop",
        "args": {"learning_rate": 0.1, "learning_rate_range": [0.04, 0.13], "etas": [0.3, 1.4]},
    },
    "lamb/plain": {"optimizer": "Lamb", "args": {"learning_rate": 0.1}},
    "lamb/excluded": {
        "optimizer": "Lamb",
        "args": {"learning_rate": 0.1, "lamb_weight_decay": 0.3},
        "no_decay": ["b"],
    },
    "lamb/always_adapt": {
        "optimizer": "Lamb",
        "args": {"learning_rate": 0.1, "lamb_weight_decay": 0.0, "always_adapt": True},
    },
    "lbfgs/plain": {
        "optimizer": "LBFGS",
        "args": {"learning_rate": 0.3, "max_iter": 2, "history_size": 3},
        "loss": "quadratic",
    },
    "lbfgs/wolfe": {
        "optimizer": "LBFGS",
        "args": {"learning_rate": 1.0, "max_iter": 1, "line_search_fn": "strong_wolfe"},
        "loss": "quadratic",
    },
}

# Every optimizer under every clip and decay, with a rate of w's own.
GRID = {"sgd": RULES["sgd"], "momentum_nesterov": RULES["momentum_nesterov"], "adam": RULES["adam"],
        **{name.partition("/")[0]: OTHERS[name] for name in (
            "adagrad/plain", "adadelta/plain", "adamax/plain", "rmsprop/centered_momentum", "nadam/own_numbers",
            "radam/own_numbers", "asgd/of_three")}}
CLIPS = {"value": CLIP_VALUE, "norm": CLIP_NORM, "global": CLIP_GLOBAL, "none": None}
DECAYS = {"l1": ["L1Decay", 0.2], "l2": ["L2Decay", 0.2], "float": 0.2, "none": None}


def _under(rule, clip, **args):
    return {**rule, **({"clip": clip} if clip else {}), "attr": {"w": {"learning_rate": 0.5}},
            "args": {**rule["args"], **args}}


ALL_PAIRS = {f"{rule}/{clip}_{decay}": _under(GRID[rule], CLIPS[clip], weight_decay=DECAYS[decay])
             for rule in GRID for clip in CLIPS for decay in DECAYS}
for _name, _clip in CLIPS.items():   # these take no such decay, or only numbers
    ALL_PAIRS[f"rprop/{_name}"] = {**OTHERS["rprop/bounded"], **({"clip": _clip} if _clip else {})}
    for _decay in (0.0, 0.3):
        ALL_PAIRS[f"lamb/{_name}_{_decay}"] = _under(OTHERS["lamb/plain"], _clip, lamb_weight_decay=_decay)
        ALL_PAIRS[f"adamw/{_name}_{_decay}"] = _under(RULES["adamw"], _clip, weight_decay=_decay)

CASES = {
    f"{rule}/{strategy}": {**RULES[rule], **STRATEGIES[strategy]}
    for rule in RULES
    for strategy in STRATEGIES
    if not (RULES[rule]["optimizer"] == "AdamW" and strategy in NOT_WITH_ADAMW)
} | OTHERS | ALL_PAIRS

_runs = count()


def replay(paddle, case, inputs):
    """Runs a case with a framework that has Paddle's public API.

    paddle: the module. inputs: mapping with the arrays "w", "b", "w_grad", "b_grad".
    Returns the parameters after the steps KEPT: {"w": [kept, 4, 3], "b": [kept, 3]}.
    """
    run = next(_runs)  # a name used twice would mean one shared parameter
    params = {name: _parameter(paddle, f"run{run}.{name}", inputs[name], case) for name in SHAPES}
    schedule = _made(paddle.optimizer.lr, case.get("scheduler"))
    optimizer = _optimizer(paddle, case, params, schedule)
    values = {name: [] for name in SHAPES}
    for step in range(STEPS):
        _step(paddle, case, params, optimizer, inputs, step)
        if schedule is not None:
            schedule.step()
        for name, param in params.items() if step in KEPT else ():
            values[name].append(np.array(param.numpy()))
    return {name: np.stack(steps) for name, steps in values.items()}


def _parameter(paddle, full_name, value, case):
    settings = dict(case.get("attr", {}).get(_short(full_name), {}))
    if "regularizer" in settings:
        settings["regularizer"] = _made(paddle.regularizer, settings["regularizer"])
    attr = paddle.ParamAttr(name=full_name, initializer=paddle.nn.initializer.Assign(value), **settings)
    return paddle.create_parameter(shape=list(value.shape), dtype="float32", attr=attr)


def _optimizer(paddle, case, params, schedule):
    args = dict(case["args"])
    if isinstance(args.get("weight_decay"), list):
        args["weight_decay"] = _made(paddle.regularizer, args["weight_decay"])
    if schedule is not None:
        args["learning_rate"] = schedule
    if "clip" in case:
        args["grad_clip"] = _made(paddle.nn, case["clip"])
    if "decay_only" in case:
        args["apply_decay_param_fun"] = lambda name: _short(name) in case["decay_only"]
    if "no_decay" in case:
        args["exclude_from_weight_decay_fn"] = lambda param: _short(param.name) in case["no_decay"]
    parameters = [_group(paddle, group, params) for group in case.get("groups", [])] or list(params.values())
    return getattr(paddle.optimizer, case["optimizer"])(parameters=parameters, **args)


def _group(paddle, group, params):
    group = dict(group, params=[params[name] for name in group["params"]])
    if "clip" in group:
        group["grad_clip"] = _made(paddle.nn, group.pop("clip"))
    return group


def _step(paddle, case, params, optimizer, inputs, step):
    if case.get("loss") == "quadratic":

        def closure():
            optimizer.clear_grad()
            loss = _linear_loss(paddle, params, inputs, 0)
            for param, curvature in zip(params.values(), (1.5, 0.5), strict=True):
                loss = loss + 0.5 * curvature * paddle.sum(param * param)
            loss.backward()
            return loss

        optimizer.step(closure)
    else:
        _linear_loss(paddle, params, inputs, step).backward()
        optimizer.step()
        optimizer.clear_grad()


def _linear_loss(paddle, params, inputs, step):
    terms = [paddle.sum(param * paddle.to_tensor(inputs[f"{name}_grad"][step])) for name, param in params.items()]
    return terms[0] + terms[1]


def _made(module, spec):
    return None if spec is None else getattr(module, spec[0])(*spec[1:])


def _short(full_name):
    return full_name.rsplit(".", 1)[-1]
