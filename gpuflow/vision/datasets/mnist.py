"""MNIST (LeCun et al., 1998) and FashionMNIST (Xiao et al., 2017) from their IDX files."""
import gzip
import math
from pathlib import Path

import numpy as np

from gpuflow.errors import explain
from gpuflow.io.dataset import Dataset
from gpuflow.vision.image import known_backend


def read_idx(path, axes) -> np.ndarray:
    """The bytes of an IDX file (gzipped where its name ends in .gz) as a uint8 array of `axes` axes."""
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rb") as file:
        data = file.read()
    if len(data) < 4 + 4 * axes or data[:4] != bytes((0, 0, 8, axes)):
        raise ValueError(explain(str(path), f"an IDX file of bytes with {axes} axes", f"the first bytes {data[:4]!r}"))
    shape = np.frombuffer(data, ">u4", axes, 4).tolist()
    if len(data) != 4 + 4 * axes + math.prod(shape):
        raise ValueError(explain(str(path), f"{math.prod(shape)} bytes for {shape}", f"{len(data) - 4 - 4 * axes}"))
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


class MNIST(Dataset):
    """(picture [28, 28], label int64 [1]) from the IDX files image_path and label_path.

    mode: "train" or "test", a note of which files these are. transform: applied to the picture. backend: "cv2":
    arrays, "pil": PIL images of 0 to 255; None: `vision.get_image_backend()`. download is taken and does nothing: both
    paths are needed.
    """

    NAME = "mnist"

    def __init__(self, image_path=None, label_path=None, mode="train", transform=None, download=True, backend=None):
        if mode.lower() not in ("train", "test"):
            raise ValueError(explain(type(self).__name__, "mode 'train' or 'test'", repr(mode)))
        for what, path in (("image_path", image_path), ("label_path", label_path)):
            if path is None or not Path(path).is_file():
                raise FileNotFoundError(explain(
                    f"{type(self).__name__}({what}=...)", f"an IDX file of {self.NAME}: gpuflow downloads nothing",
                    repr(path), "fetch train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz (or t10k-...) yourself"))
        self.mode, self.transform = mode.lower(), transform
        self.backend = known_backend(type(self).__name__, backend, ("pil", "cv2"))
        self.images, self.labels = read_idx(image_path, 3), read_idx(label_path, 1).astype(np.int64)
        if len(self.images) != len(self.labels):
            raise ValueError(explain(type(self).__name__, "as many labels as pictures",
                                     f"{len(self.labels)} and {len(self.images)}"))

    def __getitem__(self, idx):
        image, label = self.images[idx], self.labels[idx:idx + 1] if idx >= 0 else self.labels[[idx]]
        if self.backend == "pil":
            from PIL import Image

            image = Image.fromarray(image)
        else:
            image = image.astype(np.float32)
        return (image if self.transform is None else self.transform(image)), label

    def __len__(self):
        return len(self.labels)


class FashionMNIST(MNIST):
    """`MNIST` of clothes, from files of the same form."""

    NAME = "fashion-mnist"
