"""The same step in array operations, one parameter at a time: slow, plain, sharing no code with the kernels but the
formula. In float64 NumPy it is what the kernels are tested against."""

from __future__ import annotations

import numpy as np

from gpuflow_kernels.update.layout import CLIP_GROUP, CLIP_NORM, CLIP_VALUE, COLUMNS, INACTIVE, STILL, TAGS


def _language(xp) -> dict:
    return {"sqrt": xp.sqrt, "fabs": xp.abs, "fmin": xp.minimum, "fmax": xp.maximum, "where": xp.where, "real": float,
            "sign": lambda x: xp.nan_to_num(xp.sign(x), nan=0.0)}


def apply_rule(rule, p, g, state, *, lr, decay=0.0, numbers=None, kind=np.float64, xp=np):
    """Returns (p, state) after one step of a rule on one whole parameter; the inputs stay as they are.

    p, g, state: arrays of the module xp, which are brought to the type `kind` first.
    """
    names = {
        **{k: xp.asarray(v, kind) for k, v in state.items()},
        **(numbers or {}),
        "p": p.astype(kind),
        "g": g.astype(kind),
        "lr": lr,
        "decay": decay,
    }
    language = _language(xp)
    with np.errstate(all="ignore"):
        for part in ("prepare", "direction"):
            _run(rule.lines(part), language, names)
        names |= {name: xp.sqrt((names[variable] ** 2).sum()) for name, variable in rule.norms.items()}
        _run(rule.lines("formula"), language, names)
    return names["p"], {k: names[k] for k in state}


def _run(lines, language, names):
    for line in lines:
        exec(line, dict(language), names)


def group_sumsq(host, gradients) -> np.ndarray:
    """float64 [groups + 1]: sums of squares of the active rows' gradients (a list of float64 arrays), after
    unscaling."""
    sums = np.zeros(host.groups + 1)
    for tags, g in zip(host.tags, gradients):
        if tags[TAGS.index("active")] != INACTIVE:
            sums[tags[TAGS.index("group")]] += (g * host.scalars[0]) @ (g * host.scalars[0])
    return sums


def step(rule, host, parameters, gradients, states):
    """One step over lists of 1-d arrays, one entry a row, with the strategies and numbers of `host` (a Tables).

    Returns (parameters, states) as float64 lists. Does what FusedStep.run promises: unscale, clip, regularise, rule.
    """
    sums = group_sumsq(host, gradients)
    if host.scalars[2] and not np.isfinite(sums).all():
        return [p.astype(np.float64) for p in parameters], states
    new_parameters, new_states = [], []
    for k, (p, g, state) in enumerate(zip(parameters, gradients, states)):
        tags = dict(zip(TAGS, host.tags[k]))
        column = dict(zip(COLUMNS, host.columns[k]))
        if tags["active"] in (INACTIVE, STILL):
            new_parameters.append(p.astype(np.float64))
            new_states.append(state)
            continue
        p, g = p.astype(np.float64), g.astype(np.float64) * host.scalars[0]
        if tags["clip"] == CLIP_VALUE:
            g = np.clip(g, column["lo"], column["hi"])
        elif tags["clip"] in (CLIP_NORM, CLIP_GROUP):
            norm = np.sqrt(g @ g if tags["clip"] == CLIP_NORM else sums[tags["group"]])
            if not norm <= column["hi"]:
                g = g * (column["hi"] / norm)
        g = g + column["l2"] * p + column["l1"] * np.sign(p)
        lr, *numbers = host.numbers[tags["set"]]
        p, state = apply_rule(rule, p, g, state, lr=lr * column["lr_scale"], decay=column["decay"],
                              numbers=dict(zip(rule.numbers, numbers)))
        new_parameters.append(p)
        new_states.append(state)
    return new_parameters, new_states
