"""Pictures resized, cut, turned and made tensors."""
import colorsys
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow.vision import transforms as T
from tests.golden.transform_cases import CASES, picture

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "transforms.npz")

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


@pytest.mark.parametrize("expression", CASES)
def test_as_paddle(expression):
    out, expected = eval(expression, {"T": T, "np": np, "p": picture()}), GOLDEN[expression]
    off = np.abs(out.reshape(expected.shape).astype(int) - expected)
    assert off.max() <= CASES[expression], out
    assert out.dtype == np.uint8


def test_hues_turn_round_the_circle():
    colours = np.random.default_rng(3).random((5, 4, 3))
    expected = [[colorsys.hsv_to_rgb((h + 0.2) % 1, s, v) for h, s, v in (colorsys.rgb_to_hsv(*c) for c in row)]
                for row in colours]
    np.testing.assert_allclose(T.adjust_hue(colours, 0.2), expected, rtol=1e-9)


def test_tensors_have_their_channels_first():
    x = gpuflow.to_tensor(picture().transpose(2, 0, 1))
    for change in (lambda p: T.rotate(p, 30), lambda p: T.adjust_contrast(p, 0.4), lambda p: T.resize(p, (4, 5)),
                   T.hflip, T.to_grayscale, T.RandomCrop(7, pad_if_needed=True)):
        gpuflow.seed(2)
        expected = change(picture()).transpose(2, 0, 1)
        gpuflow.seed(2)
        np.testing.assert_array_equal(change(x).numpy(), expected)
    erased = T.erase(x, 1, 2, 3, 4, gpuflow.zeros([3, 1, 1], "uint8"), inplace=True)
    assert erased is x and not x.numpy()[:, 1:4, 2:6].any() and x.numpy()[:, 0].any()


@pytest.mark.parametrize("change", [
    T.ColorJitter(0.4, (0.5, 2.0), 0.3, 0.2), T.RandomRotation(30, "bilinear", True), T.RandomPerspective(1.0),
    T.RandomAffine((-20, 60), (0.2, 0.3), (0.5, 2.0), (-5, 5, 0, 8), "bilinear"), T.RandomErasing(1.0, value="random"),
    T.RandomErasing(1.0, (0.1, 0.2), value=(1, 2, 3)), T.BrightnessTransform(0.5)], ids=lambda t: type(t).__name__)
def test_random_changes_vary_and_repeat(change):
    def three():
        gpuflow.seed(8)
        return [change(picture()).tobytes() for _ in range(3)]

    first = three()
    assert first == three() and len(set(first)) == 3


def test_two_pictures_share_a_draw_and_may_be_gray():
    both = (picture(), picture()[..., 0])
    for change in (T.RandomRotation(90), T.RandomErasing(1.0), T.RandomAffine(20), T.ColorJitter(brightness=0.9)):
        change.keys = ("image", "image")
        colour, gray = change(both)
        np.testing.assert_array_equal(colour[..., 0], gray)


def test_changes_that_change_nothing():
    for change in (T.ColorJitter(), T.RandomErasing(0.0), T.RandomPerspective(0.0), T.RandomAffine(0)):
        np.testing.assert_array_equal(change(picture()), picture())


def test_an_erased_part_has_its_value():
    out = T.RandomErasing(1.0, (0.2, 0.3), (1, 1), value=(1, 2, 3))(picture())
    parts = (out == [1, 2, 3]).all(-1)
    assert parts.sum() == 16 and parts.any(0).sum() == parts.any(1).sum() == 4


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
    lambda: T.pad(PICTURE, (1, 2, 3)), lambda: T.RandomCrop(9)(PICTURE), lambda: T.to_tensor(PICTURE, "WHC"),
    lambda: T.adjust_hue(PICTURE, 0.7), lambda: T.adjust_contrast(PICTURE, -1), lambda: T.rotate(PICTURE, 3, "area"),
    lambda: T.affine(PICTURE, 1, (0,), 1, 0), lambda: T.perspective(PICTURE, [(0, 0)], [(1, 1)]),
    lambda: T.HueTransform(0.6), lambda: T.ColorJitter(brightness=-1), lambda: T.RandomRotation((3, 2)),
    lambda: T.RandomAffine(3, translate=(2, 0)), lambda: T.RandomAffine(3, scale=(0, 1)), lambda: T.RandomErasing(2),
    lambda: T.RandomErasing(value="noise"), lambda: T.RandomPerspective(2)])
def test_what_is_refused(call):
    with pytest.raises((TypeError, ValueError), match="expected"):
        call()
