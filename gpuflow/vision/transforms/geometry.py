"""Places of one picture's pixels: turned, sheared, seen from aside, erased.

A pixel covers [x, x + 1) x [y, y + 1), and its middle is where it is read. A matrix [3, 3] leads from a place (x, y, 1)
of the new picture to the place of the old one, up to a factor.
"""
import math

import numpy as np

from gpuflow.errors import explain
from gpuflow.tensor import Tensor, to_tensor
from gpuflow.vision.transforms.functional import on_arrays


def _warped(where, img, matrix, size, interpolation, fill):
    """The picture of `size` that `matrix` reads out of img; `fill` (a number, or one per channel) outside."""
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(explain(where, "interpolation 'nearest' or 'bilinear'", repr(interpolation)))
    height, width = img.shape[:2]
    y, x = np.mgrid[:size[0], :size[1]] + 0.5
    x, y, z = np.tensordot(matrix, np.stack([x, y, np.ones_like(x)]), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = x / z, y / z
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    out = np.empty((*size, *img.shape[2:]), img.dtype)
    out[...] = fill
    if interpolation == "nearest":
        read = img[y.astype(np.int64), x.astype(np.int64)]
    else:
        read = _between(img.astype(np.float64), y - 0.5, x - 0.5)
        read = (np.trunc(read + 1e-6) if img.dtype.kind in "iu" else read).astype(img.dtype)
    out[inside] = read[inside]
    return out


def _between(img, y, x):
    """Weighted means of the four pixels around each place, those beyond the border being the ones at it."""
    rows, columns = (np.floor(v).astype(np.int64) for v in (y, x))
    down, right = ((v - low).reshape(*v.shape, *[1] * (img.ndim - 2)) for v, low in ((y, rows), (x, columns)))
    (above, below), (left, beside) = ([np.clip(low + k, 0, size - 1) for k in (0, 1)]
                                      for low, size in ((rows, img.shape[0]), (columns, img.shape[1])))
    upper = img[above, left] * (1 - right) + img[above, beside] * right
    lower = img[below, left] * (1 - right) + img[below, beside] * right
    return upper * (1 - down) + lower * down


def _turning(center, angle, translate, scale, shear):
    """The matrix of `affine`: the way back from its turn by `angle` degrees with the clock, and so on."""
    turn, (shear_x, shear_y) = math.radians(angle), map(math.radians, shear)
    a, c = math.cos(turn - shear_y) / math.cos(shear_y), math.sin(turn - shear_y) / math.cos(shear_y)
    b, d = -a * math.tan(shear_x) - math.sin(turn), -c * math.tan(shear_x) + math.cos(turn)
    matrix = np.array([[d, -b, 0.0], [-c, a, 0.0], [0.0, 0.0, scale]]) / scale
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = np.negative(center) - translate, center
    return back @ matrix @ there


def _center(img, center):
    return (img.shape[1] / 2, img.shape[0] / 2) if center is None else tuple(center)


@on_arrays
def affine(img, angle, translate, scale, shear, interpolation="nearest", fill=0, center=None):
    """The picture turned by `angle` degrees with the clock, sheared by `shear` degrees (along x, or along x and y),
    `scale` times as large, and moved by translate (right, down).

    center: (x, y) of the point that the first three leave in place; default: the middle.
    """
    shear = (shear, 0.0) if isinstance(shear, int | float) else tuple(shear)
    if len(translate) != 2 or not 1 <= len(shear) <= 2 or scale <= 0:
        raise ValueError(explain("affine", "two numbers as translate, one or two as shear, and scale above 0",
                                 f"{translate}, {shear}, {scale}"))
    shear = (*shear, 0.0)[:2]
    matrix = _turning(_center(img, center), angle, translate, scale, shear)
    return _warped("affine", img, matrix, img.shape[:2], interpolation, fill)


@on_arrays
def rotate(img, angle, interpolation="nearest", expand=False, center=None, fill=0):
    """The picture turned by `angle` degrees against the clock round center (x, y), by default its middle.

    expand: the picture grows so that it holds the whole of the turned one (the middle is the center then).
    """
    height, width = img.shape[:2]
    matrix, size = _turning(_center(img, center), -angle, (0, 0), 1.0, (0, 0)), (height, width)
    if expand:
        corners = np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]])
        places = np.round(matrix @ corners, 9)[:2]
        columns, rows = (math.ceil(p.max()) - math.floor(p.min()) for p in places)
        move = np.eye(3)
        move[:2, 2] = (width - columns) / 2, (height - rows) / 2
        matrix, size = matrix @ move, (rows, columns)
    return _warped("rotate", img, matrix, size, interpolation, fill)


@on_arrays
def perspective(img, startpoints, endpoints, interpolation="nearest", fill=0):
    """The picture seen from aside: its four points (x, y) `startpoints` come to lie at `endpoints`."""
    old, new = (np.asarray(p, np.float64).reshape(-1, 2) for p in (startpoints, endpoints))
    if old.shape != (4, 2) or new.shape != (4, 2):
        raise ValueError(explain("perspective", "four points (x, y) each", f"{startpoints} and {endpoints}"))
    rows, numbers = [], []
    for (x, y), place in zip(new, old, strict=True):
        for axis, target in enumerate(place):
            own = [[x, y, 1, 0, 0, 0], [0, 0, 0, x, y, 1]][axis]
            rows.append([*own, -target * x, -target * y])
            numbers.append(target)
    matrix = np.append(np.linalg.lstsq(np.array(rows), np.array(numbers), rcond=None)[0], 1.0).reshape(3, 3)
    return _warped("perspective", img, matrix, img.shape[:2], interpolation, fill)


def erase(img, i, j, h, w, v, inplace=False):
    """The picture with the numbers v in the rectangle of h x w whose upper left corner is (i, j).

    v: shaped like that part of the picture (an array [h, w, C], or a tensor [C, h, w]) or broadcast to it.
    inplace: an array or a tensor is changed itself.
    """
    if isinstance(img, Tensor):
        out = img if inplace else img.clone()
        out[..., i:i + h, j:j + w] = v if isinstance(v, Tensor) else to_tensor(v, img.dtype, img.place)
        return out
    return _erased(img, i, j, h, w, v, inplace)


@on_arrays
def _erased(img, i, j, h, w, v, inplace):
    out = img if inplace and img.flags.writeable else img.copy()
    out[i:i + h, j:j + w] = v
    return out
