"""Chains of elementwise functions: layouts, and generated kernels against NumPy, on the CPU and as CUDA text."""
import numpy as np
import pytest

from gpuflow_kernels.elementwise import Chain, Kernel, Line
from gpuflow_kernels.elementwise.cuda_text import cuda_text
from gpuflow_kernels.elementwise.layout import layout_of
from gpuflow_kernels.elementwise.numba_text import numba_text

F = ("float32", "float32")
BIAS_RELU = Chain(F, (Line("add", (0, 1), F, "float32"), Line("maximum", (2, "0.0"), F, "float32")), (3,))
SUMMED = Chain(F, (Line("multiply", (0, 1), F, "float32"),), (2,), (2,))


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(chain, *arrays, sums=()):
    found = Kernel(chain).for_shapes(np, tuple(a.shape for a in arrays), tuple(s.shape for s in sums))
    outputs = [np.empty(found.shape, chain.dtype(v)) for v in chain.outputs]
    found(arrays, outputs, sums)
    return outputs


@pytest.mark.parametrize("shapes, sizes, steps", [
    ([(3, 40), (40,)], (1, 3, 40), [(0, 40, 1), (0, 0, 1)]),
    ([(2, 3, 40), (2, 3, 40)], (1, 1, 240), [(0, 0, 1), (0, 0, 1)]),                # axes that all have are one
    ([(2, 3, 40), (3, 1)], (2, 3, 40), [(120, 40, 1), (0, 1, 0)]),
    ([(5, 20), ()], (1, 1, 100), [(0, 0, 1), (0, 0, 0)]),
    ([(4, 1), (1, 20)], (1, 4, 20), [(0, 1, 0), (0, 0, 1)]),
    ([(0, 20), (20,)], (1, 0, 20), [(0, 20, 1), (0, 0, 1)]),
])
def test_layout(shapes, sizes, steps):
    found = layout_of(shapes)
    assert found.shape == np.broadcast_shapes(*shapes)
    assert found.sizes == sizes
    assert list(found.steps) == steps


def test_what_has_no_layout():
    assert layout_of([(2, 3, 2, 30), (3, 1, 30), (2, 1, 1, 1)]) is None   # four axes
    assert layout_of([(100, 3), (3,)]) is None                           # a loop over three elements
    assert layout_of([(3, 40)], [(3, 1)]) is None                        # a sum along the last axis
    assert layout_of([(3, 40)], [(40,)]).sizes == (1, 3, 40)             # one down the rows


@pytest.mark.parametrize("shape", [(128, 50), (0, 50), (50,), (2, 3, 50)])
def test_bits_are_those_of_numpy(shape):
    x, b = array(*shape), array(50, seed=1)
    x[..., ::7], x[..., ::11] = np.nan, -np.inf
    np.testing.assert_array_equal(run(BIAS_RELU, x, b)[0], np.maximum(x + b, np.float32(0)))


def test_sums_have_the_bits_of_numpys():
    x, y, total = array(300, 70), array(300, 70, seed=1), np.full(70, 9, np.float32)
    out, = run(SUMMED, x, y, sums=(total,))
    np.testing.assert_array_equal(out, x * y)
    np.testing.assert_array_equal(total, (x * y).sum(axis=0))


@pytest.mark.parametrize("shapes", [[(1 << 20,), (1 << 20,)], [(2048, 512), (512,)]])
def test_threads_share_large_arrays(shapes):
    x, y = array(*shapes[0]), array(*shapes[1], seed=1)
    np.testing.assert_array_equal(run(BIAS_RELU, x, y)[0], np.maximum(x + y, np.float32(0)))


def test_threads_share_sums_by_columns():
    x, y, total = array(1024, 1024), array(1024, 1024, seed=1), np.empty(1024, np.float32)
    run(SUMMED, x, y, sums=(total,))
    np.testing.assert_array_equal(total, (x * y).sum(axis=0))


def test_many_arrays_get_a_loop_each():
    lines = tuple(Line("multiply", (0, str(k)), F, "float32") for k in range(2, 7))
    chain = Chain(("float32", "float32"), (*lines, Line("add", (1, 6), F, "float32")), (2, 3, 4, 5, 7))
    assert numba_text(chain, (True, True)).count("for k in range") == 5
    x, y = array(40), array(40, seed=1)
    for k, out in enumerate(run(chain, x, y)):
        np.testing.assert_array_equal(out, x * np.float32(k + 2) if k < 4 else y + x * np.float32(6))


def test_functions_of_truth_and_of_bits_compile():
    x, y = array(40), array(40, seed=1)
    x[:4], y[2:6] = [np.nan, np.inf, -np.inf, 0], [np.inf, np.nan, 0, -1]
    names = ("logical_and", "logical_xor", "logical_not", "isinf", "isfinite", "sign", "fmax")
    lines = tuple(Line(name, (0, 1)[:getattr(np, name).nin], F, getattr(np, name).resolve_dtypes(
        (*[np.dtype("float32")] * getattr(np, name).nin, None))[-1].name) for name in names)
    bits = (Line("bitwise_or", (2, 5), ("bool", "bool"), "bool"), Line("add", (2, 0), F, "float32"))
    outs = run(Chain(F, (*lines, *bits), tuple(range(2, 11))), x, y)
    for name, out in zip(names, outs):
        np.testing.assert_array_equal(out, getattr(np, name)(*(x, y)[:getattr(np, name).nin]), err_msg=name)
    np.testing.assert_array_equal(outs[-2], outs[0] | outs[3])
    np.testing.assert_array_equal(outs[-1], outs[0] + x)


def test_text_for_a_gpu_says_the_same_formula():
    assert "float32(where((t2 > float32(0.0)) | (t2 != t2), t2, float32(0.0)))" in cuda_text(BIAS_RELU, False)
    assert "float32(where((t2 > float32(0.0)) | (t2 != t2), t2, float32(0.0)))" in numba_text(BIAS_RELU, (True, True))
