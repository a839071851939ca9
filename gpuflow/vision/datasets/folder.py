"""Pictures in folders."""
from pathlib import Path

import numpy as np

from gpuflow.errors import explain
from gpuflow.io.dataset import Dataset
from gpuflow.tensor import to_tensor
from gpuflow.vision.image import get_image_backend

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def open_picture(path):
    """The file in RGB, as what `vision.get_image_backend()` says."""
    from PIL import Image

    with Image.open(path) as opened:
        picture, backend = opened.convert("RGB"), get_image_backend()
    if backend == "pil":
        return picture
    return np.asarray(picture) if backend == "cv2" else to_tensor(np.asarray(picture).transpose(2, 0, 1))


def _files(where, folder, extensions, is_valid_file) -> list:
    if extensions is not None and is_valid_file is not None:
        raise ValueError(explain(where, "extensions or is_valid_file", "both"))
    endings = tuple(e.lower() for e in (EXTENSIONS if extensions is None else extensions))
    valid = is_valid_file or (lambda path: path.lower().endswith(endings))
    return [str(p) for p in sorted(Path(folder).rglob("*")) if p.is_file() and valid(str(p))]


class DatasetFolder(Dataset):
    """(sample, number of its class) from root/<class>/..., the classes' folders sorted by name.

    loader(path): reads a file (default: with Pillow, RGB). extensions: the files that count; or is_valid_file(path).
    transform: applied to the sample. classes, class_to_idx, samples and targets tell what was found.
    """

    def __init__(self, root, loader=None, extensions=None, transform=None, is_valid_file=None):
        self.root, self.loader, self.transform = root, loader or open_picture, transform
        self.classes = sorted(p.name for p in Path(root).iterdir() if p.is_dir())
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples = [(path, i) for name, i in self.class_to_idx.items()
                        for path in _files("DatasetFolder", Path(root) / name, extensions, is_valid_file)]
        if not self.samples:
            raise RuntimeError(explain("DatasetFolder", "files in folders, one folder per class", f"none in {root}"))
        self.targets = [target for _, target in self.samples]

    def __getitem__(self, index):
        path, target = self.samples[index]
        sample = self.loader(path)
        return (sample if self.transform is None else self.transform(sample)), target

    def __len__(self):
        return len(self.samples)


class ImageFolder(Dataset):
    """[sample] of every file below root, without classes. Arguments as in DatasetFolder."""

    def __init__(self, root, loader=None, extensions=None, transform=None, is_valid_file=None):
        self.root, self.loader, self.transform = root, loader or open_picture, transform
        self.samples = _files("ImageFolder", root, extensions, is_valid_file)
        if not self.samples:
            raise RuntimeError(explain("ImageFolder", "files of pictures", f"none in {root}"))

    def __getitem__(self, index):
        sample = self.loader(self.samples[index])
        return [sample if self.transform is None else self.transform(sample)]

    def __len__(self):
        return len(self.samples)
