"""Boxes that overlap: which of them to keep."""
from gpuflow import device, dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op


def overlaps(xp, boxes, extra=0.0):
    """[R, R]: the area that two boxes share, by the area that they cover. extra: what a side is longer than x2 - x1."""
    sides = xp.maximum(boxes[:, 2:] - boxes[:, :2] + extra, 0)
    areas = sides[:, 0] * sides[:, 1]
    shared = xp.minimum(boxes[:, None, 2:], boxes[:, 2:]) - xp.maximum(boxes[:, None, :2], boxes[:, :2]) + extra
    shared = xp.maximum(shared, 0)
    shared = shared[..., 0] * shared[..., 1]
    return shared / xp.maximum(areas[:, None] + areas - shared, 1e-10)


def _nms_spec(boxes, **attrs):
    if len(boxes.shape) != 2 or boxes.shape[1] not in (None, 4):
        raise ValueError(explain("nms", "boxes [R, 4]", str(list(boxes.shape))))
    return Spec((None,), dtypes.int64)


@op("nms", infer=_nms_spec)
def nms(xp, boxes, *, threshold, eta=1.0, extra=0.0):
    """int64: which boxes stay when, from the first on, each drops later ones that overlap it by more than threshold.

    eta below 1: a threshold above 0.5 shrinks by it with every box that stays. The overlaps are looked at on the host.
    """
    shares = device.to_numpy(overlaps(xp, boxes, extra))
    kept: list = []
    for k, share in enumerate(shares):
        if not (share[kept] > threshold).any():
            kept.append(k)
            threshold *= eta if threshold > 0.5 else 1.0
    return xp.asarray(kept, xp.int64)
