"""Pictures from files: IDX, and folders."""
import gzip

import numpy as np
import pytest

import gpuflow
from gpuflow.vision import datasets


def _idx(path, array):
    data = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


@pytest.fixture
def files(tmp_path):
    images = np.arange(3 * 28 * 28).astype("uint8").reshape(3, 28, 28)
    return images, _idx(tmp_path / "images.gz", images), _idx(tmp_path / "labels", np.array([7, 0, 9], "uint8"))


def test_mnist(files):
    images, image_path, label_path = files
    data = datasets.MNIST(image_path, label_path, transform=lambda x: x / 255)
    assert len(data) == 3
    image, label = data[-1]
    np.testing.assert_allclose(image, images[2] / 255, rtol=1e-6)
    assert label.tolist() == [9] and label.dtype == np.int64
    batch, labels = next(iter(gpuflow.io.DataLoader(data, batch_size=3)))
    assert batch.shape == [3, 28, 28] and labels.shape == [3, 1]


def test_what_mnist_refuses(files, tmp_path):
    _, image_path, label_path = files
    with pytest.raises(FileNotFoundError, match="downloads nothing"):
        datasets.FashionMNIST()
    with pytest.raises(ValueError, match="IDX file of bytes with 3 axes"):
        datasets.MNIST(label_path, image_path)
    cut = tmp_path / "cut"
    cut.write_bytes(gzip.decompress((tmp_path / "images.gz").read_bytes())[:-5])
    with pytest.raises(ValueError, match="2352 bytes"):
        datasets.MNIST(str(cut), label_path)


def test_folders(tmp_path):
    for name in ("b/2.txt", "b/1.txt", "a/deep/3.txt", "a/skip.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    def loader(path):
        with open(path) as file:
            return file.read()

    data = datasets.DatasetFolder(str(tmp_path), loader, extensions=[".txt"], transform=str.upper)
    assert data.classes == ["a", "b"] and data.targets == [0, 1, 1]
    assert [data[i] for i in range(len(data))] == [("A/DEEP/3.TXT", 0), ("B/1.TXT", 1), ("B/2.TXT", 1)]
    flat = datasets.ImageFolder(str(tmp_path), loader, is_valid_file=lambda path: path.endswith(".bin"))
    assert len(flat) == 1 and flat[0] == ["a/skip.bin"]
    with pytest.raises(RuntimeError, match="none in"):
        datasets.DatasetFolder(str(tmp_path))
