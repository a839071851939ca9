"""Writes metric.json: what Paddle's metrics say in metric_cases.py.

    /path/to/a/python/with/paddlepaddle==3.3.1 tests/golden/make_metric.py
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    import paddle

    sys.path.insert(0, str(HERE))
    from metric_cases import run

    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    (HERE / "metric.json").write_text(json.dumps(run(paddle), indent=1) + "\n")
