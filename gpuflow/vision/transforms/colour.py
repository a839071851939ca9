"""Colours of one picture, whose channels are red, green and blue (gray pictures have one)."""
import numpy as np

from gpuflow.errors import explain
from gpuflow.vision.transforms.functional import on_arrays

_BRIGHTNESS = np.array([0.299, 0.587, 0.114])


def _cast(img, numbers, whole=np.rint):
    """Numbers as img's dtype; for integers made whole and within its limits."""
    if img.dtype.kind in "iu":
        limits = np.iinfo(img.dtype)
        numbers = np.clip(whole(numbers), limits.min, limits.max)
    return numbers.astype(img.dtype)


def _gray(img):
    """[H, W, 1]: the brightness, in img's dtype."""
    img = img.reshape(*img.shape[:2], -1)
    return _cast(img, img @ _BRIGHTNESS)[..., None] if img.shape[2] == 3 else img


def _mixed(where, img, other, share):
    """share of the picture and 1 - share of another; share may be over 1."""
    if share < 0:
        raise ValueError(explain(where, "a factor of at least 0", str(share)))
    wide = np.float32 if img.dtype.kind in "iu" else img.dtype.type   # PIL's arithmetic, to the last level
    other = np.asarray(other, wide)
    return _cast(img, other + wide(share) * (img.astype(wide) - other), np.trunc)


@on_arrays
def to_grayscale(img, num_output_channels=1):
    """The brightness 0.299 R + 0.587 G + 0.114 B, once or three times."""
    if num_output_channels not in (1, 3):
        raise ValueError(explain("to_grayscale", "num_output_channels 1 or 3", str(num_output_channels)))
    return np.repeat(_gray(img), num_output_channels, axis=2)


@on_arrays
def adjust_brightness(img, brightness_factor):
    """The picture times brightness_factor: 0 is black."""
    return _mixed("adjust_brightness", img, 0.0, brightness_factor)


@on_arrays
def adjust_contrast(img, contrast_factor):
    """Away from the mean brightness by contrast_factor: 0 is all gray."""
    mean = _gray(img).mean(dtype=np.float64)
    return _mixed("adjust_contrast", img, mean if img.dtype.kind == "f" else np.floor(mean + 0.5), contrast_factor)


@on_arrays
def adjust_saturation(img, saturation_factor):
    """Away from the gray picture by saturation_factor: 0 is gray, 1 the picture itself."""
    gray = _gray(img).reshape(*img.shape[:2], *[1] * (img.ndim - 2))
    return _mixed("adjust_saturation", img, gray, saturation_factor)


@on_arrays
def adjust_hue(img, hue_factor):
    """Hues turned by hue_factor of the circle, -0.5 to 0.5. A gray picture stays as it is."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(explain("adjust_hue", "hue_factor in [-0.5, 0.5]", str(hue_factor)))
    if img.shape[2:] != (3,):
        return img
    rgb = img.astype(np.float64)
    top, bottom = rgb.max(-1), rgb.min(-1)
    width = np.where(top == bottom, 1.0, top - bottom)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    hue = np.where(top == red, (green - blue) / width,       # in sixths of the circle, from red on
                   np.where(top == green, 2 + (blue - red) / width, 4 + (red - green) / width))
    around = (hue[..., None] + 6 * hue_factor + np.array([5.0, 3.0, 1.0])) % 6
    share = np.clip(np.minimum(around, 4 - around), 0, 1)
    return _cast(img, top[..., None] - (top - bottom)[..., None] * share)
