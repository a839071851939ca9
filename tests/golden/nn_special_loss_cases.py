"""Losses over alignments, many classes and pairs, as nn_loss_cases.py has the others (make_nn_special_loss.py)."""
import numpy as np

from tests.golden.nn_loss_cases import Call, run as run_call

_rng = np.random.default_rng(31)


def f(*shape):
    return _rng.uniform(-1.5, 1.5, shape).astype(np.float32)


def ids(low, high, *shape, dtype=np.int64):
    return _rng.integers(low, high, shape).astype(dtype)


_LOGITS, _LABELS = f(6, 3, 5), np.array([[1, 1, 2], [3, 4, 1], [2, 0, 0]], np.int32)
_LENGTHS = np.array([6, 5, 4]), np.array([3, 2, 1])
_TRANSDUCER = f(2, 4, 4, 5), np.array([[1, 2, 2], [3, 1, 0]], np.int32), np.array([4, 3], np.int32), \
    np.array([3, 2], np.int32)
_X, _Y = f(5, 4), ids(0, 6, 5)
_PATHS = np.array([[0, 2, -1], [0, 1, 4], [0, 2, 3], [0, 1, -1], [0, 2, 3]]), \
    np.array([[0, 1, -1], [1, 0, 1], [0, 0, 1], [1, 1, -1], [0, 0, 0]])

CASES = {
    **{f"ctc {r}": Call("ctc_loss", (_LOGITS, _LABELS, *_LENGTHS), {"reduction": r}) for r in ("mean", "sum", "none")},
    "ctc other blank": Call("ctc_loss", (_LOGITS, np.array([[1, 1, 2], [3, 0, 1], [2, 0, 0]], np.int32), *_LENGTHS),
                            {"blank": 4, "reduction": "none"}),
    "ctc by times": Call("ctc_loss", (_LOGITS, _LABELS, *_LENGTHS), {"norm_by_times": True, "reduction": "sum"}),
    **{f"multi label margin {r}": Call("multi_label_margin_loss", (f(3, 5), np.array(
        [[1, 3, -1, 2, 0], [4, -1, -1, -1, -1], [0, 1, 2, 3, -1]])), {"reduction": r})
       for r in ("mean", "sum", "none")},
    "npair": Call("npair_loss", (f(5, 3), f(5, 3), np.array([0, 1, 1, 2, 0])), wanted=(0, 1)),
    "hsigmoid": Call("hsigmoid_loss", (_X, _Y, 6, f(5, 4), f(5, 1)), wanted=(0, 3, 4)),
    "hsigmoid eight": Call("hsigmoid_loss", (_X, ids(0, 8, 5), 8, f(7, 4)), wanted=(0, 3)),
    "hsigmoid paths": Call("hsigmoid_loss", (_X, _Y, 5, f(5, 4), f(5, 1), *_PATHS), wanted=(0, 3, 4)),
}

# Paddle's transducer on the CPU takes log probabilities as they are; ours normalises, which changes nothing for these.
TRANSDUCERS = {
    **{f"rnnt {r}": {"reduction": r} for r in ("mean", "sum", "none")},
    "rnnt plain": {"reduction": "sum", "fastemit_lambda": 0.0},
    "rnnt fast": {"reduction": "sum", "fastemit_lambda": 0.5},
}


def run(paddle, name) -> list:
    """The result and the wanted gradients with Paddle, or with gpuflow in its place."""
    if name in CASES:
        return run_call(paddle, CASES[name])
    logits = paddle.to_tensor(_TRANSDUCER[0], stop_gradient=False)
    rest = [paddle.to_tensor(x) for x in _TRANSDUCER[1:]]
    log_probs = paddle.nn.functional.log_softmax(logits, axis=-1)
    loss = paddle.nn.functional.rnnt_loss(log_probs, *rest, **TRANSDUCERS[name])
    loss.sum().backward()
    return [loss.numpy(), logits.grad.numpy()]
