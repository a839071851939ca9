"""Pictures resized, cut, turned and made tensors."""
import numpy as np
import pytest

import gpuflow
from gpuflow.vision import transforms as T

PICTURE = np.arange(4 * 6 * 3, dtype="uint8").reshape(4, 6, 3)


def test_to_tensor_and_normalize():
    x = T.to_tensor(PICTURE)
    assert x.shape == [3, 4, 6]
    np.testing.assert_allclose(x.numpy(), PICTURE.transpose(2, 0, 1) / 255, rtol=1e-6)
    assert T.to_tensor(PICTURE[:, :, 0], "HWC").shape == [4, 6, 1]
    mean, std = [1.0, 2.0, 3.0], [2.0, 4.0, 8.0]
    expected = (PICTURE - np.array(mean)) / std
    np.testing.assert_allclose(T.normalize(PICTURE, mean, std, "HWC"), expected, rtol=1e-6)
    chw = gpuflow.to_tensor(PICTURE.transpose(2, 0, 1).astype("float32"))
    np.testing.assert_allclose(T.normalize(chw, mean, std).numpy(), expected.transpose(2, 0, 1), rtol=1e-6)


def test_resize():
    line = np.array([[0, 10, 20, 30]], "float32").reshape(1, 4)
    np.testing.assert_allclose(T.resize(line, (1, 2)), [[5, 25]])
    np.testing.assert_allclose(T.resize(line, (1, 8)), [[0, 2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 30]])
    np.testing.assert_array_equal(T.resize(line, (2, 2), "nearest"), [[0, 20], [0, 20]])
    assert T.resize(PICTURE, 2).shape == (2, 3, 3) and T.resize(PICTURE, 2).dtype == np.uint8
    assert T.resize(PICTURE, 4) is PICTURE
    np.testing.assert_array_equal(T.resize(np.full((5, 7, 3), 200, "uint8"), (9, 3)), np.full((9, 3, 3), 200))


def test_cutting_turning_and_borders():
    np.testing.assert_array_equal(T.center_crop(PICTURE, 2), PICTURE[1:3, 2:4])
    np.testing.assert_array_equal(T.hflip(PICTURE), PICTURE[:, ::-1])
    np.testing.assert_array_equal(T.vflip(PICTURE), PICTURE[::-1])
    bordered = T.pad(PICTURE, (1, 2, 3, 4), fill=(7, 8, 9))
    assert bordered.shape == (10, 10, 3) and bordered[0, 0].tolist() == [7, 8, 9]
    np.testing.assert_array_equal(bordered[2:6, 1:7], PICTURE)
    np.testing.assert_array_equal(T.pad(PICTURE, 1, padding_mode="reflect")[0, 0], PICTURE[1, 1])


def test_colours():
    gray = T.to_grayscale(np.full((2, 2, 3), [255, 0, 0], "uint8"), 3)
    assert gray.shape == (2, 2, 3) and (gray == 76).all()
    assert T.adjust_brightness(np.array([[100, 200]], "uint8"), 1.5).tolist() == [[150, 255]]


def test_random_ones_repeat_and_share_their_draw():
    chain = T.Compose([T.RandomCrop(3, padding=1), T.RandomHorizontalFlip(), T.RandomVerticalFlip()])
    gpuflow.seed(4)
    first = [chain(PICTURE) for _ in range(8)]
    gpuflow.seed(4)
    assert all(np.array_equal(a, chain(PICTURE)) for a in first)
    assert len({a.tobytes() for a in first}) > 1 and first[0].shape == (3, 3, 3)
    left, right, label = T.RandomCrop(2, keys=("image", "image"))((PICTURE, PICTURE, 5))
    np.testing.assert_array_equal(left, right)
    assert label == 5
    assert T.RandomCrop(8, pad_if_needed=True)(PICTURE).shape == (8, 8, 3)


def test_random_resized_crop():
    crop = T.RandomResizedCrop((5, 7))
    assert {crop(PICTURE).shape for _ in range(5)} == {(5, 7, 3)}
    assert len({crop(PICTURE).tobytes() for _ in range(5)}) > 1
    whole = T.RandomResizedCrop(4, scale=(9, 9))  # never fits: the middle
    np.testing.assert_array_equal(whole(PICTURE), T.resize(PICTURE[:, 0:5], (4, 4)))


def test_pil_pictures_stay_pil():
    Image = pytest.importorskip("PIL.Image")
    picture = Image.fromarray(PICTURE)
    assert T.hflip(picture).getpixel((0, 0)) == picture.getpixel((5, 0))
    assert T.Resize((2, 3))(picture).size == (3, 2)
    assert T.Compose([T.CenterCrop(2), T.ToTensor(), T.Normalize()])(picture).shape == [3, 2, 2]


@pytest.mark.parametrize("call", [
    lambda: T.hflip([1]), lambda: T.resize(PICTURE, (2, 0)), lambda: T.resize(PICTURE, 2, "lanczos"),
    lambda: T.pad(PICTURE, (1, 2, 3)), lambda: T.RandomCrop(9)(PICTURE), lambda: T.to_tensor(PICTURE, "WHC")])
def test_what_is_refused(call):
    with pytest.raises((TypeError, ValueError), match="expected"):
        call()
