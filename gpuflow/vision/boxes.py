"""Boxes of objects (x1, y1, x2, y2): guessed, coded as differences, sorted out."""
import math

import numpy as np

from gpuflow.autograd.modes import no_grad
from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional.manipulation import concat, stack
from gpuflow.functional.search import argsort
from gpuflow.ops.registry import OPS
from gpuflow.tensor import to_tensor


def _eager(where):
    if not in_dynamic_mode():
        raise RuntimeError(explain(where, "eager mode, since the numbers decide the shapes", "a Program being built"))


def nms(boxes, iou_threshold=0.3, scores=None, category_idxs=None, categories=None, top_k=None):
    """int64: the boxes [R, 4] that stay when each drops the worse ones that overlap it by more than iou_threshold.

    scores [R]: the better ones come first, in the result as well; None: the boxes are in order. category_idxs [R]:
    boxes drop those of their own category only, of those in `categories`. top_k: at most so many.
    """
    how = {"threshold": float(iou_threshold)}
    if scores is None:
        return call(OPS["nms"], (boxes,), how)
    order = argsort(scores, descending=True, stable=True)
    if category_idxs is None:
        return order[call(OPS["nms"], (boxes[order],), how)]
    if categories is None or (top_k is not None and top_k > scores.shape[0]):
        raise ValueError(explain("nms", f"categories, and top_k of at most {scores.shape[0]}",
                                 f"{categories} and {top_k}"))
    _eager("nms with categories")
    own, order = category_idxs.numpy(), order.numpy()
    kept = []
    for category in categories:
        mine = to_tensor(order[own[order] == int(category)], place=boxes.place)
        if mine.shape[0]:
            kept.append(mine[call(OPS["nms"], (boxes[mine],), how)].numpy())
    stay = set(np.concatenate(kept).tolist()) if kept else ()
    return to_tensor(np.array([i for i in order if i in stay], np.int64)[:top_k], place=boxes.place)


def _sizes(boxes, normalized):
    """(center x, center y, width, height) of boxes [..., 4]."""
    extra = 0.0 if normalized else 1.0
    width, height = (boxes[..., k + 2] - boxes[..., k] + extra for k in (0, 1))
    return boxes[..., 0] + width / 2, boxes[..., 1] + height / 2, width, height


def box_coder(prior_box, prior_box_var, target_box, code_type="encode_center_size", box_normalized=True, axis=0,
              name=None):
    """Boxes as differences from prior boxes [M, 4], or the way back.

    "encode_center_size": target_box [N, 4] to [N, M, 4]: the way of the center by the prior's size, the logarithm of
    the sizes' quotient, divided by prior_box_var ([M, 4], four numbers, or None). "decode_center_size": target_box
    [N, M, 4] to boxes; the priors lie along its axis 1 - axis. box_normalized False: a side is one longer than x2 - x1.
    """
    if code_type not in ("encode_center_size", "decode_center_size") or axis not in (0, 1):
        raise ValueError(explain("box_coder", "code_type 'encode_center_size' or 'decode_center_size' and axis 0 or 1",
                                 f"{code_type!r}, {axis}"))
    variance = prior_box_var
    if variance is not None and not hasattr(variance, "stop_gradient"):
        variance = to_tensor(np.asarray(variance, np.float32).reshape(1, 4), prior_box.dtype, prior_box.place)
    if code_type == "encode_center_size":
        x, y, width, height = _sizes(prior_box, box_normalized)
        _, _, own_width, own_height = (v.unsqueeze(1) for v in _sizes(target_box, box_normalized))
        own_x, own_y = ((target_box[:, k] + target_box[:, k + 2]).unsqueeze(1) / 2 for k in (0, 1))
        out = stack([(own_x - x) / width, (own_y - y) / height, (own_width / width).abs().log(),
                     (own_height / height).abs().log()], -1)
        return out if variance is None else out / variance
    prior = prior_box.unsqueeze(axis)
    if variance is not None:
        target_box = target_box * (variance.unsqueeze(axis) if variance.shape[0] != 1 else variance)
    x, y, width, height = _sizes(prior, box_normalized)
    x, y = target_box[..., 0] * width + x, target_box[..., 1] * height + y
    width, height = target_box[..., 2].exp() * width / 2, target_box[..., 3].exp() * height / 2
    extra = 0.0 if box_normalized else 1.0
    return stack([x - width, y - height, x + width - extra, y + height - extra], -1)


def prior_box(input, image, min_sizes, max_sizes=None, aspect_ratios=(1.0,), variance=(0.1, 0.1, 0.2, 0.2),
              flip=False, clip=False, steps=(0.0, 0.0), offset=0.5, min_max_aspect_ratios_order=False, name=None):
    """(boxes, variances), both [H, W, priors, 4]: boxes around each place of input [N, C, H, W], as picture's parts.

    Only the shapes of input and image are looked at. A box of each of min_sizes (in pixels) for each aspect ratio (and
    its inverse, with flip), and a square between it and its partner of max_sizes: behind those of other ratios, or
    right after the square one (min_max_aspect_ratios_order). steps: pixels from place to place along x and y, 0: as
    they fit; offset: where in a step the middle lies. clip: boxes end with the picture.
    """
    small, large, ratios = (np.atleast_1d(np.asarray(() if v is None else v, np.float64)).tolist()
                            for v in (min_sizes, max_sizes, aspect_ratios))
    if large and len(large) != len(small):
        raise ValueError(explain("prior_box", "as many max_sizes as min_sizes", f"{len(large)} and {len(small)}"))
    shapes = [1.0]
    for ratio in ratios:
        if all(abs(ratio - known) >= 1e-6 for known in shapes):
            shapes += [ratio, 1 / ratio] if flip else [ratio]
    sizes = []
    for k, size in enumerate(small):
        boxes = [(size * math.sqrt(r), size / math.sqrt(r)) for r in shapes]
        square = [(math.sqrt(size * large[k]),) * 2] if large else []
        sizes += [boxes[0], *square, *boxes[1:]] if min_max_aspect_ratios_order else [*boxes, *square]
    places, whole = input.shape[2:], image.shape[2:]
    step = [s or whole[1 - k] / places[1 - k] for k, s in enumerate(steps)]
    y, x = ((np.arange(places[k]) + offset) * step[1 - k] for k in (0, 1))
    center = np.stack(np.meshgrid(x, y), -1)[:, :, None]
    half = np.array(sizes) / 2
    found = np.concatenate([center - half, center + half], -1) / np.tile(whole[::-1], 2)
    found = np.clip(found, 0, 1) if clip else found
    variances = np.broadcast_to(np.asarray(variance, np.float64), found.shape)
    return tuple(to_tensor(a, input.dtype, input.place if in_dynamic_mode() else None) for a in (found, variances))


def distribute_fpn_proposals(fpn_rois, min_level, max_level, refer_level, refer_scale, pixel_offset=False,
                             rois_num=None, name=None):
    """Regions [R, 4] by the level of a feature pyramid that suits their size: (regions of each level, restore_ind int32
    [R, 1], rois_num of each level or None). Eager mode only.

    A region of refer_scale pixels square belongs to refer_level, one of twice the side to the next. restore_ind: where
    each region has gone in the levels one after another. rois_num [N]: how many belong to each picture. pixel_offset:
    a side is one longer than x2 - x1.
    """
    _eager("distribute_fpn_proposals")
    if not 0 < min_level < max_level:
        raise ValueError(explain("distribute_fpn_proposals", "0 < min_level < max_level", f"{min_level}, {max_level}"))
    boxes = fpn_rois.numpy()
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = np.where((sides < 0).any(1), 0, np.prod(sides + float(pixel_offset), axis=1))
    levels = np.floor(np.log2(np.sqrt(areas) / refer_scale + 1e-8) + refer_level)
    levels = np.clip(levels, min_level, max_level).astype(np.int64)
    order = np.argsort(levels, kind="stable")
    restore = np.empty((len(order), 1), np.int32)
    restore[order, 0] = np.arange(len(order))
    parts = [np.flatnonzero(levels == level) for level in range(min_level, max_level + 1)]
    counts = None
    if rois_num is not None:
        ends = np.cumsum(rois_num.numpy())
        owners = [np.searchsorted(ends, part, side="right") for part in parts]
        counts = [to_tensor(np.bincount(owner, minlength=len(ends)).astype(np.int32), place=fpn_rois.place)
                  for owner in owners]
    return ([fpn_rois[to_tensor(part, place=fpn_rois.place)] for part in parts],
            to_tensor(restore, place=fpn_rois.place), counts)


@no_grad()
def generate_proposals(scores, bbox_deltas, img_size, anchors, variances, pre_nms_top_n=6000, post_nms_top_n=1000,
                       nms_thresh=0.5, min_size=0.1, eta=1.0, pixel_offset=False, return_rois_num=False, name=None):
    """(regions [R, 4], their scores [R, 1], int32 [N] how many of each picture or None). No gradient; eager mode only.

    scores [N, A, H, W] of anchors [H, W, A, 4], bbox_deltas [N, 4 A, H, W] as box_coder codes them, img_size [N, 2]
    (height, width). Of each picture the pre_nms_top_n best are decoded and cut off at its border, those with sides
    below max(min_size, 1) dropped, and post_nms_top_n left by nms. pixel_offset: a side is one longer than x2 - x1.
    """
    _eager("generate_proposals")
    extra = float(pixel_offset)
    anchors, variances = anchors.reshape([-1, 4]), variances.reshape([-1, 4])
    regions, probabilities, counts = [], [], []
    for score, delta, size in zip(scores, bbox_deltas, img_size.numpy(), strict=True):
        score = score.transpose([1, 2, 0]).reshape([-1])
        delta = delta.reshape([-1, 4, *delta.shape[1:]]).transpose([2, 3, 0, 1]).reshape([-1, 4])
        best = argsort(score, descending=True, stable=True)
        best = best[:pre_nms_top_n] if pre_nms_top_n > 0 else best
        score, move = score[best], delta[best] * variances[best]
        move = concat([move[:, :2], move[:, 2:].clip(max=math.log(1000 / 16))], 1)
        boxes = box_coder(anchors[best], None, move.unsqueeze(0), "decode_center_size", not pixel_offset)[0]
        high = to_tensor(np.tile(size[::-1], 2).astype(boxes.dtype.name), place=boxes.place) - extra
        boxes = boxes.minimum(high).clip(min=0.0)
        sides = (boxes[:, 2:] - boxes[:, :2] + extra).numpy()
        fits = (sides >= max(min_size, 1.0)).all(1)
        if pixel_offset:
            fits &= (boxes.numpy()[:, :2] + sides / 2 <= size[::-1]).all(1)
        fits = to_tensor(np.flatnonzero(fits), place=boxes.place)
        boxes, score = boxes[fits], score[fits]
        if not len(boxes):
            boxes, score = boxes.new_zeros([1, 4]), score.new_zeros([1])
        if nms_thresh > 0:
            kept = call(OPS["nms"], (boxes,), {"threshold": float(nms_thresh), "eta": float(eta), "extra": extra})
            kept = kept[:post_nms_top_n] if post_nms_top_n > 0 else kept
            boxes, score = boxes[kept], score[kept]
        regions.append(boxes)
        probabilities.append(score.unsqueeze(1))
        counts.append(len(boxes))
    number = to_tensor(np.array(counts, np.int32), place=scores.place) if return_rois_num else None
    return concat(regions, 0), concat(probabilities, 0), number
