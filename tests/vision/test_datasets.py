"""Pictures from files: IDX, archives, folders."""
import gzip
import io
import pickle
import tarfile

import numpy as np
import pytest

import gpuflow
from gpuflow import vision
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
    data = datasets.MNIST(image_path, label_path, transform=lambda x: x / 255, backend="cv2")
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


def _tar(path, **members):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


@pytest.mark.parametrize(("kind", "first", "second", "labels"), [
    (datasets.Cifar10, "data_batch_1", "data_batch_2", b"labels"), (datasets.Cifar100, "train", None, b"fine_labels")])
def test_cifar(tmp_path, kind, first, second, labels):
    rows = np.arange(2 * 3072).astype("uint8").reshape(2, 3072)
    members = {f"cifar/{name}": pickle.dumps({b"data": rows + 5 * k, labels: [3 + k, 1]}, protocol=2)
               for k, name in enumerate((first, second)) if name}
    path = _tar(tmp_path / "c.tar.gz", **members, **{"cifar/test": b"", "cifar/readme.html": b"<p>"})
    data = kind(path, backend="cv2", transform=lambda x: x[:, :4])
    image, label = data[-1]
    assert len(data) == 2 * len(members) and label.dtype == np.int64 and label == 1 and data[0][1] == 3
    assert image.dtype == np.float32
    last = (rows[1] + 5 * (len(members) - 1)).reshape(3, 32, 32)
    np.testing.assert_array_equal(image, last[:, :, :4].transpose(1, 2, 0))
    with pytest.raises(FileNotFoundError, match="downloads nothing"):
        kind()
    with pytest.raises(ValueError, match="mode among"):
        kind(path, mode="valid")


def test_voc_and_kinds_of_pictures(tmp_path, monkeypatch):
    Image = pytest.importorskip("PIL.Image")
    monkeypatch.setattr("gpuflow.vision.image._chosen", None)

    def saved(array, kind):
        file = io.BytesIO()
        Image.fromarray(array).save(file, kind)
        return file.getvalue()

    colours, classes = np.full((4, 6, 3), [250, 10, 20], "uint8"), np.arange(24, dtype="uint8").reshape(4, 6)
    base = "VOCdevkit/VOC2012/"
    path = _tar(tmp_path / "v.tar", **{f"{base}ImageSets/Segmentation/val.txt": b"one\n",
                                       f"{base}JPEGImages/one.jpg": saved(colours, "JPEG"),
                                       f"{base}SegmentationClass/one.png": saved(classes, "PNG")})
    image, label = datasets.VOC2012(path, "valid")[0]
    assert image.size == (6, 4) and np.array_equal(label, classes)
    vision.set_image_backend("cv2")
    image, label = datasets.VOC2012(path, "valid")[0]
    assert image.shape == (4, 6, 3) and image.dtype == label.dtype == np.float32
    with pytest.raises(ValueError, match="trainval"):
        datasets.VOC2012(path)

    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "p.png").write_bytes(saved(colours, "PNG"))
    np.testing.assert_array_equal(datasets.ImageFolder(str(tmp_path / "deep"))[0][0], colours)
    file = str(tmp_path / "deep" / "p.png")
    np.testing.assert_array_equal(vision.image_load(file), colours[..., ::-1])
    np.testing.assert_array_equal(vision.image_load(file, "tensor"), colours.transpose(2, 0, 1))
    vision.set_image_backend("pil")
    assert vision.image_load(file).size == (6, 4) and datasets.ImageFolder(str(tmp_path / "deep"))[0][0].size == (6, 4)
    with pytest.raises(ValueError, match="a backend among"):
        vision.set_image_backend("gpu")


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
