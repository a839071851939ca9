"""Writes transforms.npz: what Paddle makes of a PIL image in transform_cases.py.

    /path/to/a/python/with/paddlepaddle==3.3.1/and/pillow tests/golden/make_transforms.py
"""
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    import paddle
    from PIL import Image

    sys.path.insert(0, str(HERE))
    from transform_cases import CASES, picture

    assert paddle.__version__ == "3.3.1", paddle.__version__
    T = paddle.vision.transforms
    T.adjust_saturation = T.functional.adjust_saturation   # Paddle forgot it in its list
    names = {"T": T, "p": Image.fromarray(picture()), "np": np}
    np.savez_compressed(HERE / "transforms.npz", **{e: np.asarray(eval(e, dict(names))) for e in CASES})
