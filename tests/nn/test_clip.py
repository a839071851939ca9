"""The clips as records, and called on (param, grad) pairs; what an optimizer makes of them is tested with it."""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn
from gpuflow.nn.clip import ClipGradBase
from gpuflow.ops.rows import SparseRows


def pairs(*grads, need_clip=()):
    out = []
    for i, g in enumerate(grads):
        p = gpuflow.create_parameter([1], "float32", attr=gpuflow.ParamAttr(need_clip=i not in need_clip))
        out.append((p, None if g is None else gpuflow.to_tensor(np.asarray(g, np.float32))))
    return out


def numbers(clipped):
    return [g.numpy().tolist() for _, g in clipped]


def test_by_value():
    clipped = nn.ClipGradByValue(1.0)(pairs([3.0, -0.5], None, [-9.0, 0.0]))
    assert numbers(clipped) == [[1, -0.5], [-1, 0]]
    clipped = nn.ClipGradByValue(max=2.0, min=-0.25)(pairs([3.0, -0.5], [5.0], need_clip=(1,)))
    assert numbers(clipped) == [[2, -0.25], [5]]


def test_by_norm_scales_each_alone():
    clipped = nn.ClipGradByNorm(1.0)(pairs([3.0, 4.0], [0.3, 0.4], [6.0, 8.0], need_clip=(2,)))
    np.testing.assert_allclose(np.array(numbers(clipped)), [[0.6, 0.8], [0.3, 0.4], [6, 8]], rtol=1e-6)


def test_by_global_norm_scales_all_alike_and_leaves_out_what_does_not_want_it():
    clipped = nn.ClipGradByGlobalNorm(1.3)(pairs([3.0], [4.0], None, [12.0], [100.0], need_clip=(4,)))
    np.testing.assert_allclose([g[0] for g in numbers(clipped)], [0.3, 0.4, 1.2, 100.0], rtol=1e-6)
    small = nn.ClipGradByGlobalNorm(100.0)(pairs([3.0], [4.0]))
    assert numbers(small) == [[3], [4]]
    assert nn.ClipGradByGlobalNorm(1.0)([]) == [] and numbers(nn.ClipGradByNorm(1.0)(pairs([0.0]))) == [[0]]


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, np.inf])
def test_any_p_norm(p):
    a, b = np.array([3.0, -4.0]), np.array([0.0, 0.5, 12.0])

    def length(x):
        return np.abs(x).max() if p == np.inf else (np.abs(x) ** p).sum() ** (1 / p)

    clipped = nn.ClipGradByNorm(3.0, norm_type=p)(pairs(a, None, b, [0.25], [50.0], [0.0], need_clip=(4,)))
    for got, expected in zip(numbers(clipped), [a * 3 / length(a), b * 3 / length(b), [0.25], [50.0], [0.0]]):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    clipped = nn.ClipGradByGlobalNorm(3.0, norm_type=p)(pairs(a, None, b, [50.0], need_clip=(3,)))
    factor = 3 / length(np.concatenate([a, b]))
    for got, expected in zip(numbers(clipped), [a * factor, b * factor, [50.0]]):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    small = nn.ClipGradByGlobalNorm(1e4, norm_type=p)(pairs(a, b))
    assert numbers(small) == [a.tolist(), b.tolist()]
    assert nn.ClipGradByGlobalNorm(1.0, norm_type=p)([]) == []


def test_p_norms_of_two_bytes_of_large_powers_and_of_infinities():
    half = gpuflow.to_tensor(np.full(1000, 300.0), dtype="float16")
    (_, clipped), = nn.ClipGradByNorm(1.0, norm_type=1)([(None, half)])   # the sum is inf in float16
    assert clipped.dtype == "float16"
    assert np.abs(clipped.numpy().astype(np.float64)).sum() == pytest.approx(1, rel=2e-3)
    large = gpuflow.to_tensor([1e30, 0.0], dtype="float64")
    (_, clipped), = nn.ClipGradByNorm(2.0, norm_type=20)([(None, large)])   # 1e600 is no float64
    np.testing.assert_allclose(clipped.numpy(), [2, 0], rtol=1e-15)
    for p in (1, 2, 3, np.inf):   # as the 2-norm has it: the infinite become NaN, the others 0
        clip = nn.ClipGradByGlobalNorm(1.0, norm_type=p)
        np.testing.assert_array_equal(np.concatenate(numbers(clip(pairs([np.inf, 1.0], [2.0])))), [np.nan, 0, 0])


def test_low_precision_norms_are_taken_in_float32():
    g = gpuflow.to_tensor(np.full(1000, 300.0), dtype="float16")   # its square is inf in float16
    (_, clipped), = nn.ClipGradByGlobalNorm(1.0)([(None, g)])
    assert clipped.dtype == "float16"
    assert np.linalg.norm(clipped.numpy().astype(np.float64)) == pytest.approx(1, rel=2e-3)


@pytest.mark.parametrize("clip", [nn.ClipGradByValue(0.7), nn.ClipGradByNorm(1.0), nn.ClipGradByGlobalNorm(1.0),
                                  nn.ClipGradByNorm(1.0, norm_type=3), nn.ClipGradByGlobalNorm(1.0, norm_type=1)])
def test_sparse_gradients_count_repeated_rows_once_summed(clip):
    sparse = SparseRows(np.array([2, 0, 2]), np.array([[1.0], [0.5], [2.0]], np.float32), (4, 1))
    (_, a), = clip([(None, sparse)])
    (_, b), = clip([(None, gpuflow.to_tensor(sparse.dense()))])
    assert isinstance(a, SparseRows)
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_results_are_outside_the_graph():
    g = gpuflow.to_tensor([3.0], stop_gradient=False)
    assert nn.ClipGradByNorm(1.0)([(None, g)])[0][1].stop_gradient


@pytest.mark.parametrize("bad", [
    lambda: nn.ClipGradByValue(-1.0), lambda: nn.ClipGradByValue(0.0), lambda: nn.ClipGradByValue(float("nan")),
    lambda: nn.ClipGradByValue(1.0, 2.0), lambda: nn.ClipGradByValue(1.0, float("nan")),
    lambda: nn.ClipGradByNorm(-1.0), lambda: nn.ClipGradByNorm(float("nan")), lambda: nn.ClipGradByNorm(float("inf")),
    lambda: nn.ClipGradByNorm(1.0, 0), lambda: nn.ClipGradByNorm(1.0, norm_type=float("nan")),
    lambda: nn.ClipGradByGlobalNorm(1.0, norm_type=-1), lambda: nn.ClipGradByGlobalNorm(-2),
    lambda: nn.ClipGradByGlobalNorm(0.0)])
def test_bounds_that_cannot_be_meant(bad):
    with pytest.raises(ValueError, match="ClipGradBy"):
        bad()


def test_types_and_text():
    for bad in (lambda: nn.ClipGradByNorm("1"), lambda: nn.ClipGradByValue(True),
                lambda: nn.ClipGradByNorm(1.0, norm_type="1"), lambda: nn.ClipGradByGlobalNorm(1.0, norm_type=True),
                lambda: nn.ClipGradByGlobalNorm(1.0, group_name=3)):
        with pytest.raises(TypeError, match="ClipGradBy"):
            bad()
    assert str(nn.ClipGradByValue(1.0)) == "Clip Gradient By Value, min = -1.000000, max=1.000000"
    assert str(nn.ClipGradByNorm(2)) == "Gradient Clip By Norm, clip_norm=2.000000"
    assert str(nn.ClipGradByGlobalNorm(2)) == "Gradient Clip By GlobalNorm, global_norm=2.000000"
    assert str(nn.ClipGradByNorm(2, norm_type=np.inf)) == "Gradient Clip By Norm, clip_norm=2.000000, norm_type=inf"
    assert nn.ClipGradByGlobalNorm(1.0).group_name == "default_group"


def test_a_users_own_clip():
    class Halve(ClipGradBase):
        def _dygraph_clip(self, params_grads):
            return [(p, g * 0.5) for p, g in params_grads]

    assert numbers(Halve()(pairs([4.0]))) == [[2]]
    with pytest.raises(NotImplementedError, match="_dygraph_clip"):
        ClipGradBase()([])
