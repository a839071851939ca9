"""What YOLOv3 (Redmon, Farhadi, 2018) makes of its last maps: boxes, and a loss.

The maps are [N, A (5 + classes), H, W]: for each of A anchors and each place x, y, width, height, confidence, classes.
"""
import numpy as np

from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional.creation import arange, full_like, ones_like, zeros_like
from gpuflow.functional.manipulation import concat, reshape, stack
from gpuflow.functional.search import gather, put_along_axis, take_along_axis, where
from gpuflow.nn.functional import binary_cross_entropy_with_logits, one_hot, sigmoid
from gpuflow.tensor import to_tensor


def _maps(where, x, anchors, classes, more=0):
    """x as [N, A, 5 + classes, H, W], after `more` maps per anchor that come first; and these, or None."""
    if len(x.shape) != 4 or x.shape[1] != anchors * (5 + classes + more):
        raise ValueError(explain(where, f"maps [N, {anchors} * {5 + classes + more}, H, W]", str(list(x.shape))))
    first, rest = x[:, :anchors * more], x[:, anchors * more:]
    return reshape(rest, [0, anchors, 5 + classes, *x.shape[2:]]), first if more else None


def _constant(array, x, dtype=None):
    return to_tensor(array, x.dtype if dtype is None else dtype, x.place if in_dynamic_mode() else None)


def _boxes(x, anchors, scale_x_y, downsample_ratio):
    """(middle x, middle y, width, height) of the boxes in the maps x, as parts of the picture."""
    height, width = x.shape[3:]
    shift = 0.5 * (scale_x_y - 1)
    sizes = _constant(np.array(anchors, np.float32).reshape(1, -1, 2, 1, 1), x)
    columns, rows = arange(width, dtype=x.dtype), arange(height, dtype=x.dtype).unsqueeze(1)
    middle_x = (sigmoid(x[:, :, 0]) * scale_x_y - shift + columns) / width
    middle_y = (sigmoid(x[:, :, 1]) * scale_x_y - shift + rows) / height
    return (middle_x, middle_y, x[:, :, 2].exp() * sizes[:, :, 0] / (downsample_ratio * width),
            x[:, :, 3].exp() * sizes[:, :, 1] / (downsample_ratio * height))


def yolo_box(x, img_size, anchors, class_num, conf_thresh, downsample_ratio, clip_bbox=True, name=None, scale_x_y=1.0,
             iou_aware=False, iou_aware_factor=0.5):
    """(boxes [N, A H W, 4] in pixels, scores [N, A H W, class_num]) of maps x; zeros where the confidence is below
    conf_thresh.

    img_size [N, 2]: height and width of each picture. anchors: widths and heights of A boxes in pixels of the network's
    input, which is downsample_ratio times as large as the maps. clip_bbox: boxes end with the picture. iou_aware: A
    further maps come first, and say how well the boxes fit: their share in the confidence is iou_aware_factor.
    """
    count = len(anchors) // 2
    maps, fit = _maps("yolo_box", x, count, class_num, int(iou_aware))
    middle_x, middle_y, width, height = _boxes(maps, anchors, scale_x_y, downsample_ratio)
    confidence = sigmoid(maps[:, :, 4])
    if fit is not None:
        confidence = confidence ** (1 - iou_aware_factor) * sigmoid(fit) ** iou_aware_factor
    seen = (confidence >= conf_thresh).astype(x.dtype)
    size = reshape(img_size.astype(x.dtype), [0, 2, 1, 1, 1])
    high, wide = size[:, 0], size[:, 1]
    sides = [(middle_x - width / 2) * wide, (middle_y - height / 2) * high,
             (middle_x + width / 2) * wide, (middle_y + height / 2) * high]
    if clip_bbox:
        sides = [sides[0].clip(min=0.0), sides[1].clip(min=0.0), sides[2].minimum(wide - 1), sides[3].minimum(high - 1)]
    boxes = stack([side * seen for side in sides], -1)
    scores = sigmoid(maps[:, :, 5:]) * (confidence * seen).unsqueeze(2)
    places = count * x.shape[2] * x.shape[3]
    return reshape(boxes, [0, places, 4]), reshape(scores.transpose([0, 1, 3, 4, 2]), [0, places, class_num])


def _cross(logit, label):
    return binary_cross_entropy_with_logits(logit, label, reduction="none")


def _share(middles, sizes, others, other_sizes):
    """The overlaps of boxes by middles and sizes, each a pair (x, y), by the area that both cover."""
    shared = 1.0
    for middle, size, other, other_size in zip(middles, sizes, others, other_sizes, strict=True):
        high = (middle + size / 2).minimum(other + other_size / 2)
        shared = (high - (middle - size / 2).maximum(other - other_size / 2)).clip(min=0.0) * shared
    return shared / (sizes[0] * sizes[1] + other_sizes[0] * other_sizes[1] - shared).clip(min=1e-10)


def yolo_loss(x, gt_box, gt_label, anchors, anchor_mask, class_num, ignore_thresh, downsample_ratio, gt_score=None,
              use_label_smooth=True, name=None, scale_x_y=1.0):
    """[N]: the loss of maps x of the anchors that anchor_mask numbers.

    gt_box [N, B, 4]: (middle x, middle y, width, height) of the objects as parts of the picture, zeros where there are
    fewer; gt_label [N, B] their classes; gt_score [N, B] how much each counts. An object belongs to the anchor that
    fits its size best, if anchor_mask has it, at its place. Where there is none the confidence should be low, but for
    boxes that overlap an object by more than ignore_thresh. anchors, downsample_ratio: as in `yolo_box`.
    """
    mask, (height, width) = list(anchor_mask), x.shape[2:]
    maps, _ = _maps("yolo_loss", x, len(mask), class_num)
    sizes, objects = np.array(anchors, np.float32).reshape(-1, 2), gt_box.shape[1]
    boxes = [gt_box[..., k].detach() for k in range(4)]
    there = (boxes[2] > 1e-6).astype(x.dtype) * (boxes[3] > 1e-6).astype(x.dtype)
    weight = there if gt_score is None else there * gt_score.astype(x.dtype).detach()

    parts = _constant(sizes / (downsample_ratio * np.array([width, height], np.float32)), x)
    wide, high = (boxes[k].unsqueeze(-1) for k in (2, 3))
    anchor = _share((0, 0), (wide, high), (0, 0), (parts[:, 0], parts[:, 1])).argmax(-1)
    numbers = np.full(len(sizes), -1)
    numbers[mask] = np.arange(len(mask))
    number = reshape(gather(_constant(numbers, x, np.int64), reshape(anchor, [-1])), [-1, objects])
    column, row = (boxes[0] * width).floor(), (boxes[1] * height).floor()
    place = (number * height + row.astype("int64")) * width + column.astype("int64")
    ours = (number >= 0).astype(x.dtype) * there

    cells = reshape(maps.transpose([0, 1, 3, 4, 2]), [0, -1, 5 + class_num])
    at = take_along_axis(cells, place.clip(min=0).unsqueeze(-1), 1)
    of_anchor = reshape(gather(parts, reshape(anchor, [-1])), [-1, objects, 2])
    away = [(at[..., k + 2] - (boxes[k + 2].clip(min=1e-6) / of_anchor[..., k]).log()).abs() for k in (0, 1)]
    loss = _cross(at[..., 0], boxes[0] * width - column) + _cross(at[..., 1], boxes[1] * height - row) + sum(away)
    loss = loss * (2 - boxes[2] * boxes[3])
    smooth = min(1 / class_num, 1 / 40) if use_label_smooth else 0.0
    labels = one_hot(gt_label, class_num).astype(x.dtype) * (1 - 2 * smooth) + smooth
    loss = ((loss + _cross(at[..., 5:], labels).sum(-1)) * ours * weight).sum(1)

    guesses = [reshape(g.detach(), [0, -1, 1]) for g in _boxes(maps, sizes[mask], scale_x_y, downsample_ratio)]
    truths = [b.unsqueeze(1) for b in boxes]
    best = (_share(guesses[:2], guesses[2:], truths[:2], truths[2:]) * there.unsqueeze(1)).max(-1)
    aside = zeros_like(concat([best, best[:, :1]], 1))          # one place more, for objects that are not ours
    place = where(ours > 0, place, full_like(place, best.shape[1]))
    taken, score = (put_along_axis(aside, place, v, 1)[:, :-1] for v in (ours, ours * weight))
    free = (1 - taken) * (best <= ignore_thresh).astype(x.dtype) + taken * (score <= 1e-5).astype(x.dtype)
    sure = cells[..., 4]
    return loss + (_cross(sure, ones_like(sure)) * score + _cross(sure, zeros_like(sure)) * free).sum(1)
