"""paddle.signal: frames of signals and short-time Fourier transforms."""
import numpy as np

from gpuflow import dtypes
from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.fft import fft, ifft, irfft, rfft
from gpuflow.functional.arguments import known
from gpuflow.functional.creation import ones
from gpuflow.functional.manipulation import expand, moveaxis, swapaxes
from gpuflow.functional.search import index_select
from gpuflow.ops.registry import OPS
from gpuflow.tensor import to_tensor

__all__ = ["istft", "stft"]


def _steps(where, axis, **numbers):
    if axis not in (0, -1) or not all(isinstance(n, int) and n > 0 for n in numbers.values()):
        raise ValueError(explain(where, f"axis 0 or -1, and {' and '.join(numbers)} above 0",
                                 f"axis {axis}, {numbers}"))


def frame(x, frame_length, hop_length, axis=-1, name=None):
    """The windows of frame_length numbers, every hop_length, along an axis: [..., frame_length, frames] for axis -1,
    [frames, frame_length, ...] for axis 0."""
    _steps("frame", axis, frame_length=frame_length, hop_length=hop_length)
    how = {"length": frame_length, "hop": hop_length}
    if axis == -1:
        return call(OPS["frame"], (x,), how)
    return moveaxis(call(OPS["frame"], (moveaxis(x, 0, -1),), how), [-1, -2], [0, 1])


def overlap_add(x, hop_length, axis=-1, name=None):
    """The way back from `frame`, with sums where windows overlap: of [..., frame_length, frames] for axis -1, of
    [frames, frame_length, ...] for axis 0."""
    _steps("overlap_add", axis, hop_length=hop_length)
    if axis == -1:
        return call(OPS["overlap_add"], (x,), {"hop": hop_length})
    return moveaxis(call(OPS["overlap_add"], (moveaxis(x, [0, 1], [-1, -2]),), {"hop": hop_length}), -1, 0)


def _plan(where, n_fft, hop_length, win_length, window, dtype):
    """(hop, the window in the middle of n_fft numbers) with Paddle's defaults."""
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    if hop < 1 or not 0 < size <= n_fft:
        raise ValueError(explain(where, f"hop_length above 0 and win_length in (0, {n_fft}]", f"{hop} and {size}"))
    window = ones([size], dtype) if window is None else window
    if list(window.shape) != [size]:
        raise ValueError(explain(where, f"a window of {size} numbers", str(list(window.shape))))
    before = (n_fft - size) // 2
    if size == n_fft:
        return hop, window
    return hop, call(OPS["pad"], (window,), {"pads": ((before, n_fft - size - before),), "value": 0.0})


def _longer(x, count, mode):
    """x with `count` numbers more at both ends of its last axis: zeros, or its own mirrored."""
    if mode == "constant":
        return call(OPS["pad"], (x,), {"pads": ((0, 0),) * (x.ndim - 1) + ((count, count),), "value": 0.0})
    size = known("stft", x, -1)
    if mode != "reflect" or count >= size:
        raise ValueError(explain("stft", f"pad_mode 'constant', or 'reflect' and a signal longer than {count}",
                                 f"{mode!r} and {size}"))
    at = np.abs(np.arange(-count, size + count))
    at = np.minimum(at, 2 * (size - 1) - at)
    return index_select(x, to_tensor(at, place=x.place if in_dynamic_mode() else None), -1)


def stft(x, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False,
         onesided=None, name=None):
    """[..., frequencies, frames]: Fourier transforms of windows of x [size] or [batch, size].

    Windows of n_fft numbers begin every hop_length (n_fft // 4) and are multiplied by `window`, of win_length numbers
    (n_fft; zeros around fewer). center: window f has its middle at f * hop_length, x being continued as pad_mode says.
    normalized: divided by the root of n_fft. onesided (the default for real numbers): the n_fft // 2 + 1 first
    frequencies.
    """
    hop, window = _plan("stft", n_fft, hop_length, win_length, window,
                        x.dtype if x.dtype.is_differentiable and not x.dtype.is_complex else None)
    if x.ndim not in (1, 2):
        raise ValueError(explain("stft", "a signal [size] or [batch, size]", str(list(x.shape))))
    x = _longer(x, n_fft // 2, pad_mode) if center else x
    frames = swapaxes(frame(x, n_fft, hop), -1, -2) * window
    onesided = not frames.dtype.is_complex if onesided is None else onesided
    if onesided and frames.dtype.is_complex:
        raise ValueError(explain("stft", "onesided=False for complex numbers", "onesided=True"))
    return swapaxes((rfft if onesided else fft)(frames, norm="ortho" if normalized else "backward"), -1, -2)


def istft(x, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=True,
          length=None, return_complex=False, name=None):
    """The way back from `stft`, whose arguments these are: the signal that comes nearest. length: how much of it.

    return_complex: a complex signal, of all frequencies (onesided=False). ValueError where windows leave gaps.
    """
    if not x.dtype.is_complex or x.ndim not in (2, 3):
        raise TypeError(explain("istft", "complex numbers [frequencies, frames] or [batch, frequencies, frames]",
                                f"{x.dtype.name} {list(x.shape)}"))
    hop, window = _plan("istft", n_fft, hop_length, win_length, window,
                        dtypes.float64 if x.dtype is dtypes.complex128 else dtypes.float32)
    rows, count = n_fft // 2 + 1 if onesided else n_fft, known("istft", x, -1)
    if x.shape[-2] != rows or hop > (n_fft if win_length is None else win_length) or (return_complex and onesided):
        raise ValueError(explain("istft", f"{rows} frequencies, hop_length of at most win_length, and onesided=False "
                                 "for a complex signal", f"{x.shape[-2]}, {hop}, onesided={onesided}"))
    norm, x = "ortho" if normalized else "backward", swapaxes(x, -1, -2)
    frames = ifft(x, norm=norm) if return_complex else irfft(x[..., :n_fft // 2 + 1], n_fft, norm=norm)
    out = overlap_add(swapaxes(frames * window, -1, -2), hop)
    weight = overlap_add(expand((window * window).unsqueeze(-1), [n_fft, count]), hop)
    start = n_fft // 2 if center else 0
    stop = start + length if length is not None else (count - 1) * hop + n_fft - start
    out, weight = out[..., start:stop], weight[start:stop]
    if in_dynamic_mode() and float(weight.abs().min()) < 1e-11:
        raise ValueError(explain("istft", "windows that overlap everywhere", "a gap", "a smaller hop_length"))
    return out / weight
