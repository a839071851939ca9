"""Changes of pictures as objects. What is random comes from the host's generator, which `gpuflow.seed` seeds."""
import numpy as np

from gpuflow import random
from gpuflow.errors import explain
from gpuflow.vision.transforms import colour, functional as F


class Compose:
    """Several transforms, the first one first."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, data):
        for transform in self.transforms:
            data = transform(data)
        return data


class BaseTransform:
    """The base: called with a picture, or with a tuple whose parts `keys` names.

    A subclass writes `_apply_image`, and `_apply_<key>` for other keys; parts without one, or beyond the keys, stay as
    they are. `_get_params(inputs)` draws once per call what all parts share: it is in self.params.
    """

    def __init__(self, keys=None):
        self.keys, self.params = ("image",) if keys is None else tuple(keys), None

    def _get_params(self, inputs):
        return None

    def __call__(self, inputs):
        parts = inputs if isinstance(inputs, tuple) else (inputs,)
        self.params = self._get_params(parts)
        out = list(parts)
        for i, key in enumerate(self.keys[:len(parts)]):
            apply = getattr(self, f"_apply_{key}", None)
            out[i] = parts[i] if apply is None else apply(parts[i])
        return out[0] if len(out) == 1 else tuple(out)


class ToTensor(BaseTransform):
    """`to_tensor`."""

    def __init__(self, data_format="CHW", keys=None):
        super().__init__(keys)
        self.data_format = data_format

    def _apply_image(self, img):
        return F.to_tensor(img, self.data_format)


class Resize(BaseTransform):
    """`resize`."""

    def __init__(self, size, interpolation="bilinear", keys=None):
        super().__init__(keys)
        self.size, self.interpolation = size, interpolation

    def _apply_image(self, img):
        return F.resize(img, self.size, self.interpolation)


class CenterCrop(BaseTransform):
    """`center_crop`."""

    def __init__(self, size, keys=None):
        super().__init__(keys)
        self.size = size

    def _apply_image(self, img):
        return F.center_crop(img, self.size)


class Normalize(BaseTransform):
    """`normalize`; one number stands for three channels."""

    def __init__(self, mean=0.0, std=1.0, data_format="CHW", to_rgb=False, keys=None):
        super().__init__(keys)
        self.mean, self.std = ([v] * 3 if isinstance(v, int | float) else v for v in (mean, std))
        self.data_format, self.to_rgb = data_format, to_rgb

    def _apply_image(self, img):
        return F.normalize(img, self.mean, self.std, self.data_format, self.to_rgb)


class Transpose(BaseTransform):
    """The picture as an array with its axes in `order`."""

    def __init__(self, order=(2, 0, 1), keys=None):
        super().__init__(keys)
        self.order = order

    def _apply_image(self, img):
        img = np.asarray(img)
        return (img[..., None] if img.ndim == 2 else img).transpose(self.order)


class Pad(BaseTransform):
    """`pad`."""

    def __init__(self, padding, fill=0, padding_mode="constant", keys=None):
        super().__init__(keys)
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def _apply_image(self, img):
        return F.pad(img, self.padding, self.fill, self.padding_mode)


class Grayscale(BaseTransform):
    """`to_grayscale`."""

    def __init__(self, num_output_channels=1, keys=None):
        super().__init__(keys)
        self.num_output_channels = num_output_channels

    def _apply_image(self, img):
        return colour.to_grayscale(img, self.num_output_channels)


class _Flip(BaseTransform):
    def __init__(self, prob=0.5, keys=None):
        super().__init__(keys)
        self.prob = prob

    def _get_params(self, inputs):
        return random.host_rng().random() < self.prob


class RandomHorizontalFlip(_Flip):
    """`hflip` with chance `prob`."""

    def _apply_image(self, img):
        return F.hflip(img) if self.params else img


class RandomVerticalFlip(_Flip):
    """`vflip` with chance `prob`."""

    def _apply_image(self, img):
        return F.vflip(img) if self.params else img


class RandomCrop(BaseTransform):
    """A rectangle of `size` from a random place. padding, fill, padding_mode: a border is put around first, as `pad`
    does; pad_if_needed: a border that makes the picture large enough."""

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant", keys=None):
        super().__init__(keys)
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = padding, pad_if_needed, fill, padding_mode

    def _bordered(self, img):
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            down, right = (max(want - have, 0) for want, have in zip(self.size, F.size_of(img), strict=True))
            if down or right:
                img = F.pad(img, (right, down), self.fill, self.padding_mode)
        return img

    def _get_params(self, inputs):
        places = []
        for have, want in zip(F.size_of(self._bordered(inputs[self.keys.index("image")])), self.size, strict=True):
            if have < want:
                raise ValueError(explain("RandomCrop", f"a picture of {list(self.size)} or more", str(have),
                                         "pad_if_needed=True"))
            places.append(int(random.host_rng().integers(0, have - want + 1)))
        return (*places, *self.size)

    def _apply_image(self, img):
        return F.crop(self._bordered(img), *self.params)


class RandomResizedCrop(BaseTransform):
    """A random rectangle, resized to `size` (Szegedy et al., 2014). scale: its share of the picture's area. ratio: its
    width by its height. A rectangle that does not fit ten times gives way to the largest one in the middle."""

    def __init__(self, size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), interpolation="bilinear", keys=None):
        super().__init__(keys)
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.scale, self.ratio, self.interpolation = scale, ratio, interpolation

    def _get_params(self, inputs):
        rng, (height, width) = random.host_rng(), F.size_of(inputs[self.keys.index("image")])
        for _ in range(10):
            area = height * width * rng.uniform(*self.scale)
            ratio = np.exp(rng.uniform(*np.log(self.ratio)))
            w, h = int(np.rint(np.sqrt(area * ratio))), int(np.rint(np.sqrt(area / ratio)))
            if 0 < w <= width and 0 < h <= height:
                return int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1)), h, w
        ratio = np.clip(width / height, *self.ratio)
        w, h = min(width, int(np.rint(height * ratio))), min(height, int(np.rint(width / ratio)))
        return (height - h) // 2, (width - w) // 2, h, w

    def _apply_image(self, img):
        return F.resize(F.crop(img, *self.params), self.size, self.interpolation)
