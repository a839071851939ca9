"""The compiled passes beside float64 NumPy, for any number of threads."""

import math

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from gpuflow_kernels import passes  # noqa: E402


@pytest.fixture(autouse=True)
def all_sizes_in_all_threads(monkeypatch):
    monkeypatch.setattr(passes, "SERIAL", 0)


def numbers(*shape, scale=1.0):
    return (np.random.default_rng(len(shape)).standard_normal(shape) * scale).astype(np.float32)


def same_in_one_thread(function):
    """function(), whose bits are the same in one thread."""
    found, threads = function(), numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(np.atleast_2d(found), np.atleast_2d(function())))
    finally:
        numba.set_num_threads(threads)
    return found


def test_gelu_and_its_slope():
    x, g = numbers(20_001, scale=3), numbers(20_001)
    wide = x.astype(np.float64)
    below = (1 + np.vectorize(math.erf)(wide / math.sqrt(2))) / 2
    slope = below + wide * np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(same_in_one_thread(lambda: passes.gelu(x)), wide * below, atol=1e-6)
    np.testing.assert_allclose(same_in_one_thread(lambda: passes.gelu_slope(g, x)), g * slope, atol=2e-6)
    ends = np.array([-1e30, -1e4, -0.0, 1e30, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(passes.gelu(ends), np.array([0, 0, 0, 1e30, np.inf, np.nan], np.float32))


def test_a_mask_is_philox():
    """The first four words of counter 0 under key 0, and of counter 1 under a key of two halves, after Salmon et al."""

    def philox(counter, key, rounds=10):
        a, b, c, d = counter, 0, 0, 0
        first, second = key & 0xFFFFFFFF, key >> 32
        for _ in range(rounds):
            one, two = a * 0xD2511F53, c * 0xCD9E8D57
            a, b, c, d = two >> 32 ^ b ^ first, two & 0xFFFFFFFF, one >> 32 ^ d ^ second, one & 0xFFFFFFFF
            first, second = first + 0x9E3779B9 & 0xFFFFFFFF, second + 0xBB67AE85 & 0xFFFFFFFF
        return a, b, c, d

    assert philox(0, 0) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)   # Random123's known answer
    for key in (0, 0x0123456789ABCDEF):
        for p in (0.1, 0.5, 0.9):
            mask = same_in_one_thread(lambda key=key, p=p: passes.kept((3, 2000), p, key)).reshape(-1)
            for place, (counter, word) in enumerate((i % 512 + 512 * (i // 2048), i // 512 % 4) for i in range(6000)):
                if place % 97 == 0:
                    assert mask[place] == (philox(counter, key)[word] >= round(p * 2**32)), place


def test_a_mask_keeps_what_it_should():
    assert passes.kept((5000,), 0.0, 7).all() and not passes.kept((5000,), 1.0, 7).any()
    share = passes.kept((1000, 1000), 0.1, 2**64 - 1).mean()
    assert abs(share - 0.9) < 4 * math.sqrt(0.09 / 1e6)


def test_dropping():
    x, mask = numbers(3, 5000), passes.kept((3, 5000), 0.3, 1)
    np.testing.assert_array_equal(passes.dropped(x, mask, 1.25), np.where(mask, x * np.float32(1.25), 0))


@pytest.mark.parametrize("shape", [(700, 17), (3, 20_000), (5000, 1)])
def test_softmax_of_rows(shape):
    x, g = numbers(*shape, scale=4), numbers(*shape)
    wide = x.astype(np.float64)
    powers = np.exp(wide - wide.max(1, keepdims=True))
    weights = powers / powers.sum(1, keepdims=True)
    out = np.empty_like(x)
    peaks, totals = passes.softmax(x, out)
    np.testing.assert_array_equal(peaks, x.max(1))
    np.testing.assert_allclose(totals, powers.sum(1), rtol=1e-5)
    np.testing.assert_allclose(out, weights, rtol=3e-6, atol=1e-37)
    np.testing.assert_allclose(same_in_one_thread(lambda: passes.softmax_slope(g, out)),
                               weights * (g - (weights * g).sum(1, keepdims=True)), rtol=1e-5, atol=1e-6)


def test_softmax_of_what_is_no_number():
    x = np.zeros((4, 40), np.float32)
    x[0, 3], x[1, 39], x[2], x[3, :39] = np.nan, np.inf, -np.inf, -np.inf
    out = np.empty_like(x)
    passes.softmax(x, out)
    assert np.isnan(out[:3]).all()
    np.testing.assert_array_equal(out[3], [0.0] * 39 + [1.0])


def test_tanh_keeps_the_digits_of_small_numbers():
    new = np.float32(10) ** np.linspace(-30, 2, 64, dtype=np.float32)
    gates, c = np.zeros((2, 4, 64), np.float32), np.zeros((2, 64), np.float32)
    gates[0, 2], gates[1, 2] = new, -new
    passes.lstm_step(gates, np.zeros_like(gates), c, np.empty_like(c), np.empty_like(c))
    np.testing.assert_allclose(gates[0, 2], np.tanh(new.astype(np.float64)), rtol=3e-7)
    np.testing.assert_allclose(gates[1, 2], -np.tanh(new.astype(np.float64)), rtol=3e-7)


def test_too_small_and_other_arrays_are_left_to_numpy():
    x = numbers(100, 100)
    assert passes.takes(x, x) and not passes.takes(x[:4]) and not passes.takes(x, x.T)
    assert not passes.takes(x, x.astype(np.float64))
