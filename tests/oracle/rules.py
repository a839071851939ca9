"""Every optimizer under every clip, decay and strategy, as data, and how such a case is trained. Knows no framework.

The loss of a step is mean((tanh(x w + b + table[ids]) - y)^2) with float32 parameters w [2, 2], b [2], table [3, 2];
the goals y of some steps are far, so that bounds of clips bite in some steps and not in others.

A case is a dict; entries that do not apply are left out:

    optimizer     class name in paddle.optimizer
    args          its arguments; a class with arguments is written as a list: ["L2Decay", 0.05]
    clip          grad_clip, from paddle.nn: ["ClipGradByNorm", 1.0]
    scheduler     learning_rate, from paddle.optimizer.lr, stepped after every step, ReduceOnPlateau by the loss
    attr          arguments of ParamAttr per parameter: {"w": {"learning_rate": 2.0}}
    groups        parameter groups; "params" lists the names, "clip" stands for grad_clip
    decay_only    names for which apply_decay_param_fun is true
    no_decay      names for which exclude_from_weight_decay_fn is true
    thawed        names whose stop_gradient becomes False before step THAW
    idle          names that every second step's loss leaves out
    accumulate    how many backwards make a step: of this step's batch, the next one's, ...
    sparse        whether the gradient of table holds rows
    penalty       times the sum of all squares is part of the loss
    differs       why Paddle's numbers are not the right ones: such a case is held to reference.py alone
"""
from functools import cache
from itertools import count, product

import numpy as np

from tests.oracle.spec import made

STEPS, THAW = 20, 8
SHAPES = {"w": (2, 2), "b": (2,), "table": (3, 2)}
LR = 0.1

RULES = {
    "sgd": ("SGD", {"learning_rate": LR}),
    "momentum": ("Momentum", {"learning_rate": LR, "momentum": 0.8}),
    "nesterov": ("Momentum", {"learning_rate": LR, "momentum": 0.8, "use_nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.04}),
    "amsgrad": ("Adam", {"learning_rate": 0.05, "beta2": 0.9, "amsgrad": True}),
    "adamw": ("AdamW", {"learning_rate": 0.04, "weight_decay": 0.0}),
    "adamax": ("Adamax", {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.95}),
    "nadam": ("NAdam", {"learning_rate": 0.05, "momentum_decay": 0.1}),
    "radam": ("RAdam", {"learning_rate": 0.05, "beta2": 0.95}),
    "adagrad": ("Adagrad", {"learning_rate": LR, "initial_accumulator_value": 0.01}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0, "epsilon": 1e-3, "rho": 0.8}),
    "rmsprop": ("RMSProp", {"learning_rate": 0.05, "rho": 0.8, "epsilon": 1e-3}),
    "centered": ("RMSProp", {"learning_rate": 0.03, "centered": True, "momentum": 0.5, "epsilon": 1e-2}),
    "asgd": ("ASGD", {"learning_rate": LR, "batch_num": 3}),
    "rprop": ("Rprop", {"learning_rate": 0.02, "learning_rate_range": [0.005, 0.05], "etas": [0.4, 1.3]}),
    "lamb": ("Lamb", {"learning_rate": 0.05, "lamb_weight_decay": 0.0, "always_adapt": True}),
}
DECOUPLED = {"adamw": "weight_decay", "lamb": "lamb_weight_decay"}   # take a number that does not meet the gradient
BY_VALUE, BY_NORM = {"clip": ["ClipGradByValue", 0.1]}, {"clip": ["ClipGradByNorm", 0.2]}
BY_GLOBAL_NORM, RANGE = {"clip": ["ClipGradByGlobalNorm", 0.3]}, {"clip": ["ClipGradByValue", 0.15, -0.08]}
CLIPS = {"unclipped": {}, "by value": BY_VALUE, "by norm": BY_NORM, "by global norm": BY_GLOBAL_NORM}
DECAYS = {"undecayed": None, "L1": ["L1Decay", 0.1], "L2": ["L2Decay", 0.1], "float": 0.1}
OWN_RATE, OWN_PENALTY = {"w": {"learning_rate": 0.5}}, {"table": {"regularizer": ["L1Decay", 0.05]}}
OWN_PENALTY_OF_SIGNS = {"table": {"regularizer": ["L2Decay", 0.3]}}   # enough to turn some
ADDS = "adds its own decay to that of a ParamAttr's regularizer"
AHEAD, CRASHES = "corrects the bias as if sparse gradients came a step later", "crashes at sparse gradients"
NO_ROWS = {"adam": AHEAD, "amsgrad": AHEAD, "adamw": CRASHES, "adamax": CRASHES, "nadam": CRASHES, "radam": CRASHES,
           "adadelta": CRASHES, "asgd": CRASHES}

EXEMPT = {"w": {"need_clip": False}}
STRATEGIES = {
    "frozen": {**BY_GLOBAL_NORM, "attr": {"w": {"trainable": False}, "b": {"learning_rate": 0.0}}},
    "thawed": {**BY_GLOBAL_NORM, "attr": {"w": {"trainable": False}}, "thawed": ["w"]},
    "idle": {**BY_GLOBAL_NORM, "idle": ["b"]},
    "accumulated": {**BY_NORM, "accumulate": 2},
    "sparse": {**BY_GLOBAL_NORM, "sparse": True, "attr": {"b": {"need_clip": False}}},
    "scheduled": {"scheduler": ["LinearWarmup", ["CosineAnnealingDecay", LR, 12], 4, 0.01, LR]},
    "groups": {**BY_GLOBAL_NORM, "groups": [
        {"params": ["w"], "learning_rate": 0.5}, {"params": ["table"], "clip": ["ClipGradByValue", 0.06]},
        {"params": ["b"]}]},
}
BOTH_RATES = {"differs": "a group's rate replaces its parameters' own", "attr": {"w": {"learning_rate": 0.5}},
              "groups": [{"params": ["w"], "learning_rate": 3.0}, {"params": ["b", "table"]}]}
BOTH_PENALTIES = {"differs": "a group's weight_decay replaces its parameters' own regularizers",
                  "attr": {"w": {"regularizer": ["L1Decay", 0.1]}},
                  "groups": [{"params": ["w", "b"], "weight_decay": 0.3}, {"params": ["table"]}]}
SCHEDULERS = {
    "noam": ["NoamDecay", 16, 5], "piecewise": ["PiecewiseDecay", [3, 11], [LR, 0.2, 0.03]],
    "natural exponential": ["NaturalExpDecay", LR, 0.1], "inverse time": ["InverseTimeDecay", LR, 0.2],
    "polynomial": ["PolynomialDecay", LR, 7, 0.01, 2.0, True], "exponential": ["ExponentialDecay", LR, 0.9],
    "multi-step": ["MultiStepDecay", LR, [4, 9], 0.5], "step": ["StepDecay", LR, 6, 0.3],
    "lambda": ["LambdaDecay", LR, lambda epoch: 0.95**epoch],
    "multiplicative": ["MultiplicativeDecay", LR, lambda epoch: 1 - 1 / (epoch + 3)],
    "cosine": ["CosineAnnealingDecay", LR, 8, 0.01], "warm restarts": ["CosineAnnealingWarmRestarts", LR, 3, 2, 0.01],
    "one cycle": ["OneCycleLR", 0.2, 25], "cyclic": ["CyclicLR", 0.02, 0.2, 3, 5, "triangular2"],
    "linear": ["LinearLR", LR, 12], "plateau": ["ReduceOnPlateau", LR, "min", 0.5, 1],
}


def case(rule, **strategy):
    """The rule under a strategy; "args" are added to its own."""
    optimizer, args = RULES[rule]
    said = [*strategy.get("attr", {}).values(), *strategy.get("groups", ())]
    if rule == "rprop" and any("learning_rate" in settings for settings in said):
        strategy["differs"] = "ignores rates of parameters and groups"
    if strategy.get("sparse") and rule in NO_ROWS:
        strategy["differs"] = NO_ROWS[rule]
    return {"optimizer": optimizer, **strategy, "args": {**args, **strategy.get("args", {})}}


def decayed(rule, decay):
    """What makes the decay apply to all parameters: an argument, or where the rule takes none, their ParamAttr."""
    if rule in DECOUPLED and isinstance(decay, float):
        return {"args": {DECOUPLED[rule]: decay}}
    if rule in DECOUPLED or rule == "rprop":
        return {"attr": {name: {"regularizer": decay} for name in SHAPES if decay}}
    return {"args": {"weight_decay": decay}}


def crossed(rule, strategy, decay, own):
    """Strategy, decay and own arguments of ParamAttr together. Rprop sees only signs, so a clip only beside decay."""
    attr = dict(decayed(rule, decay).get("attr", {}))
    for name, said in own.items():
        attr[name] = attr.get(name, {}) | said
    differs = {"differs": ADDS} if rule in DECOUPLED and isinstance(decay, float) else {}
    if rule == "lamb" and attr and "groups" in strategy:
        differs = {"differs": "forgets a ParamAttr's regularizer in groups"}
    return case(rule, **decayed(rule, decay) | strategy | differs | {"attr": attr})


def table():
    cases = {}
    for rule, clip, decay in product(RULES, CLIPS, DECAYS):
        if (rule, decay) != ("rprop", "float"):   # has no argument for it
            own = OWN_PENALTY_OF_SIGNS if rule == "rprop" else OWN_RATE | OWN_PENALTY
            cases[f"{rule}/{clip}, {decay}"] = crossed(rule, CLIPS[clip], DECAYS[decay], own)
    for rule, clip in product(RULES, CLIPS):
        if clip != "unclipped":
            cases[f"{rule}/{clip}, w exempt"] = crossed(rule, CLIPS[clip], DECAYS["L1"], EXEMPT)
    for rule in DECOUPLED:   # what Paddle does right
        cases |= {f"{rule}/{clip}, own decay": case(rule, attr=OWN_RATE, **CLIPS[clip], **decayed(rule, 0.3))
                  for clip in CLIPS}
    for rule in RULES:
        cases[f"{rule}/range"] = crossed(rule, RANGE, DECAYS["L1"], {})
        for name, strategy in STRATEGIES.items():
            if (rule, name) != ("rprop", "scheduled"):   # takes no scheduler
                decay = DECAYS["undecayed" if "sparse" in strategy else "L1"]
                cases[f"{rule}/{name}"] = crossed(rule, strategy, decay, strategy.get("attr", {}))
        cases[f"{rule}/rate of group and parameter"] = case(rule, **BOTH_RATES)
        if rule not in ("rprop", "lamb"):
            cases[f"{rule}/penalty of group and parameter"] = case(rule, **BOTH_PENALTIES)
    cases |= {f"momentum/{name}": case("momentum", scheduler=spec) for name, spec in SCHEDULERS.items()}
    return cases | OTHERS


LBFGS = {"optimizer": "LBFGS", "penalty": 1.0, "args": {"learning_rate": 0.1, "max_iter": 3, "history_size": 3}}
W_FROZEN = {"w": {"trainable": False}}
OTHERS = {
    "adam/lazy": case("adam", sparse=True, args={"lazy_mode": True}),
    "adamw/lazy": case("adamw", sparse=True, args={"lazy_mode": True, "weight_decay": 0.2}),
    "adam/own numbers": case("adam", args={"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3}),
    "adam/numbers of a group": case("adam", groups=[{"params": ["w", "b"], "beta1": 0.7}, {"params": ["table"]}]),
    "adamw/default decay": {"optimizer": "AdamW", "args": {"learning_rate": 0.05}},
    "adamw/decay of some": case("adamw", args={"weight_decay": 0.3}, decay_only=["w"]),
    "adamw/decay of a group": case("adamw", groups=[{"params": ["w"], "weight_decay": 0.4},
                                                    {"params": ["b", "table"]}]),
    "adamw/amsgrad": case("adamw", args={"beta2": 0.9, "amsgrad": True, "weight_decay": 0.1}),
    "lamb/decay of some": case("lamb", args={"lamb_weight_decay": 0.3}, no_decay=["b"]),
    "lamb/not always adapted": case("lamb", args={"lamb_weight_decay": 0.1, "always_adapt": False}, no_decay=["b"]),
    "sgd/decay of a group": case("sgd", args={"weight_decay": 0.1}, groups=[
        {"params": ["w"], "weight_decay": 0.4}, {"params": ["b", "table"]}]),
    "asgd/of one": case("asgd", args={"batch_num": 1}),
    "rmsprop/momentum": case("rmsprop", args={"momentum": 0.5}),
    "rprop/own rate": case("rprop", attr=OWN_RATE),
    "lbfgs/plain": LBFGS,
    "lbfgs/searched": {**LBFGS, "args": {"max_iter": 1, "line_search_fn": "strong_wolfe"}},
    "lbfgs/frozen": {**LBFGS, "attr": W_FROZEN},
    "lbfgs/thawed": {**LBFGS, "attr": W_FROZEN, "thawed": ["w"]},
}
CASES = table()


def start():
    """First values of the parameters."""
    rng = np.random.default_rng(7)
    return {name: (rng.uniform(0.3, 1.0, shape) * rng.choice([-1, 1], shape)).astype(np.float32)
            for name, shape in SHAPES.items()}


@cache
def batch(step):
    """(x [4, 2], ids [4], y [4, 2]) of a step; two of three rows are looked up."""
    rng = np.random.default_rng([3, step % STEPS])
    far = (0.6, 2.0, 0.3, 3.0, 1.0)[step % 5]
    x, ids = rng.normal(size=(4, 2)), rng.choice(rng.choice(3, 2, replace=False), 4)
    return x.astype(np.float32), ids, (far * rng.uniform(-1, 1, (4, 2))).astype(np.float32)


_runs = count()


def train(paddle, case):
    """[STEPS, 1 + 12] float32: each step's loss, and w, b and table after it. paddle: a module with Paddle's API."""
    run = f"run{next(_runs)}."   # a name used twice would mean one shared parameter
    params = {name: _parameter(paddle, run + name, value, case) for name, value in start().items()}
    schedule = made(paddle.optimizer.lr, case.get("scheduler"))
    optimizer = _optimizer(paddle, case, params, schedule)
    rows = np.zeros((STEPS, 13), np.float32)
    for step in range(STEPS):
        if step == THAW:
            for name in case.get("thawed", ()):
                params[name].stop_gradient = False
        loss = _step(paddle, case, params, optimizer, step)
        if schedule is not None:
            schedule.step(*[loss] if case["scheduler"][0] == "ReduceOnPlateau" else [])
        rows[step] = np.concatenate([[loss], *[p.numpy().ravel() for p in params.values()]])
    return rows


def _step(paddle, case, params, optimizer, step):
    """Takes it; its loss."""
    if case["optimizer"] == "LBFGS":
        def closure():
            optimizer.clear_grad()
            loss = _loss(paddle, case, params, step=0)
            loss.backward()
            return loss

        return float(optimizer.step(closure))
    total = 0.0
    for k in range(case.get("accumulate", 1)):
        loss = _loss(paddle, case, params, step + k)
        loss.backward()
        total += float(loss)
    optimizer.step()
    optimizer.clear_grad(set_to_zero=False)
    return total


def _loss(paddle, case, params, step):
    x, ids, y = batch(step)
    w, b, rows = params.values()
    z = paddle.matmul(paddle.to_tensor(x), w)
    z = z + paddle.nn.functional.embedding(paddle.to_tensor(ids), rows, sparse=case.get("sparse", False))
    if "b" not in case.get("idle", ()) or step % 2 == 0:
        z = z + b
    loss = paddle.mean(paddle.square(paddle.tanh(z) - paddle.to_tensor(y)))
    if "penalty" in case:
        loss = loss + case["penalty"] * sum(paddle.sum(paddle.square(p)) for p in params.values())
    return loss


def _parameter(paddle, full_name, value, case):
    said = case.get("attr", {}).get(_short(full_name), {})
    settings = {key: made(paddle.regularizer, value) for key, value in said.items()}
    attr = paddle.ParamAttr(name=full_name, initializer=paddle.nn.initializer.Assign(value), **settings)
    return paddle.create_parameter(shape=list(value.shape), dtype="float32", attr=attr)


def _optimizer(paddle, case, params, schedule):
    args = {key: made(paddle.regularizer, said) for key, said in case["args"].items()}
    if schedule is not None:
        args["learning_rate"] = schedule
    if "clip" in case:
        args["grad_clip"] = made(paddle.nn, case["clip"])
    if "decay_only" in case:
        args["apply_decay_param_fun"] = lambda name: _short(name) in case["decay_only"]
    if "no_decay" in case:
        args["exclude_from_weight_decay_fn"] = lambda param: _short(param.name) in case["no_decay"]
    parameters = [_group(paddle, group, params) for group in case.get("groups", ())] or list(params.values())
    return getattr(paddle.optimizer, case["optimizer"])(parameters=parameters, **args)


def _group(paddle, group, params):
    group = dict(group, params=[params[name] for name in group["params"]])
    if "clip" in group:
        group["grad_clip"] = made(paddle.nn, group.pop("clip"))
    return group


def _short(full_name):
    return full_name.rpartition(".")[2]
