"""Operations of networks that look for objects."""
from pathlib import Path

import numpy as np

from gpuflow.nn.deform import DeformConv2D as DeformConv2D, deform_conv2d as deform_conv2d
from gpuflow.tensor import to_tensor
from gpuflow.vision.boxes import box_coder, distribute_fpn_proposals, generate_proposals, nms, prior_box
from gpuflow.vision.regions import PSRoIPool, RoIAlign, RoIPool, psroi_pool, roi_align, roi_pool
from gpuflow.vision.yolo import yolo_box, yolo_loss

__all__ = ["DeformConv2D", "PSRoIPool", "RoIAlign", "RoIPool", "box_coder", "decode_jpeg", "deform_conv2d",
           "distribute_fpn_proposals", "generate_proposals", "nms", "prior_box", "psroi_pool", "read_file", "roi_align",
           "roi_pool", "yolo_box", "yolo_loss"]


def read_file(filename, name=None):
    """The bytes of a file: uint8 [size], on the CPU."""
    return to_tensor(np.frombuffer(Path(filename).read_bytes(), np.uint8), place="cpu")


def decode_jpeg(x, mode="unchanged", name=None):
    """The picture uint8 [channels, H, W] in the bytes of a JPEG file, by Pillow. mode: "unchanged", "gray" or "rgb"."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(x.numpy().tobytes())) as picture:
        array = np.asarray(picture.convert({"gray": "L", "rgb": "RGB"}[mode]) if mode != "unchanged" else picture)
    return to_tensor(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))
