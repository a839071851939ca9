"""Changes of pictures before a network sees them: functions, and the same as objects for a dataset's `transform`."""
from gpuflow.vision.transforms.functional import (
    adjust_brightness,
    center_crop,
    crop,
    hflip,
    normalize,
    pad,
    resize,
    to_grayscale,
    to_tensor,
    vflip,
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

__all__ = ["BaseTransform", "CenterCrop", "Compose", "Grayscale", "Normalize", "Pad", "RandomCrop",
           "RandomHorizontalFlip", "RandomResizedCrop", "RandomVerticalFlip", "Resize", "ToTensor", "Transpose",
           "adjust_brightness", "center_crop", "crop", "hflip", "normalize", "pad", "resize", "to_grayscale",
           "to_tensor", "vflip"]
