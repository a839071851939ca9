"""Regions of feature maps as small maps of one size: what detectors look at."""
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.nn.layer import Layer
from gpuflow.ops.registry import OPS


def _size(where, output_size):
    size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
    if len(size) != 2 or not all(isinstance(s, int) and s > 0 for s in size):
        raise ValueError(explain(where, "one or two sizes above 0 as output_size", repr(output_size)))
    return size


def roi_align(x, boxes, boxes_num, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=True, name=None):
    """[R, C, *output_size]: means of x [N, C, H, W] over bins of boxes [R, 4], read between pixels (He et al., 2017).

    boxes: (x1, y1, x2, y2), times spatial_scale in pixels of x; they get no gradient. boxes_num [N]: how many of them,
    in their order, belong to each picture. sampling_ratio: points a bin is read at along each axis; -1: about one per
    pixel. aligned: pixel k lies at k + 0.5, else at k, and boxes are at least one pixel wide.
    """
    return call(OPS["region_mean"], (x, boxes, boxes_num), {
        "size": _size("roi_align", output_size), "scale": float(spatial_scale), "kind": "align",
        "ratio": int(sampling_ratio), "aligned": bool(aligned)})


def psroi_pool(x, boxes, boxes_num, output_size, spatial_scale=1.0, name=None):
    """[R, C / bins, *output_size]: means of x over the whole pixels of each bin, every bin in its own channels (Dai et
    al., 2016). boxes, boxes_num and spatial_scale as in `roi_align`."""
    return call(OPS["region_mean"], (x, boxes, boxes_num), {
        "size": _size("psroi_pool", output_size), "scale": float(spatial_scale), "kind": "position"})


def roi_pool(x, boxes, boxes_num, output_size, spatial_scale=1.0, name=None):
    """[R, C, *output_size]: the largest of x in each bin of the boxes, rounded to whole pixels (Girshick, 2015); 0 in
    bins outside x. boxes, boxes_num and spatial_scale as in `roi_align`."""
    return call(OPS["region_max"], (x, boxes, boxes_num), {"size": _size("roi_pool", output_size),
                                                          "scale": float(spatial_scale)})[0]


class _Pooling(Layer):
    def __init__(self, output_size, spatial_scale=1.0):
        super().__init__()
        self._output_size, self._spatial_scale = output_size, spatial_scale

    def extra_repr(self):
        return f"output_size={self._output_size}, spatial_scale={self._spatial_scale}"


class RoIAlign(_Pooling):
    """`roi_align` of (x, boxes, boxes_num)."""

    def forward(self, x, boxes, boxes_num, aligned=True):
        return roi_align(x, boxes, boxes_num, self._output_size, self._spatial_scale, aligned=aligned)


class RoIPool(_Pooling):
    """`roi_pool` of (x, boxes, boxes_num)."""

    def forward(self, x, boxes, boxes_num):
        return roi_pool(x, boxes, boxes_num, self._output_size, self._spatial_scale)


class PSRoIPool(_Pooling):
    """`psroi_pool` of (x, boxes, boxes_num)."""

    def forward(self, x, boxes, boxes_num):
        return psroi_pool(x, boxes, boxes_num, self._output_size, self._spatial_scale)
