"""Datasets in one tar file each: Cifar10 and Cifar100 (Krizhevsky, 2009), VOC2012 (Everingham et al., 2012)."""
import io
import tarfile
from pathlib import Path

import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.io import pickle_reader
from gpuflow.io.dataset import Dataset
from gpuflow.vision.image import known_backend


class _Archive(Dataset):
    """The arguments of all. PARTS: what each mode is called in the file."""

    FILE = ""
    PARTS: dict = {}

    def __init__(self, data_file=None, mode="train", transform=None, download=True, backend=None):
        where = type(self).__name__
        if mode.lower() not in self.PARTS:
            raise ValueError(explain(where, f"mode among {list(self.PARTS)}", repr(mode)))
        if data_file is None or not Path(data_file).is_file():
            raise FileNotFoundError(explain(f"{where}(data_file=...)", f"{self.FILE}: gpuflow downloads nothing",
                                            repr(data_file), "fetch it yourself"))
        self.data_file, self.mode, self.transform = data_file, mode.lower(), transform
        self.backend = known_backend(where, backend, ("pil", "cv2"))

    def _given(self, image):
        """A picture (a uint8 array, or a PIL image for the backend "pil") as it comes out of the dataset."""
        image = image if self.transform is None else self.transform(image)
        return image.astype(dtypes.default_float().name) if self.backend == "cv2" else image


class Cifar10(_Archive):
    """(picture of 32 x 32, its class as an int64 array) from cifar-10-python.tar.gz.

    mode: "train" or "test". transform: applied to the picture: a PIL image, or an array uint8 [32, 32, 3] for the
    backend "cv2", which becomes float afterwards. The file's pickles are read without running anything in them.
    """

    FILE, LABELS = "cifar-10-python.tar.gz", "labels"
    PARTS = {"train": "data_batch", "test": "test_batch"}

    def __init__(self, data_file=None, mode="train", transform=None, download=True, backend=None):
        super().__init__(data_file, mode, transform, download, backend)
        pictures, labels = [], []
        with tarfile.open(data_file) as archive:
            members = {m.name: m for m in archive if m.isfile() and self.PARTS[self.mode] in m.name.rsplit("/", 1)[-1]}
            for name in sorted(members):
                batch, _ = pickle_reader.read(archive.extractfile(members[name]).read())
                batch = {str(k, "ascii") if isinstance(k, bytes) else k: v for k, v in batch.items()}
                pictures.append(np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32))
                labels += batch[self.LABELS]
        if not pictures:
            raise ValueError(explain(type(self).__name__, f"{self.PARTS[self.mode]} in the file",
                                     f"none in {data_file}", self.FILE))
        self.pictures = np.concatenate(pictures).transpose(0, 2, 3, 1)
        self.labels = np.array(labels, np.int64)

    def __getitem__(self, idx):
        image = self.pictures[idx]
        if self.backend == "pil":
            from PIL import Image

            image = Image.fromarray(image)
        return self._given(image), np.array(self.labels[idx])

    def __len__(self):
        return len(self.labels)


class Cifar100(Cifar10):
    """`Cifar10` with the hundred classes of cifar-100-python.tar.gz."""

    FILE, LABELS = "cifar-100-python.tar.gz", "fine_labels"
    PARTS = {"train": "train", "test": "test"}


class VOC2012(_Archive):
    """(picture, picture of each pixel's class) from VOCtrainval_11-May-2012.tar.

    mode: "train" (the list trainval), "test" (train) or "valid" (val), as in Paddle. transform: applied to the picture.
    The backend "cv2" gives both as float arrays.
    """

    FILE = "VOCtrainval_11-May-2012.tar"
    PARTS = {"train": "trainval", "test": "train", "valid": "val"}

    def __init__(self, data_file=None, mode="train", transform=None, download=True, backend=None):
        super().__init__(data_file, mode, transform, download, backend)
        with tarfile.open(data_file) as archive:
            self._where = {m.name.partition("VOC2012/")[2]: (m.offset_data, m.size) for m in archive if m.isfile()}
        listed = f"ImageSets/Segmentation/{self.PARTS[self.mode]}.txt"
        if listed not in self._where:
            raise ValueError(explain("VOC2012", f"VOC2012/{listed} in the file", f"none in {data_file}", self.FILE))
        self.names = str(self._read(listed), "ascii").split()

    def _read(self, name) -> bytes:
        """A part of the archive, which is not compressed; each call opens it, so that workers can read at once."""
        start, size = self._where[name]
        with open(self.data_file, "rb") as file:
            file.seek(start)
            return file.read(size)

    def __getitem__(self, idx):
        from PIL import Image

        name = self.names[idx]
        image, label = (Image.open(io.BytesIO(self._read(path)))
                        for path in (f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png"))
        if self.backend == "cv2":
            return self._given(np.asarray(image)), np.asarray(label).astype(dtypes.default_float().name)
        return self._given(image), label

    def __len__(self):
        return len(self.names)
