"""Random changes as objects: colours, turns, views, erased parts. See objects.py."""
import numpy as np

from gpuflow import random
from gpuflow.errors import explain
from gpuflow.tensor import Tensor
from gpuflow.vision.transforms import colour, geometry
from gpuflow.vision.transforms.functional import is_pil, size_of
from gpuflow.vision.transforms.objects import BaseTransform


def _around(where, value, center, low, high):
    """(lowest, highest) for a distance from `center` or for a pair; None where nothing would change."""
    pair = (max(center - value, low), center + value) if isinstance(value, int | float) else tuple(value)
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        raise ValueError(explain(where, f"a number of at least 0 or a pair, within [{low}, {high}]", repr(value)))
    return None if pair[0] == pair[1] == center else pair


def _angles(where, value, sizes=(2,)):
    """[lowest, highest, ...] of angles for one number (-value to value) or a sequence."""
    pair = [-value, value] if isinstance(value, int | float) else list(value)
    if len(pair) not in sizes or pair[0] > pair[1]:
        raise ValueError(explain(where, f"a number of at least 0, or {' or '.join(map(str, sizes))} numbers",
                                 repr(value)))
    return [float(a) for a in pair]


class _Colour(BaseTransform):
    """A change by a factor that is evenly drawn from self.value."""

    change = staticmethod(colour.adjust_brightness)
    center, low, high = 1.0, 0.0, float("inf")

    def __init__(self, value, keys=None):
        super().__init__(keys)
        self.value = _around(type(self).__name__, value, self.center, self.low, self.high)

    def _get_params(self, inputs):
        return None if self.value is None else random.host_rng().uniform(*self.value)

    def _apply_image(self, img):
        return img if self.params is None else self.change(img, self.params)


class BrightnessTransform(_Colour):
    """`adjust_brightness` by a factor from 1 - value to 1 + value, or between the two in `value`."""


class ContrastTransform(_Colour):
    """`adjust_contrast` by a factor from 1 - value to 1 + value, or between the two in `value`."""

    change = staticmethod(colour.adjust_contrast)


class SaturationTransform(_Colour):
    """`adjust_saturation` by a factor from 1 - value to 1 + value, or between the two in `value`."""

    change = staticmethod(colour.adjust_saturation)


class HueTransform(_Colour):
    """`adjust_hue` by a part of the circle from -value to value, or between the two in `value`; 0.5 at most."""

    change = staticmethod(colour.adjust_hue)
    center, low, high = 0.0, -0.5, 0.5


class ColorJitter(BaseTransform):
    """The four changes of colours with their values, in random order."""

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0, keys=None):
        super().__init__(keys)
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self._parts = [kind(value) for kind, value in (
            (BrightnessTransform, brightness), (ContrastTransform, contrast), (SaturationTransform, saturation),
            (HueTransform, hue))]

    def _get_params(self, inputs):
        parts = [self._parts[k] for k in random.host_rng().permutation(len(self._parts))]
        return [(part.change, factor) for part in parts if (factor := part._get_params(inputs)) is not None]

    def _apply_image(self, img):
        for change, factor in self.params:
            img = change(img, factor)
        return img


class RandomRotation(BaseTransform):
    """`rotate` by an angle from -degrees to degrees, or between the two in `degrees`."""

    def __init__(self, degrees, interpolation="nearest", expand=False, center=None, fill=0, keys=None):
        super().__init__(keys)
        self.degrees = _angles("RandomRotation", degrees)
        self.interpolation, self.expand, self.center, self.fill = interpolation, expand, center, fill

    def _get_params(self, inputs):
        return random.host_rng().uniform(*self.degrees)

    def _apply_image(self, img):
        return geometry.rotate(img, self.params, self.interpolation, self.expand, self.center, self.fill)


class RandomAffine(BaseTransform):
    """`affine` with random arguments: an angle as in RandomRotation; moved by up to `translate` (parts of the width and
    of the height) either way; scale between the two in `scale`; sheared by an angle between the two in `shear`, along y
    by one between the third and the fourth if there are four."""

    def __init__(self, degrees, translate=None, scale=None, shear=None, interpolation="nearest", fill=0, center=None,
                 keys=None):
        super().__init__(keys)
        self.degrees = _angles("RandomAffine", degrees)
        self.shear = None if shear is None else _angles("RandomAffine: shear", shear, (2, 4))
        if translate is not None and (len(translate) != 2 or not all(0 <= t <= 1 for t in translate)):
            raise ValueError(explain("RandomAffine", "two parts in [0, 1] as translate", repr(translate)))
        if scale is not None and (len(scale) != 2 or not 0 < scale[0] <= scale[1]):
            raise ValueError(explain("RandomAffine", "two rising numbers above 0 as scale", repr(scale)))
        self.translate, self.scale = translate, scale
        self.interpolation, self.fill, self.center = interpolation, 0 if fill is None else fill, center

    def _get_params(self, inputs):
        rng, (height, width) = random.host_rng(), size_of(inputs[self.keys.index("image")])
        angle = rng.uniform(*self.degrees)
        reach = (0, 0) if self.translate is None else (self.translate[0] * width, self.translate[1] * height)
        translate = tuple(int(rng.uniform(-r, r)) for r in reach)
        scale = 1.0 if self.scale is None else rng.uniform(*self.scale)
        pairs = [] if self.shear is None else [self.shear[:2], self.shear[2:]]
        shear = tuple(rng.uniform(*pair) if pair else 0.0 for pair in (*pairs, [], [])[:2])
        return angle, translate, scale, shear

    def _apply_image(self, img):
        return geometry.affine(img, *self.params, self.interpolation, self.fill, self.center)


class RandomPerspective(BaseTransform):
    """`perspective` with chance `prob`: each corner comes to lie anywhere within distortion_scale times the half width
    and height from its place."""

    def __init__(self, prob=0.5, distortion_scale=0.5, interpolation="nearest", fill=0, keys=None):
        super().__init__(keys)
        if not 0 <= prob <= 1 or not 0 <= distortion_scale <= 1:
            raise ValueError(explain("RandomPerspective", "prob and distortion_scale in [0, 1]",
                                     f"{prob}, {distortion_scale}"))
        self.prob, self.distortion_scale, self.interpolation, self.fill = prob, distortion_scale, interpolation, fill

    def _get_params(self, inputs):
        rng = random.host_rng()
        if rng.random() >= self.prob:
            return None
        height, width = size_of(inputs[self.keys.index("image")])
        corners = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
        reach = [int(self.distortion_scale * (size // 2)) + 1 for size in (width, height)]
        ends = [[abs(at - int(rng.integers(0, r))) for at, r in zip(corner, reach, strict=True)] for corner in corners]
        return corners, ends

    def _apply_image(self, img):
        return img if self.params is None else geometry.perspective(img, *self.params, self.interpolation, self.fill)


class RandomErasing(BaseTransform):
    """`erase` of a random rectangle with chance `prob` (Zhong et al., 2017).

    scale: its share of the picture's area. ratio: its height by its width. value: a number, one per channel, or
    "random" for noise. A rectangle that does not fit ten times leaves the picture as it is.
    """

    def __init__(self, prob=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False, keys=None):
        super().__init__(keys)
        if not 0 <= prob <= 1 or not 0 <= scale[0] <= scale[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(explain("RandomErasing", "prob in [0, 1], rising scale in [0, 1], rising ratio above 0",
                                     f"{prob}, {scale}, {ratio}"))
        if isinstance(value, str) and value != "random":
            raise ValueError(explain("RandomErasing", "numbers or 'random' as value", repr(value)))
        self.prob, self.scale, self.ratio, self.value, self.inplace = prob, scale, ratio, value, inplace

    def _get_params(self, inputs):
        rng = random.host_rng()
        if rng.random() >= self.prob:
            return None
        height, width = size_of(inputs[self.keys.index("image")])
        for _ in range(10):
            area, ratio = height * width * rng.uniform(*self.scale), np.exp(rng.uniform(*np.log(self.ratio)))
            h, w = int(np.rint(np.sqrt(area * ratio))), int(np.rint(np.sqrt(area / ratio)))
            if h < height and w < width:
                return int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1)), h, w
        return None

    def _apply_image(self, img):
        if self.params is None:
            return img
        *_, h, w = self.params
        first = isinstance(img, Tensor)
        shape = tuple(img.shape) if first else np.shape(img)
        if self.value == "random":
            channels = shape[0] if first else shape[2] if len(shape) == 3 else 1
            value = random.host_rng().standard_normal((channels, h, w) if first else (h, w, channels))
            value = value if first else value * 255
        else:
            value = np.reshape(self.value, (-1, 1, 1) if first else (1, 1, -1))
        if not first and len(shape) == 2:
            value = value[..., 0]
        value = value if first else np.asarray(value).astype(np.uint8 if is_pil(img) else img.dtype)
        return geometry.erase(img, *self.params, value, self.inplace)
