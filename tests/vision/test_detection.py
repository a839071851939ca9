"""Boxes, regions and YOLO against Paddle 3.3.1 (tests/golden/detection_cases.py)."""
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow.vision import ops as O
from tests.golden.detection_cases import CASES, run

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "detection.npz")


@pytest.mark.parametrize("expression", CASES)
def test_as_paddle(expression):
    found = run(gpuflow, expression)
    expected = [GOLDEN[k] for k in sorted(GOLDEN.files) if k.rpartition("/")[0] == expression]
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_regions_and_losses_in_a_program():
    rng = np.random.default_rng(2)
    x, boxes = rng.standard_normal((1, 16, 4, 4), "float32"), np.array([[0, 1, 3, 3]], "float32")
    truth, label = np.array([[[0.4, 0.6, 0.3, 0.2]]], "float32"), np.array([[1]], "int32")

    def both(x, boxes, count, truth, label):
        return (O.roi_align(x, boxes, count, 2), O.roi_pool(x, boxes, count, 2),
                O.yolo_loss(x, truth, label, [3, 4, 6, 5], [0, 1], 3, 0.5, 4))

    arrays = {"x": x, "boxes": boxes, "count": np.array([1], "int32"), "truth": truth, "label": label}
    eager = both(**{k: gpuflow.to_tensor(a) for k, a in arrays.items()})
    gpuflow.enable_static()
    main = gpuflow.static.Program()
    with gpuflow.static.program_guard(main):
        out = both(**{k: gpuflow.static.data(k, list(a.shape), str(a.dtype)) for k, a in arrays.items()})
    found = gpuflow.static.Executor().run(main, feed=arrays, fetch_list=list(out))
    gpuflow.disable_static()
    for ours, expected in zip(found, eager, strict=True):
        np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-5)


def test_files_of_pictures(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    path = str(tmp_path / "p.jpg")
    Image.fromarray(np.full((8, 6, 3), [200, 30, 60], "uint8")).save(path, quality=95)
    data = O.read_file(path)
    assert data.dtype == gpuflow.uint8 and data.ndim == 1
    picture = O.decode_jpeg(data)
    assert picture.shape == [3, 8, 6] and abs(int(picture[0, 4, 3]) - 200) < 8
    assert O.decode_jpeg(data, "gray").shape == [1, 8, 6]


@pytest.mark.parametrize("call", [
    lambda x, boxes, n: O.roi_align(x, boxes, n, 0), lambda x, boxes, n: O.roi_pool(x, boxes, n + 1, 2),
    lambda x, boxes, n: O.psroi_pool(x, boxes, n, 3), lambda x, boxes, n: O.nms(x),
    lambda x, boxes, n: O.nms(boxes, scores=boxes[:, 0], category_idxs=n),
    lambda x, boxes, n: O.prior_box(x, x, 4, [5, 6]), lambda x, boxes, n: O.box_coder(boxes, None, boxes, "encode"),
    lambda x, boxes, n: O.yolo_box(x, n, [1, 2], 3, 0, 4),
    lambda x, boxes, n: O.distribute_fpn_proposals(boxes, 3, 3, 3, 8)])
def test_what_is_refused(call):
    with pytest.raises(ValueError, match=r"expected|boxes_num counts"):
        call(gpuflow.ones([1, 4, 5, 5]), gpuflow.ones([1, 4]), gpuflow.to_tensor([1]))
