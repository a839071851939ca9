"""Writes functions.json and its neighbours in FILES: what Paddle makes of the expressions in function_cases.py and
theirs, with the gradients of a weighted sum of the results.

    /path/to/a/python/with/paddlepaddle==3.3.1 tests/golden/make_functions.py [function] [fft] ...
"""
import importlib
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
FILES = {"function": "functions.json", "fft": "fft.json", "linalg": "linalg.json", "signal": "signal.json",
         "geometric": "geometric.json"}


def tensors_of(result) -> list:
    """The results as a flat list."""
    return [t for r in result for t in tensors_of(r)] if isinstance(result, list | tuple) else [result]


def described(array) -> dict:
    numbers = array.astype("float64") if array.dtype.kind == "f" else array
    return {"dtype": str(array.dtype), "shape": list(array.shape),
            "values": [_text(v) for v in numbers.reshape(-1).tolist()]}


def _text(v):
    return repr(v) if isinstance(v, float) and not np.isfinite(v) else v


def evaluate(paddle, expression: str, arrays: dict, floats) -> dict:
    """What the expression gives in `paddle` (or gpuflow): results and gradients, or the error's type."""
    names = {name: paddle.to_tensor(a, stop_gradient=name not in floats) for name, a in arrays.items()}
    try:
        results = tensors_of(eval(expression, {"paddle": paddle}, names))
    except Exception as error:
        return {"error": type(error).__name__}
    out = {"results": [described(np.asarray(t.numpy())) for t in results]}
    live = [t for t in results if not t.stop_gradient and "float" in str(t.dtype)]
    if live:
        loss = sum((t.astype("float64") * paddle.to_tensor(weights(t.shape))).sum() for t in live)
        loss.backward()
        out["gradients"] = {name: described(np.asarray(names[name].grad.numpy())) for name in floats
                            if names[name].grad is not None}
    return out


def weights(shape):
    """What the results are weighted with, so that a gradient is no plain sum."""
    return np.cos(np.arange(int(np.prod(shape)), dtype="float64")).reshape(shape)


def record(kind: str):
    import paddle

    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    cases = importlib.import_module(f"{kind}_cases")
    found = {e: evaluate(paddle, e, cases.inputs(), cases.FLOATS) for e in cases.EXPRESSIONS}
    (HERE / FILES[kind]).write_text("{\n" + ",\n".join(
        f"{json.dumps(e)}: {json.dumps(f)}" for e, f in found.items()) + "\n}\n")
    print(len(found), "expressions in", FILES[kind], "refused:", [e for e, f in found.items() if "error" in f])


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    for kind in sys.argv[1:] or FILES:
        record(kind)
