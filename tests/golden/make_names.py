"""Writes names.json: the public names of paddle 3.3.1 at top level, and those of a tensor.

    /path/to/a/python/with/paddlepaddle==3.3.1 tests/golden/make_names.py
"""
import json
from pathlib import Path

if __name__ == "__main__":
    import paddle

    assert paddle.__version__ == "3.3.1", paddle.__version__
    found = {"paddle": sorted(set(paddle.__all__)),
             "Tensor": [n for n in dir(paddle.Tensor) if not n.startswith("_")]}
    Path(__file__).with_name("names.json").write_text(json.dumps(found, indent=0) + "\n")
