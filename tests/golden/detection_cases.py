"""What detectors need: expressions over O (vision.ops) and the tensors that `tensors` makes."""
import numpy as np

CASES = [
    "O.roi_align(x, r, n, (2, 3), 0.5)", "O.roi_align(x, r, n, 2, 0.5, sampling_ratio=2, aligned=False)",
    "O.roi_pool(x, r, n, (2, 3), 0.5)", "O.psroi_pool(x, r, n, 2, 0.5)", "O.RoIAlign(2, 0.5)(x, r, n)",
    "O.RoIPool(2, 0.5)(x, r, n)", "O.PSRoIPool((2, 1), 0.5)(x, r, n)",
    "O.nms(p, 0.3)", "O.nms(p, 0.3, s)", "O.nms(p, 0.2, s, c, [0, 1, 2])", "O.nms(p, 0.2, s, c, [0, 1, 2], top_k=3)",
    "O.box_coder(p, v, r)", "O.box_coder(p, [0.1, 0.1, 0.2, 0.2], r, box_normalized=False)",
    "O.box_coder(p, v, t, 'decode_center_size')",
    "O.box_coder(r, [0.1, 0.1, 0.2, 0.2], t, 'decode_center_size', False, axis=1)",
    "O.prior_box(x, m, [4.0, 9.0])[0]", "O.prior_box(x, m, [4.0, 9.0], [9.0, 16.0], [2.0, 3.0], flip=True, clip=True)",
    "O.prior_box(x, m, [4.0], [9.0], [2.0], steps=[2.0, 3.0], offset=0.3, min_max_aspect_ratios_order=True)",
    "O.yolo_box(y, z, [3, 4, 6, 5], 3, 0.4, 4)",
    "O.yolo_box(y, z, [3, 4, 6, 5], 3, 0.01, 4, clip_bbox=False, scale_x_y=1.2)",
    "O.yolo_box(w, z, [3, 4, 6, 5], 2, 0.3, 4, iou_aware=True, iou_aware_factor=0.4)",
    "O.yolo_loss(q, g, l, [3, 4, 6, 5, 9, 12], [0, 2], 3, 0.3, 4)",
    "O.yolo_loss(q, g, l, [3, 4, 6, 5, 9, 12], [1, 2], 3, 0.5, 4, gt_score=e, use_label_smooth=False, scale_x_y=1.1)",
    "O.distribute_fpn_proposals(p, 2, 4, 3, 6, rois_num=k)", "O.distribute_fpn_proposals(p, 2, 5, 4, 8, True, k)",
    "O.generate_proposals(f, d, z, a, b, 30, 8, 0.5, 0.1, return_rois_num=True)",
    "O.generate_proposals(f, d, z, a, b, 12, 20, 0.7, 3.0, 0.9, True, True)",
]
GRADIENTS = ("x", "q")


def tensors(paddle) -> dict:
    rng = np.random.default_rng(6)
    corner = rng.uniform(0, 12, (9, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 9, (9, 2))], 1)
    objects = np.concatenate([rng.uniform(0.05, 0.95, (2, 4, 2)), rng.uniform(0.1, 0.6, (2, 4, 2))], -1)
    objects[0, 3] = 0
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(3)), -1)[:, :, None] * 5.0
    half = np.array([[2.0, 3.0], [4.0, 2.5]])
    arrays = {
        "x": rng.standard_normal((2, 8, 7, 9)), "m": np.zeros((2, 3, 21, 36)),
        "r": np.array([[1, 1, 12, 9], [0.3, 2.2, 5.7, 13.1], [-3, -2, 30, 40], [4, 4, 7.2, 6.1]]),
        "n": np.array([1, 3]), "p": boxes, "s": rng.permutation(9) / 10, "c": np.array([0, 1, 2, 0, 1, 2, 0, 1, 0]),
        "k": np.array([4, 5]), "v": rng.uniform(0.1, 0.3, (9, 4)), "t": rng.standard_normal((4, 9, 4)),
        "y": rng.standard_normal((2, 16, 3, 4)), "w": rng.standard_normal((2, 16, 3, 4)),
        "z": np.array([[20, 24], [16, 18]]),
        "q": rng.standard_normal((2, 16, 4, 4)), "g": objects, "l": rng.integers(0, 3, (2, 4)),
        "e": rng.uniform(0, 1, (2, 4)),
        "f": rng.uniform(0, 1, (2, 2, 3, 4)), "d": rng.standard_normal((2, 8, 3, 4)) * 0.5,
        "a": np.concatenate([grid - half, grid + half], -1), "b": np.full((3, 4, 2, 4), 0.5),
    }
    kinds = {**dict.fromkeys("nklz", "int32"), "c": "int64"}
    made = {name: paddle.to_tensor(a.astype(kinds.get(name, "float32"))) for name, a in arrays.items()}
    for name in GRADIENTS:
        made[name].stop_gradient = False
    return made


def run(paddle, expression) -> list:
    """The results as arrays, and the gradient of a weighted sum of them for what wants one."""
    names = tensors(paddle)
    if "generate" in expression:
        names["z"] = names["z"].astype("float32")
    found = eval(expression, {"O": paddle.vision.ops}, names)
    flat = [t for f in (found if isinstance(found, list | tuple) else [found])
            for t in (f if isinstance(f, list | tuple) else [f])]
    out = [t.numpy() for t in flat]
    if not flat[0].stop_gradient:
        weights = np.cos(np.arange(out[0].size)).reshape(out[0].shape).astype("float32")
        (flat[0] * paddle.to_tensor(weights)).sum().backward()
        out += [names[name].grad.numpy() for name in GRADIENTS if names[name].grad is not None]
    return out
