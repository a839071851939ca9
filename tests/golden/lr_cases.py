"""The schedules whose rates lr.json holds: name -> (class, arguments, walk). Knows no framework; both sides read it.

A walk is what is handed to step(), one call per entry: NEXT for step(), a number for step(epoch), and for
ReduceOnPlateau the metric. Where an argument is itself a schedule it is written as a pair (class, arguments).
"""

NEXT = "next"
WALK = [NEXT] * 30
LEAPS = [NEXT, NEXT, 7, NEXT, NEXT, 3, NEXT, 20, NEXT, NEXT, 0, NEXT, 11, NEXT]
LOSSES = [3.0, 2.5, 2.4, 2.4, 2.39999, 2.5, 2.1, 2.2, 2.2, 2.2, 2.2, 2.0999, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.5, 1.6]
SCORES = [0.1, 0.3, 0.3, 0.30001, 0.2, 0.35, 0.36, 0.36, 0.36, 0.36, 0.37, 0.3, 0.3, 0.3, 0.3, 0.5, 0.5, 0.5, 0.5]

EVERYWHERE = {
    "noam": ("NoamDecay", {"d_model": 64, "warmup_steps": 10}),
    "noam_scaled": ("NoamDecay", {"d_model": 512, "warmup_steps": 4, "learning_rate": 2.5}),
    "piecewise": ("PiecewiseDecay", {"boundaries": [3, 6, 14], "values": [0.1, 0.2, 0.05, 0.01]}),
    "piecewise_one": ("PiecewiseDecay", {"boundaries": [5], "values": [1.0, 0.0]}),
    "natural_exp": ("NaturalExpDecay", {"learning_rate": 0.5, "gamma": 0.1}),
    "natural_exp_fast": ("NaturalExpDecay", {"learning_rate": 3, "gamma": 1.7}),
    "inverse_time": ("InverseTimeDecay", {"learning_rate": 0.5, "gamma": 0.1}),
    "inverse_time_flat": ("InverseTimeDecay", {"learning_rate": 0.5, "gamma": 0}),
    "polynomial": ("PolynomialDecay", {"learning_rate": 0.5, "decay_steps": 20}),
    "polynomial_square": ("PolynomialDecay", {"learning_rate": 0.5, "decay_steps": 9, "end_lr": 0.03, "power": 2.0}),
    "polynomial_cycle": ("PolynomialDecay", {"learning_rate": 0.5, "decay_steps": 7, "power": 0.9, "cycle": True}),
    "polynomial_up": ("PolynomialDecay", {"learning_rate": 0.1, "decay_steps": 12, "end_lr": 0.4}),
    "exponential": ("ExponentialDecay", {"learning_rate": 0.5, "gamma": 0.9}),
    "exponential_zero": ("ExponentialDecay", {"learning_rate": 0, "gamma": 0.5}),
    "exponential_late": ("ExponentialDecay", {"learning_rate": 0.5, "gamma": 0.9, "last_epoch": 4}),
    "multi_step": ("MultiStepDecay", {"learning_rate": 0.5, "milestones": [2, 5, 12]}),
    "multi_step_tuple": ("MultiStepDecay", {"learning_rate": 0.5, "milestones": (4, 20), "gamma": 0.8}),
    "multi_step_none": ("MultiStepDecay", {"learning_rate": 0.5, "milestones": []}),
    "step": ("StepDecay", {"learning_rate": 0.5, "step_size": 5}),
    "step_often": ("StepDecay", {"learning_rate": 0.5, "step_size": 1, "gamma": 0.7}),
    "lambda": ("LambdaDecay", {"learning_rate": 0.5, "lr_lambda": lambda epoch: 0.95**epoch}),
    "lambda_root": ("LambdaDecay", {"learning_rate": 0.5, "lr_lambda": lambda epoch: 1 / (1 + epoch) ** 0.5}),
    "multiplicative": ("MultiplicativeDecay", {"learning_rate": 0.5, "lr_lambda": lambda epoch: 0.95}),
    "multiplicative_uneven": (
        "MultiplicativeDecay",
        {"learning_rate": 0.5, "lr_lambda": lambda epoch: 1 - 1 / (epoch + 1)},
    ),
    "cosine": ("CosineAnnealingDecay", {"learning_rate": 0.5, "T_max": 10}),
    "cosine_floor": ("CosineAnnealingDecay", {"learning_rate": 0.5, "T_max": 7, "eta_min": 0.05}),
    "cosine_one": ("CosineAnnealingDecay", {"learning_rate": 0.5, "T_max": 1, "eta_min": 0.05}),
    "cosine_long": ("CosineAnnealingDecay", {"learning_rate": 0.5, "T_max": 300}),
    "cosine_late": ("CosineAnnealingDecay", {"learning_rate": 0.5, "T_max": 10, "last_epoch": 3}),
    "restarts": ("CosineAnnealingWarmRestarts", {"learning_rate": 0.5, "T_0": 4}),
    "restarts_growing": (
        "CosineAnnealingWarmRestarts",
        {"learning_rate": 0.5, "T_0": 2, "T_mult": 3, "eta_min": 0.01},
    ),
    "restarts_doubling": ("CosineAnnealingWarmRestarts", {"learning_rate": 0.5, "T_0": 1, "T_mult": 2}),
    "restarts_late": ("CosineAnnealingWarmRestarts", {"learning_rate": 0.5, "T_0": 4, "last_epoch": 2}),
    "one_cycle": ("OneCycleLR", {"max_learning_rate": 1.0, "total_steps": 30}),
    "one_cycle_three": ("OneCycleLR", {"max_learning_rate": 1.0, "total_steps": 33, "three_phase": True}),
    "one_cycle_linear": (
        "OneCycleLR",
        {
            "max_learning_rate": 0.7,
            "total_steps": 40,
            "divide_factor": 10,
            "end_learning_rate": 0.002,
            "phase_pct": 0.45,
            "anneal_strategy": "linear",
        },
    ),
    "one_cycle_linear_three": (
        "OneCycleLR",
        {"max_learning_rate": 0.7, "total_steps": 31, "anneal_strategy": "linear", "three_phase": True},
    ),
    "one_cycle_no_rise": ("OneCycleLR", {"max_learning_rate": 1.0, "total_steps": 31, "phase_pct": 0.01}),
    "cyclic": ("CyclicLR", {"base_learning_rate": 0.1, "max_learning_rate": 1.0, "step_size_up": 5}),
    "cyclic_skewed": (
        "CyclicLR",
        {
            "base_learning_rate": 0.1,
            "max_learning_rate": 1.0,
            "step_size_up": 3,
            "step_size_down": 6,
            "mode": "triangular2",
        },
    ),
    "cyclic_exp": (
        "CyclicLR",
        {
            "base_learning_rate": 0.1,
            "max_learning_rate": 1.0,
            "step_size_up": 4,
            "mode": "exp_range",
            "exp_gamma": 0.97,
        },
    ),
    "cyclic_own_by_cycle": (
        "CyclicLR",
        {
            "base_learning_rate": 0.1,
            "max_learning_rate": 1.0,
            "step_size_up": 4,
            "scale_fn": lambda cycle: 1 / (5 * cycle**0.5),
        },
    ),
    "cyclic_own_by_iteration": (
        "CyclicLR",
        {
            "base_learning_rate": 0.1,
            "max_learning_rate": 1.0,
            "step_size_up": 4,
            "mode": "whatever",
            "scale_fn": lambda epoch: 0.9**epoch,
            "scale_mode": "iterations",
        },
    ),
    "linear": ("LinearLR", {"learning_rate": 0.5, "total_steps": 12}),
    "linear_down": ("LinearLR", {"learning_rate": 0.5, "total_steps": 9, "start_factor": 1.0, "end_factor": 0.1}),
    "linear_to_zero": ("LinearLR", {"learning_rate": 0.5, "total_steps": 7, "start_factor": 0.3, "end_factor": 0}),
    "linear_late": ("LinearLR", {"learning_rate": 0.5, "total_steps": 9, "last_epoch": 3}),
    "warmup": ("LinearWarmup", {"learning_rate": 0.5, "warmup_steps": 6, "start_lr": 0.0, "end_lr": 0.5}),
    "warmup_exponential": (
        "LinearWarmup",
        {
            "learning_rate": ("ExponentialDecay", {"learning_rate": 0.5, "gamma": 0.9}),
            "warmup_steps": 5,
            "start_lr": 0.1,
            "end_lr": 0.5,
        },
    ),
    "warmup_cosine": (
        "LinearWarmup",
        {
            "learning_rate": ("CosineAnnealingDecay", {"learning_rate": 0.5, "T_max": 9, "eta_min": 0.01}),
            "warmup_steps": 4,
            "start_lr": 0,
            "end_lr": 0.4,
        },
    ),
    "warmup_linear": (
        "LinearWarmup",
        {
            "learning_rate": ("LinearLR", {"learning_rate": 0.5, "total_steps": 6}),
            "warmup_steps": 4,
            "start_lr": 0,
            "end_lr": 0.4,
        },
    ),
    "warmup_late": (
        "LinearWarmup",
        {
            "learning_rate": ("StepDecay", {"learning_rate": 0.5, "step_size": 3}),
            "warmup_steps": 5,
            "start_lr": 0.1,
            "end_lr": 0.5,
            "last_epoch": 7,
        },
    ),
}

CASES = {
    **{name: (kind, args, WALK) for name, (kind, args) in EVERYWHERE.items()},
    **{f"{name}.leaps": (kind, args, LEAPS) for name, (kind, args) in EVERYWHERE.items() if not name.endswith("_late")},
    "restarts_growing.fractions": (*EVERYWHERE["restarts_growing"], [0.5, 1.25, NEXT, 2.75, 8.5, NEXT, NEXT]),
    "cosine.fractions": (*EVERYWHERE["cosine"], [0.5, 1.25, NEXT, 2.75, 8.5]),
    "plateau": ("ReduceOnPlateau", {"learning_rate": 1.0, "patience": 2}, LOSSES),
    "plateau_eager": ("ReduceOnPlateau", {"learning_rate": 1, "patience": 0, "factor": 0.5, "cooldown": 2}, LOSSES),
    "plateau_floor": ("ReduceOnPlateau", {"learning_rate": 1.0, "patience": 1, "min_lr": 0.05}, LOSSES),
    "plateau_coarse": ("ReduceOnPlateau", {"learning_rate": 1.0, "patience": 1, "epsilon": 0.05}, LOSSES),
    "plateau_abs": (
        "ReduceOnPlateau",
        {"learning_rate": 1.0, "patience": 1, "threshold": 0.2, "threshold_mode": "abs"},
        LOSSES,
    ),
    "plateau_max": ("ReduceOnPlateau", {"learning_rate": 1.0, "mode": "MAX", "patience": 1, "factor": 0.3}, SCORES),
    "plateau_max_abs": (
        "ReduceOnPlateau",
        {"learning_rate": 1.0, "mode": "max", "patience": 1, "threshold": 0.02, "threshold_mode": "ABS"},
        SCORES,
    ),
}


def build(lr, kind, args):
    """The schedule, from the module `lr` (paddle.optimizer.lr or our own)."""
    args = {key: build(lr, *value) if _is_schedule(value) else value for key, value in args.items()}
    return getattr(lr, kind)(**args)


def walk(schedule, path):
    """The rates that the steps of the path lead to."""
    rates = []
    for entry in path:
        schedule.step() if entry == NEXT else schedule.step(entry)
        rates.append(schedule())
    return rates


def _is_schedule(value):
    return isinstance(value, tuple) and isinstance(value[0], str)
