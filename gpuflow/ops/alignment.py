"""Losses over all alignments of a sequence with its labels: CTC and the RNN transducer.

Both sum the probabilities of paths through a grid, forwards (alpha) and backwards (beta), in the logarithm. The
gradient needs both, so that it is an op of its own, without a further derivative.
"""
from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op
from gpuflow.ops.softmax import log_softmax

_NONE = -1e30     # the logarithm of nothing; finite, so that differences stay numbers


def _wide(xp, x):
    return x.astype(xp.float32) if x.dtype.itemsize == 2 else x


def _ctc_spec(x, labels, input_lengths, label_lengths, *, blank=0):
    if len(x.shape) != 3 or len(labels.shape) != 2:
        raise ValueError(explain("ctc_loss", "log_probs [T, N, classes] and labels [N, L]",
                                 f"{list(x.shape)} and {list(labels.shape)}"))
    if x.shape[2] is not None and not 0 <= blank < x.shape[2]:
        raise ValueError(explain("ctc_loss", f"blank in [0, {x.shape[2]})", str(blank)))
    return Spec((x.shape[1],), x.dtype if x.dtype.itemsize > 2 else dtypes.float32)


class _Ctc:
    """The grid of CTC: states blank, label 1, blank, label 2, ..., blank for each of N sequences.

    emit: [T, N, S] log probabilities of the states' symbols. skip: [N, S], where a state may follow the one two before.
    """

    def __init__(self, xp, log_probs, labels, label_lengths, blank):
        self.xp = xp
        n, length = labels.shape
        count = 2 * length + 1
        self.symbols = xp.full((n, count), blank, xp.int64)
        self.symbols[:, 1::2] = labels
        self.emit = xp.take_along_axis(log_probs, xp.broadcast_to(self.symbols, (len(log_probs), n, count)), axis=2)
        self.skip = xp.zeros((n, count), bool)
        self.skip[:, 2:] = (self.symbols[:, 2:] != blank) & (self.symbols[:, 2:] != self.symbols[:, :-2])
        self.last = 2 * label_lengths.astype(xp.int64)

    def _shifted(self, a, by):
        xp = self.xp
        out = xp.full(a.shape, _NONE, a.dtype)
        if by > 0:
            out[:, by:] = a[:, :-by]
        else:
            out[:, :by] = a[:, -by:]
        return out

    def alpha(self):
        """[T, N, S]: the paths that reach a state at a moment, its symbol included."""
        xp, emit = self.xp, self.emit
        out = xp.full(emit.shape, _NONE, emit.dtype)
        out[0, :, :2] = emit[0, :, :2]
        for t in range(1, len(emit)):
            before = out[t - 1]
            paths = xp.logaddexp(before, self._shifted(before, 1))
            paths = xp.logaddexp(paths, xp.where(self.skip, self._shifted(before, 2), _NONE))
            out[t] = xp.maximum(paths + emit[t], _NONE)
        return out

    def beta(self, input_lengths):
        """[T, N, S]: the paths from a state at a moment to the end, its symbol not included."""
        xp, emit = self.xp, self.emit
        states = xp.arange(emit.shape[2])[None]
        ends = xp.where((states == self.last[:, None]) | (states == self.last[:, None] - 1), 0.0, _NONE)
        ends = ends.astype(emit.dtype)
        skip = xp.zeros_like(self.skip)
        skip[:, :-2] = self.skip[:, 2:]
        out = xp.full(emit.shape, _NONE, emit.dtype)
        for t in range(len(emit) - 1, -1, -1):
            if t + 1 < len(emit):
                after = out[t + 1] + emit[t + 1]
                paths = xp.logaddexp(after, self._shifted(after, -1))
                paths = xp.logaddexp(paths, xp.where(skip, self._shifted(after, -2), _NONE))
                out[t] = xp.maximum(paths, _NONE)
            out[t] = xp.where((input_lengths == t + 1)[:, None], ends, out[t])
        return out

    def loss(self, alpha, input_lengths):
        """[N]: minus the logarithm of all whole paths."""
        xp = self.xp
        n = xp.arange(alpha.shape[1])
        final = alpha[input_lengths.astype(xp.int64) - 1, n]
        one = final[n, self.last]
        other = xp.where(self.last > 0, final[n, xp.maximum(self.last - 1, 0)], _NONE)
        return -xp.logaddexp(one, other)


@op("ctc_loss", infer=_ctc_spec, saves=("x", "labels", "input_lengths", "label_lengths"), quiet=True)
def ctc_loss(xp, x, labels, input_lengths, label_lengths, *, blank=0):
    """-log of the probability of `labels`, summed over all alignments (Graves et al., 2006): [N].

    x: [T, N, classes] logits. labels: [N, L]; input_lengths, label_lengths: [N]. Impossible labels have loss near 1e30.
    """
    if labels.size and int(labels.max()) >= x.shape[2]:
        raise ValueError(explain("ctc_loss", f"labels below {x.shape[2]}", str(int(labels.max()))))
    grid = _Ctc(xp, log_softmax(xp, _wide(xp, x), axis=2), labels, label_lengths, blank)
    return grid.loss(grid.alpha(), input_lengths)


@ctc_loss.grad
def ctc_loss_grad(xp, g, saved, *, blank=0):
    return (ctc_loss_back(xp, g, saved.x, saved.labels, saved.input_lengths, saved.label_lengths, blank=blank),
            None, None, None)


@op("ctc_loss_back", infer=lambda g, x, *rest, **attrs: Spec(x.shape, x.dtype), quiet=True)
def ctc_loss_back(xp, g, x, labels, input_lengths, label_lengths, *, blank=0):
    """The gradient of ctc_loss with respect to the logits: softmax minus how often each symbol is on a path."""
    log_probs = log_softmax(xp, _wide(xp, x), axis=2)
    grid = _Ctc(xp, log_probs, labels, label_lengths, blank)
    alpha = grid.alpha()
    loss = grid.loss(alpha, input_lengths)
    share = xp.exp(xp.minimum(alpha + grid.beta(input_lengths) + loss[None, :, None], 0.0))
    counts = xp.zeros(x.shape, log_probs.dtype)
    n = xp.arange(x.shape[1])
    for s in range(grid.symbols.shape[1]):     # one state at a time: several may have the same symbol
        counts[:, n, grid.symbols[:, s]] += share[:, :, s]
    inside = (xp.arange(len(x))[:, None] < input_lengths[None]) & (loss < 1e29)[None]
    out = xp.where(inside[:, :, None], xp.exp(log_probs) - counts, 0.0) * g[None, :, None]
    return out.astype(x.dtype, copy=False)


@ctc_loss_back.grad
def ctc_loss_back_grad(xp, h, saved, **attrs):
    raise NotImplementedError(explain("ctc_loss", "one derivative", "a second one"))


# ---- the transducer --------------------------------------------------------------------------------------------------


def _rnnt_spec(x, labels, input_lengths, label_lengths, *, blank=0, fastemit=0.0):
    if len(x.shape) != 4 or len(labels.shape) != 2:
        raise ValueError(explain("rnnt_loss", "input [B, T, U + 1, classes] and label [B, U]",
                                 f"{list(x.shape)} and {list(labels.shape)}"))
    if None not in (x.shape[2], labels.shape[1]) and x.shape[2] != labels.shape[1] + 1:
        raise ValueError(explain("rnnt_loss", f"input with {labels.shape[1] + 1} places on axis 2", str(x.shape[2])))
    return Spec((x.shape[0],), x.dtype if x.dtype.itemsize > 2 else dtypes.float32)


def _rnnt_moves(xp, x, labels, blank):
    """(log softmax, log probability of a blank [B, T, U + 1], of the next label [B, T, U])."""
    log_probs = log_softmax(xp, _wide(xp, x), axis=3)
    index = xp.broadcast_to(labels[:, None, :, None].astype(xp.int64), (*x.shape[:2], labels.shape[1], 1))
    return log_probs, log_probs[..., blank], xp.take_along_axis(log_probs[:, :, :-1], index, axis=3)[..., 0]


def _rnnt_alpha(xp, stay, go):
    _, frames, places = stay.shape
    out = xp.full(stay.shape, _NONE, stay.dtype)
    out[:, 0, 0] = 0
    for t in range(frames):
        for u in range(places):
            if t:
                out[:, t, u] = xp.logaddexp(out[:, t, u], out[:, t - 1, u] + stay[:, t - 1, u])
            if u:
                out[:, t, u] = xp.logaddexp(out[:, t, u], out[:, t, u - 1] + go[:, t, u - 1])
    return out


def _rnnt_beta(xp, stay, go, last_t, last_u):
    b, frames, places = stay.shape
    out = xp.full(stay.shape, _NONE, stay.dtype)
    for t in range(frames - 1, -1, -1):
        for u in range(places - 1, -1, -1):
            paths = xp.full((b,), _NONE, stay.dtype)
            if t + 1 < frames:
                paths = xp.logaddexp(paths, out[:, t + 1, u] + stay[:, t, u])
            if u + 1 < places:
                paths = xp.logaddexp(paths, out[:, t, u + 1] + go[:, t, u])
            out[:, t, u] = xp.where((last_t == t) & (last_u == u), stay[:, t, u],
                                    xp.where((t > last_t) | (u > last_u), _NONE, paths))
    return out


@op("rnnt_loss", infer=_rnnt_spec, saves=("x", "labels", "input_lengths", "label_lengths"), quiet=True)
def rnnt_loss(xp, x, labels, input_lengths, label_lengths, *, blank=0, fastemit=0.0):
    """-log of the probability of `labels`, summed over all paths of a transducer (Graves, 2012): [B].

    x: [B, T, U + 1, classes] logits; labels: [B, U]. fastemit: how much more the gradient of emitting a label counts
    (Yu et al., 2021).
    """
    _, stay, go = _rnnt_moves(xp, x, labels, blank)
    alpha = _rnnt_alpha(xp, stay, go)
    b, t, u = xp.arange(len(x)), input_lengths.astype(xp.int64) - 1, label_lengths.astype(xp.int64)
    return -(alpha[b, t, u] + stay[b, t, u])


@rnnt_loss.grad
def rnnt_loss_grad(xp, g, saved, *, blank=0, fastemit=0.0):
    return (rnnt_loss_back(xp, g, saved.x, saved.labels, saved.input_lengths, saved.label_lengths, blank=blank,
                           fastemit=fastemit), None, None, None)


@op("rnnt_loss_back", infer=lambda g, x, *rest, **attrs: Spec(x.shape, x.dtype), quiet=True)
def rnnt_loss_back(xp, g, x, labels, input_lengths, label_lengths, *, blank=0, fastemit=0.0):
    """The gradient of rnnt_loss with respect to the logits."""
    log_probs, stay, go = _rnnt_moves(xp, x, labels, blank)
    last_t, last_u = input_lengths.astype(xp.int64) - 1, label_lengths.astype(xp.int64)
    alpha, beta = _rnnt_alpha(xp, stay, go), _rnnt_beta(xp, stay, go, last_t, last_u)
    total = beta[:, 0, 0][:, None, None]
    after = xp.full(beta.shape, _NONE, beta.dtype)
    after[:, :-1] = beta[:, 1:]
    b = xp.arange(len(x))
    after[b, last_t, last_u] = 0.0
    stays = xp.exp(xp.minimum(alpha + stay + after - total, 0.0))        # how likely each move is part of the path
    goes = xp.exp(xp.minimum(alpha[:, :, :-1] + go + beta[:, :, 1:] - total, 0.0))
    goes *= xp.arange(labels.shape[1])[None, None] < last_u[:, None, None]
    moves = xp.zeros(log_probs.shape, log_probs.dtype)
    moves[..., blank] += stays
    _, frames, places = goes.shape
    where = (b[:, None, None], xp.arange(frames)[None, :, None], xp.arange(places)[None, None],
             labels[:, None].astype(xp.int64))
    moves[where] += (1 + fastemit) * goes
    out = xp.exp(log_probs) * moves.sum(axis=3, keepdims=True) - moves
    return (out * g[:, None, None, None]).astype(x.dtype, copy=False)


@rnnt_loss_back.grad
def rnnt_loss_back_grad(xp, h, saved, **attrs):
    raise NotImplementedError(explain("rnnt_loss", "one derivative", "a second one"))
