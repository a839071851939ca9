"""Writes fft.json: what Paddle makes of fft_cases.py, as make_functions.py does for the other functions.

    /path/to/a/python/with/paddlepaddle==3.3.1 tests/golden/make_fft.py
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    import paddle

    sys.path.insert(0, str(HERE))
    from fft_cases import EXPRESSIONS, FLOATS, inputs
    from make_functions import evaluate

    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    found = {e: evaluate(paddle, e, inputs(), FLOATS) for e in EXPRESSIONS}
    (HERE / "fft.json").write_text("{\n" + ",\n".join(
        f"{json.dumps(e)}: {json.dumps(f)}" for e, f in found.items()) + "\n}\n")
    print([e for e, f in found.items() if "error" in f])


if __name__ == "__main__":
    main()
