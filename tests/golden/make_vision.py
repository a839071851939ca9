"""Writes vision.json: what Paddle's networks are made of and what they say, by vision_cases.py.

    /path/to/a/python/with/paddlepaddle==3.3.1 tests/golden/make_vision.py
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    import paddle

    sys.path.insert(0, str(HERE))
    from vision_cases import MODELS, run

    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    found = {expression: run(paddle, expression) for expression in MODELS}
    (HERE / "vision.json").write_text(json.dumps(found, indent=1) + "\n")
