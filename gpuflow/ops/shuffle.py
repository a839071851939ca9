"""Pictures rearranged: pixels and channels, channels among groups, patches and columns, shifts in time."""
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op


def _times(size, factor):
    return None if size is None else size * factor


def _over(where, size, factor, what):
    """size / factor, None for an unknown size; ValueError where it does not go."""
    if size is not None and size % factor:
        raise ValueError(explain(where, f"{what} divisible by {factor}", str(size)))
    return None if size is None else size // factor


def _images(where, x):
    if len(x.shape) != 4:
        raise ValueError(explain(where, "images of 4 axes", str(list(x.shape))))


def _parts(x, channels_last):
    """Channels, height and width."""
    _, a, b, c = x.shape
    return (c, a, b) if channels_last else (a, b, c)


def _pixel_shuffle_spec(x, *, factor, channels_last=False):
    _images("pixel_shuffle", x)
    c, h, w = _parts(x, channels_last)
    c, h, w = _over("pixel_shuffle", c, factor * factor, "channels"), _times(h, factor), _times(w, factor)
    return Spec((x.shape[0], h, w, c) if channels_last else (x.shape[0], c, h, w), x.dtype)


@op("pixel_shuffle", infer=_pixel_shuffle_spec)
def pixel_shuffle(xp, x, *, factor, channels_last=False):
    """[N, C r r, H, W] to [N, C, H r, W r], r = factor: each r x r block of pixels comes from r r channels
    (Shi et al., 2016). channels_last: [N, H, W, C r r] to [N, H r, W r, C]."""
    r = factor
    if channels_last:
        n, h, w, c = x.shape
        x = x.reshape((n, h, w, c // (r * r), r, r)).transpose((0, 1, 4, 2, 5, 3))
        return x.reshape((n, h * r, w * r, c // (r * r)))
    n, c, h, w = x.shape
    x = x.reshape((n, c // (r * r), r, r, h, w)).transpose((0, 1, 4, 2, 5, 3))
    return x.reshape((n, c // (r * r), h * r, w * r))


@pixel_shuffle.grad
def pixel_shuffle_grad(xp, g, saved, *, factor, channels_last=False):
    return (pixel_unshuffle(xp, g, factor=factor, channels_last=channels_last),)


def _pixel_unshuffle_spec(x, *, factor, channels_last=False):
    _images("pixel_unshuffle", x)
    c, h, w = _parts(x, channels_last)
    c = _times(c, factor * factor)
    h, w = (_over("pixel_unshuffle", s, factor, "height and width") for s in (h, w))
    return Spec((x.shape[0], h, w, c) if channels_last else (x.shape[0], c, h, w), x.dtype)


@op("pixel_unshuffle", infer=_pixel_unshuffle_spec)
def pixel_unshuffle(xp, x, *, factor, channels_last=False):
    """What `pixel_shuffle` undoes: [N, C, H r, W r] to [N, C r r, H, W]; channels_last as there."""
    r = factor
    if channels_last:
        n, h, w, c = x.shape
        x = x.reshape((n, h // r, r, w // r, r, c)).transpose((0, 1, 3, 5, 2, 4))
        return x.reshape((n, h // r, w // r, c * r * r))
    n, c, h, w = x.shape
    x = x.reshape((n, c, h // r, r, w // r, r)).transpose((0, 1, 3, 5, 2, 4))
    return x.reshape((n, c * r * r, h // r, w // r))


@pixel_unshuffle.grad
def pixel_unshuffle_grad(xp, g, saved, *, factor, channels_last=False):
    return (pixel_shuffle(xp, g, factor=factor, channels_last=channels_last),)


def _channel_shuffle_spec(x, *, groups, channels_last=False):
    _images("channel_shuffle", x)
    _over("channel_shuffle", x.shape[-1 if channels_last else 1], groups, "channels")
    return Spec(x.shape, x.dtype)


@op("channel_shuffle", infer=_channel_shuffle_spec)
def channel_shuffle(xp, x, *, groups, channels_last=False):
    """[N, C, H, W] with its channels dealt out: channel j of group i becomes channel i of group j (Zhang et al., 2018).

    channels_last: [N, H, W, C].
    """
    if channels_last:
        n, h, w, c = x.shape
        return x.reshape((n, h, w, groups, c // groups)).transpose((0, 1, 2, 4, 3)).reshape((n, h, w, c))
    n, c, h, w = x.shape
    return x.reshape((n, groups, c // groups, h, w)).transpose((0, 2, 1, 3, 4)).reshape((n, c, h, w))


@channel_shuffle.grad
def channel_shuffle_grad(xp, g, saved, *, groups, channels_last=False):
    return (channel_shuffle(xp, g, groups=g.shape[-1 if channels_last else 1] // groups, channels_last=channels_last),)


def _shift_spec(x, *, segments, ratio, channels_last=False, back=False):
    _images("temporal_shift", x)
    _over("temporal_shift", x.shape[0], segments, "a first axis")
    return Spec(x.shape, x.dtype)


@op("temporal_shift", infer=_shift_spec)
def temporal_shift(xp, x, *, segments, ratio, channels_last=False, back=False):
    """[N T, C, H, W] with the first C ratio channels taken from the moment before and the next C ratio from the one
    after, zero where there is none (Lin et al., 2019); T = segments. back: the other way round."""
    axis = 4 if channels_last else 2
    frames = x.reshape((-1, segments, *x.shape[1:]))
    count = frames.shape[axis]
    first, second = int(count * ratio), int(count * 2 * ratio)

    def part(a, begin, end):
        return a[:, :, :, :, begin:end] if channels_last else a[:, :, begin:end]

    none = xp.zeros((frames.shape[0], 1, *frames.shape[2:]), x.dtype)
    before = xp.concatenate([none, frames[:, :-1]], axis=1)
    after = xp.concatenate([frames[:, 1:], none], axis=1)
    before, after = (after, before) if back else (before, after)
    parts = [part(before, 0, first), part(after, first, second), part(frames, second, count)]
    return xp.concatenate(parts, axis=axis).reshape(x.shape)


@temporal_shift.grad
def temporal_shift_grad(xp, g, saved, *, segments, ratio, channels_last=False, back=False):
    return (temporal_shift(xp, g, segments=segments, ratio=ratio, channels_last=channels_last, back=not back),)


# ---- patches to columns ----------------------------------------------------------------------------------------------


def _counts(where, sizes, kernel, stride, padding, dilation):
    """How many windows fit along both axes. padding: (top, left, bottom, right)."""
    out = []
    for axis in range(2):
        size = sizes[axis]
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        room = None if size is None else size + padding[axis] + padding[axis + 2] - reach
        if room is not None and room < 0:
            raise ValueError(explain(where, f"at least {reach} elements with padding along spatial axis {axis}",
                                     str(room + reach)))
        out.append(None if room is None else room // stride[axis] + 1)
    return out


def _unfold_spec(x, *, kernel, stride, padding, dilation):
    _images("unfold", x)
    rows, columns = _counts("unfold", x.shape[2:], kernel, stride, padding, dilation)
    places = None if None in (rows, columns) else rows * columns
    return Spec((x.shape[0], _times(x.shape[1], kernel[0] * kernel[1]), places), x.dtype)


def _taps(kernel, stride, dilation, counts):
    """For each place of the kernel the slices of the padded picture that it sees."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            yield i, j, (slice(None), slice(None), slice(top, top + (counts[0] - 1) * stride[0] + 1, stride[0]),
                         slice(left, left + (counts[1] - 1) * stride[1] + 1, stride[1]))


@op("unfold", infer=_unfold_spec, saves=("x_shape",))
def unfold(xp, x, *, kernel, stride, padding, dilation):
    """[N, C, H, W] to [N, C kh kw, L]: each of the L columns is a patch. padding: (top, left, bottom, right) zeros."""
    n, c, h, w = x.shape
    counts = _counts("unfold", (h, w), kernel, stride, padding, dilation)
    padded = xp.pad(x, ((0, 0), (0, 0), (padding[0], padding[2]), (padding[1], padding[3])))
    out = xp.empty((n, c, *kernel, *counts), x.dtype)
    for i, j, where in _taps(kernel, stride, dilation, counts):
        out[:, :, i, j] = padded[where]
    return out.reshape((n, c * kernel[0] * kernel[1], counts[0] * counts[1]))


@unfold.grad
def unfold_grad(xp, g, saved, *, kernel, stride, padding, dilation):
    return (fold(xp, g, sizes=saved.x_shape[2:], kernel=kernel, stride=stride, padding=padding, dilation=dilation),)


def _fold_spec(x, *, sizes, kernel, stride, padding, dilation):
    if len(x.shape) != 3:
        raise ValueError(explain("fold", "columns [N, C kh kw, L]", str(list(x.shape))))
    rows, columns = _counts("fold", sizes, kernel, stride, padding, dilation)
    if x.shape[2] is not None and x.shape[2] != rows * columns:
        raise ValueError(explain("fold", f"{rows} x {columns} columns for pictures of {list(sizes)}", str(x.shape[2])))
    channels = _over("fold", x.shape[1], kernel[0] * kernel[1], "an axis of channels")
    return Spec((x.shape[0], channels, *sizes), x.dtype)


@op("fold", infer=_fold_spec)
def fold(xp, x, *, sizes, kernel, stride, padding, dilation):
    """[N, C kh kw, L] to [N, C, H, W]: columns put back where `unfold` took them; what overlaps is added."""
    _fold_spec(x, sizes=sizes, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    counts = _counts("fold", sizes, kernel, stride, padding, dilation)
    n, c = x.shape[0], x.shape[1] // (kernel[0] * kernel[1])
    columns = x.reshape((n, c, *kernel, *counts))
    top, left, bottom, right = padding
    out = xp.zeros((n, c, sizes[0] + top + bottom, sizes[1] + left + right), x.dtype)
    for i, j, where in _taps(kernel, stride, dilation, counts):
        out[where] += columns[:, :, i, j]
    return out[:, :, top:top + sizes[0], left:left + sizes[1]].copy()


@fold.grad
def fold_grad(xp, g, saved, *, sizes, kernel, stride, padding, dilation):
    return (unfold(xp, g, kernel=kernel, stride=stride, padding=padding, dilation=dilation),)

