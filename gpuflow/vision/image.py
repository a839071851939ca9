"""What datasets give pictures as."""
import importlib.util

import numpy as np

from gpuflow.errors import explain
from gpuflow.tensor import to_tensor

_BACKENDS = ("pil", "cv2", "tensor")
_chosen = None


def set_image_backend(backend) -> None:
    """Datasets give pictures as "pil" (PIL images), "cv2" (arrays [H, W, C]) or, where they can, "tensor"."""
    global _chosen
    _chosen = known_backend("set_image_backend", backend)


def get_image_backend() -> str:
    """What `set_image_backend` said, else "pil" where Pillow is there and "cv2" where it is not."""
    return _chosen or ("pil" if importlib.util.find_spec("PIL") else "cv2")


def known_backend(where, backend, among=_BACKENDS) -> str:
    """`backend`, or the chosen one for None."""
    backend = get_image_backend() if backend is None else backend
    if backend not in among:
        raise ValueError(explain(where, f"a backend among {list(among)}", repr(backend)))
    return backend


def image_load(path, backend=None):
    """A file as a PIL image, an array [H, W, C] with blue first as OpenCV has it, or a tensor [C, H, W].

    Pillow reads the file in each case.
    """
    from PIL import Image

    backend = known_backend("image_load", backend)
    with Image.open(path) as opened:
        if backend == "pil":
            return opened.copy()
        array = np.asarray(opened.convert("RGB"))
    return np.ascontiguousarray(array[..., ::-1]) if backend == "cv2" else to_tensor(array.transpose(2, 0, 1))
