"""Changes of pictures before a network sees them: functions, and the same as objects for a dataset's `transform`."""
from gpuflow.vision.transforms.colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    to_grayscale,
)
from gpuflow.vision.transforms.functional import (
    center_crop,
    crop,
    hflip,
    normalize,
    pad,
    resize,
    to_tensor,
    vflip,
)
from gpuflow.vision.transforms.geometry import affine, erase, perspective, rotate
from gpuflow.vision.transforms.jitter import (
    BrightnessTransform,
    ColorJitter,
    ContrastTransform,
    HueTransform,
    RandomAffine,
    RandomErasing,
    RandomPerspective,
    RandomRotation,
    SaturationTransform,
)
from gpuflow.vision.transforms.objects import (
    BaseTransform,
    CenterCrop,
    Compose,
    Grayscale,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    ToTensor,
    Transpose,
)

__all__ = ["BaseTransform", "BrightnessTransform", "CenterCrop", "ColorJitter", "Compose", "ContrastTransform",
           "Grayscale", "HueTransform", "Normalize", "Pad", "RandomAffine", "RandomCrop", "RandomErasing",
           "RandomHorizontalFlip", "RandomPerspective", "RandomResizedCrop", "RandomRotation", "RandomVerticalFlip",
           "Resize", "SaturationTransform", "ToTensor", "Transpose", "adjust_brightness", "adjust_contrast",
           "adjust_hue", "adjust_saturation", "affine", "center_crop", "crop", "erase", "hflip", "normalize", "pad",
           "perspective", "resize", "rotate", "to_grayscale", "to_tensor", "vflip"]
