"""Changes of one picture: an array [H, W, C] or [H, W], a PIL image or a tensor [C, H, W], and it comes back as such.

All three give the same numbers: an array is changed, and the others are turned into one and back. Integers stay within
their dtype's limits; floats are not cut off.
"""
import functools
import sys

import numpy as np

from gpuflow.errors import explain
from gpuflow.tensor import Tensor, to_tensor as _to_tensor

_PADDINGS = ("constant", "edge", "reflect", "symmetric")


def is_pil(picture) -> bool:
    module = sys.modules.get("PIL.Image")  # who has a PIL image has imported it
    return module is not None and isinstance(picture, module.Image)


def on_arrays(function):
    """Lets a function of arrays take PIL images and tensors as well."""

    @functools.wraps(function)
    def apply(img, *args, **kwargs):
        if isinstance(img, Tensor):
            array = img.numpy()
            out = function(np.moveaxis(array, 0, -1) if array.ndim == 3 else array, *args, **kwargs)
            return _to_tensor(np.moveaxis(out, -1, 0) if out.ndim == 3 else out, place=img.place)
        if is_pil(img):
            out = function(np.asarray(img), *args, **kwargs)
            return sys.modules["PIL.Image"].fromarray(out[..., 0] if out.shape[2:] == (1,) else out)
        if not isinstance(img, np.ndarray) or img.ndim not in (2, 3):
            raise TypeError(explain(function.__name__,
                                    "an array [H, W, C] or [H, W], a PIL image or a tensor [C, H, W]",
                                    f"{type(img).__name__} {list(getattr(img, 'shape', []))}"))
        return function(img, *args, **kwargs)

    return apply


def size_of(img) -> tuple:
    """(height, width) of a picture of any kind."""
    if is_pil(img):
        return img.height, img.width
    return tuple(img.shape[-2:] if isinstance(img, Tensor) else np.shape(img)[:2])


def _pair(where, size) -> tuple:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(s, int) and s > 0 for s in pair):
        raise TypeError(explain(where, "a size, or (height, width)", repr(size)))
    return pair


def _like(img, numbers):
    """Numbers as img's dtype; for integers rounded and within its limits."""
    if img.dtype.kind in "iu":
        limits = np.iinfo(img.dtype)
        numbers = np.clip(np.rint(numbers), limits.min, limits.max)
    return numbers.astype(img.dtype)


def to_tensor(pic, data_format="CHW"):
    """A picture as a tensor [C, H, W] (or [H, W, C]): uint8 becomes float32 in [0, 1], other dtypes stay."""
    if data_format not in ("CHW", "HWC"):
        raise ValueError(explain("to_tensor", "data_format 'CHW' or 'HWC'", repr(data_format)))
    array = np.asarray(pic)
    array = array[:, :, None] if array.ndim == 2 else array
    array = array.transpose(2, 0, 1) if data_format == "CHW" else array
    return _to_tensor(array.astype(np.float32) / np.float32(255) if array.dtype == np.uint8 else array.copy())


def normalize(img, mean, std, data_format="CHW", to_rgb=False):
    """(img - mean) / std per channel, in float32. to_rgb: the channels are turned round first.

    img: an array, a PIL image or a tensor, its channels where data_format says.
    """
    first = data_format == "CHW"
    array = img if isinstance(img, Tensor) else np.asarray(img, np.float32)
    if to_rgb:
        axis = 0 if first else -1
        array = array.flip(axis) if isinstance(img, Tensor) else np.flip(array, axis)
    mean, std = (np.asarray(v, np.float32).reshape((-1, 1, 1) if first else (1, 1, -1)) for v in (mean, std))
    if isinstance(img, Tensor):
        return (array - _to_tensor(mean, place=img.place)) / _to_tensor(std, place=img.place)
    return (array - mean) / std


def resize(img, size, interpolation="bilinear"):
    """The picture of size (height, width), or with its shorter side of `size`. interpolation: "nearest" or "bilinear".

    Arrays are read at the new pixels' middles, as OpenCV does; PIL images are resized by PIL, which averages.
    """
    height, width = size_of(img)
    if isinstance(size, int):
        if min(height, width) == size:
            return img
        size = (size, int(size * width / height)) if height < width else (int(size * height / width), size)
    size = _pair("resize", size)
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(explain("resize", "interpolation 'nearest' or 'bilinear'", repr(interpolation)))
    if is_pil(img):
        return img.resize(size[::-1], getattr(sys.modules["PIL.Image"].Resampling, interpolation.upper()))
    return _resized(img, size, interpolation)


@on_arrays
def _resized(img, size, interpolation):
    if interpolation == "nearest":
        rows, columns = (np.arange(new) * old // new for new, old in zip(size, img.shape[:2], strict=True))
        return img[rows][:, columns]
    out = img.astype(np.float64)
    for axis, new in enumerate(size):
        old = img.shape[axis]
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.minimum(at.astype(np.int64), max(old - 2, 0))
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(out.ndim)])
        out = out.take(low, axis) * (1 - part) + out.take(np.minimum(low + 1, old - 1), axis) * part
    return _like(img, out)


@on_arrays
def crop(img, top, left, height, width):
    """The rectangle whose upper left corner is (top, left)."""
    return img[top:top + height, left:left + width]


@on_arrays
def center_crop(img, output_size):
    """The middle (height, width) of the picture."""
    height, width = _pair("center_crop", output_size)
    top, left = (round((have - want) / 2) for have, want in zip(img.shape[:2], (height, width), strict=True))
    return img[top:top + height, left:left + width]


@on_arrays
def hflip(img):
    """Left and right exchanged."""
    return np.ascontiguousarray(img[:, ::-1])


@on_arrays
def vflip(img):
    """Top and bottom exchanged."""
    return np.ascontiguousarray(img[::-1])


@on_arrays
def pad(img, padding, fill=0, padding_mode="constant"):
    """A border around the picture. padding: one width, (left and right, top and bottom), or (left, top, right, bottom).

    padding_mode: "constant" (fill: a number, or one per channel), "edge", "reflect" or "symmetric".
    """
    sides = [padding] * 4 if isinstance(padding, int) else list(padding)
    sides = sides * 2 if len(sides) == 2 else sides
    if len(sides) != 4 or padding_mode not in _PADDINGS:
        raise ValueError(explain("pad", f"1, 2 or 4 widths and a mode among {_PADDINGS}",
                                 f"{padding!r}, {padding_mode!r}"))
    left, top, right, bottom = sides
    widths = [(top, bottom), (left, right), (0, 0)][:img.ndim]
    if padding_mode != "constant":
        return np.pad(img, widths, mode=padding_mode)
    out = np.empty([n + a + b for n, (a, b) in zip(img.shape, widths, strict=True)], img.dtype)
    out[...] = fill
    out[top:top + img.shape[0], left:left + img.shape[1]] = img
    return out
