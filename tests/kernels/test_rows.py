"""Adding rows to a table against np.add.at, which does the same sums in the same order."""
import numpy as np
import pytest

from gpuflow_kernels import rows
from gpuflow_kernels.update.cases import numpy_dtype
from tests import fake_cupy
from tests.kernels.host import device


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("id_dtype", [np.int64, np.int32, np.uint8])
def test_same_bits_as_numpy(dtype, id_dtype):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 50, 300).astype(id_dtype)
    values = rng.standard_normal((300, 33)).astype(dtype)[:, ::2]   # strided
    table, want = np.ones((50, 17), dtype), np.ones((50, 17), dtype)
    assert rows.takes(table, values)
    rows.add_rows(table, ids, values)
    np.add.at(want, ids, values)
    assert table.tobytes() == want.tobytes()


def test_what_it_does_not_take():
    big = np.zeros((100, 100), np.float32)
    assert rows.takes(big, big)
    assert not rows.takes(big, big[:3]) and not rows.takes(big.T, big) and not rows.takes(big, big.astype(np.float64))
    assert not rows.takes(big.astype(np.float16), big.astype(np.float16))


@pytest.mark.parametrize("bad", [-1, 100])
def test_rows_outside_the_table(bad):
    table = np.zeros((100, 100), np.float32)
    with pytest.raises(IndexError, match=r"\[0, 100\)"):
        rows.add_rows(table, np.array([0, bad]), np.ones((2, 100), np.float32))
    assert not table.any()


@pytest.mark.skipif(device.compiler() is None, reason="g++ is missing: apt-get install g++")
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_merged_on_a_gpu_is_each_row_once(dtype):
    rng = np.random.default_rng(0)
    ids = np.array([7, -1, 2, 7, 0, 7, -1, 2])
    values = rng.standard_normal((8, 3, 50)).astype(numpy_dtype(dtype))
    with fake_cupy.installed() as cupy:
        found, sums = (a.get() for a in rows.merged(cupy, cupy.asarray(ids), cupy.asarray(values)))
        nothing, _ = rows.merged(cupy, cupy.asarray(ids[:0]), cupy.asarray(values[:0]))
    assert found.tolist() == [-1, -1, 0, 2, -1, 7, -1, -1] and len(nothing) == 0
    for place, row in ((2, 0), (3, 2), (5, 7)):
        total = np.zeros((3, 50), np.float64 if dtype == "float64" else np.float32)
        for one in values[ids == row]:
            total += one
        assert sums[place].tobytes() == total.astype(values.dtype).tobytes()
    assert not sums[[1, 4, 6, 7]].any()
