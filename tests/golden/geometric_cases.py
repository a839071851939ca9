"""Expressions over paddle.geometric for make_functions.py; rows x [4, 3], edges' rows e [5, 3], numbers k, s and d."""
import numpy as np

FLOATS = ("x", "e")


def inputs() -> dict:
    """The arrays by name, float64 and int64."""
    rng = np.random.default_rng(4)
    return {"x": rng.standard_normal((4, 3)), "e": rng.uniform(0.5, 2, (5, 3)), "k": np.array([0, 0, 2, 2]),
            "s": np.array([0, 1, 2, 2, 3]), "d": np.array([1, 1, 3, 1, 0])}


EXPRESSIONS = [
    *[f"paddle.geometric.segment_{how}(x, k)" for how in ("sum", "mean", "max", "min")],
    *[f"paddle.geometric.send_u_recv(x, s, d, '{how}')" for how in ("sum", "mean", "max", "min")],
    "paddle.geometric.send_u_recv(x, s, d, 'max', out_size=6)",
    "paddle.geometric.send_ue_recv(x, e, s, d, 'mul', 'mean')",
    *[f"paddle.geometric.send_uv(x, x, s, d, '{message}')" for message in ("add", "sub", "mul", "div")],
]
