"""Recurrent layers over whole sequences: a plain RNN, LSTM and GRU, one layer in one direction as one op.

x is [T, B, I], time first. Weights are Paddle's: w_ih [G * H, I], w_hh [G * H, P], biases [G * H], where G gates of H
units are one under the other; P is H, or the size that an LSTM projects its output to. Products are few: the
input's for all steps before the walk, one small one per step, the weights' gradients over all steps after it.

lengths [B]: sequence b ends before step lengths[b]; from there on its state stands still and its output is zero.
reverse: from the last step to the first; what a sequence has no step for, it skips.

The gradients are written without assignments into arrays, so that the same text gives second derivatives. `gates` and
`cells` are results for their sake: what the walk back reads.
"""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.matmul import column_sums, product
from gpuflow.ops.registry import Spec, op
from gpuflow_kernels import passes


def _checked(where, x, w_ih, w_hh, gates, h0=None, lengths=None, c0=None):
    """(steps, batch, hidden size); ValueError where shapes do not go together, in a forward as in a shape rule."""
    if len(x.shape) != 3 or x.shape[0] == 0:
        raise ValueError(explain(where, "inputs with a batch, features and at least one step of time",
                                 f"shape {list(x.shape)}, time first"))
    hidden = w_hh.shape[0] // gates
    if x.shape[2] != w_ih.shape[1] and x.shape[2] is not None:
        raise ValueError(explain(where, f"{w_ih.shape[1]} features per step (input_size)", str(x.shape[2])))
    if x.dtype != w_ih.dtype:
        raise ValueError(explain(where, f"inputs of the weights' dtype {w_ih.dtype.name}", x.dtype.name,
                                 f"x.astype('{w_ih.dtype.name}')"))
    batch = x.shape[1]
    for name, given, shape in (("a state h", h0, (batch, w_hh.shape[1])), ("a state c", c0, (batch, hidden)),
                               ("lengths", lengths, (batch,))):
        if given is not None and (len(given.shape) != len(shape) or any(
                a != b and None not in (a, b) for a, b in zip(given.shape, shape))):
            raise ValueError(explain(where, f"{name} of shape {list(shape)}", str(list(given.shape))))
    return x.shape[0], batch, hidden


def _wide(dtype):
    return dtype if dtype.itemsize > 2 else dtypes.float32


def _widened(xp, *arrays):
    """The arrays with 16-bit floats as float32: what is added up over time needs the digits."""
    return [a.astype(np.float32) if a is not None and a.dtype.itemsize == 2 else a for a in arrays]


def _narrowed(kind, *arrays):
    return tuple(a.astype(kind, copy=False) for a in arrays)


def _start(xp, state, batch, size, kind):
    return xp.zeros((batch, size), kind) if state is None else state


def _valid(xp, steps, lengths, kind):
    """[T, B, 1]: 1 where a sequence has a step, else 0; None without lengths."""
    if lengths is None:
        return None
    return (xp.arange(steps).reshape((-1, 1, 1)) < lengths.reshape((1, -1, 1))).astype(kind)


def _check_lengths(xp, where, lengths, steps):
    if lengths is not None and xp is np and lengths.size and not 0 <= lengths.min() <= lengths.max() <= steps:
        raise ValueError(explain(where, f"lengths in [0, {steps}]", f"{lengths.min()} to {lengths.max()}"))


def _order(steps, reverse):
    return range(steps)[::-1] if reverse else range(steps)


def _projected(xp, x, weight, bias):
    """x @ weight.T + bias for all steps at once: [T, B, G * H]."""
    out = product(xp, x, weight.T)
    out += bias
    return out


def _kept(mask, new, old):
    """The new state where a sequence has the step, else the old one."""
    return new if mask is None else new * mask + old * (1 - mask)


def _shown(gates, valid):
    """Gates [T, B, 4, H], or their gradient, zero where a sequence has no step."""
    return gates if valid is None else gates * valid.reshape((*valid.shape, 1))


def _before(xp, states, first, valid, reverse):
    """Per step, the state that it started from. states: [T, B, P], zero (or standing still) where there is no step."""
    first = first.reshape((1, *first.shape))
    if states.shape[0] == 1:
        return first
    if not reverse:
        return xp.concatenate([first, states[:-1]], axis=0)
    rest = states[1:] if valid is None else states[1:] * valid[1:] + first * (1 - valid[1:])
    return xp.concatenate([rest, first], axis=0)


def _sums(xp, saved, x, before, to_inputs, to_states, need, into):
    """(x's, w_ih's, w_hh's, b_ih's, b_hh's) gradients from those of the sums at x and at h: [T, B, G * H] each.

    need: of these five, what is wanted; into: where it may be written.
    """
    w_ih, = _widened(xp, saved.w_ih)
    rows, states = (a.reshape((-1, a.shape[-1])) for a in (to_inputs, to_states))
    return (product(xp, to_inputs, w_ih) if need[0] else None,
            product(xp, rows.T, x.reshape((-1, x.shape[-1])), into[1]) if need[1] else None,
            product(xp, states.T, before.reshape((-1, before.shape[-1])), into[2]) if need[2] else None,
            column_sums(xp, rows, into[3]) if need[3] else None,
            column_sums(xp, states, into[4]) if need[4] else None)


def _walk_back(xp, g_out, g_h, w_hh, valid, reverse, step, g_c=None, g_cells=None):
    """Goes back through the steps. Returns the gradients of each step's sums at h [T, B, G * H], of each h that a step
    made [T, B, P], and of the h and c that the walk began with.

    g_out, g_cells: gradients of h and of c (or None) after each step; g_h, g_c: of the last ones.
    step(t, g_h, g_c): from those of the h and c that step t made, those of its sums, of the h before it beside what
    comes through the sums (or None), and of the c before it.
    """
    steps = g_out.shape[0]
    sums, outs = [None] * steps, [None] * steps
    for t in _order(steps, not reverse):
        g_c = g_c if g_cells is None else g_c + g_cells[t]
        if valid is None:
            outs[t] = g_out[t] + g_h
            sums[t], rest, g_c = step(t, outs[t], g_c)
            g_h = xp.matmul(sums[t], w_hh)
        else:
            mask = valid[t]
            still_h, still_c = g_h * (1 - mask), None if g_c is None else g_c * (1 - mask)
            outs[t] = (g_out[t] + g_h) * mask
            sums[t], rest, g_c = step(t, outs[t], None if g_c is None else g_c * mask)
            g_h = xp.matmul(sums[t], w_hh) + still_h
            g_c = None if g_c is None else g_c + still_c
        if rest is not None:
            g_h = g_h + rest
    return xp.stack(sums), xp.stack(outs), g_h, g_c


def _into(saved):
    return saved.into or (None,) * len(saved.needs)


# ---- plain -----------------------------------------------------------------------------------------------------------


def _plain_spec(x, w_ih, w_hh, b_ih, b_hh, h0=None, lengths=None, *, activation="tanh", reverse=False):
    steps, batch, hidden = _checked("SimpleRNN", x, w_ih, w_hh, 1, h0, lengths)
    return Spec((steps, batch, hidden), x.dtype), Spec((batch, hidden), x.dtype)


@op("simple_rnn", infer=_plain_spec, saves=("x", "w_ih", "w_hh", "h0", "lengths", "out"), outputs=("out", "h"),
    writes=("w_ih", "w_hh", "b_ih", "b_hh"))
def simple_rnn(xp, x, w_ih, w_hh, b_ih, b_hh, h0=None, lengths=None, *, activation="tanh", reverse=False):
    """h = activation(w_ih x + b_ih + w_hh h + b_hh) per step: all of them [T, B, H], and the last [B, H].

    activation: "tanh" or "relu". lengths, reverse: see the head of this file.
    """
    kind, (steps, batch, hidden) = x.dtype, _checked("SimpleRNN", x, w_ih, w_hh, 1, h0, lengths)
    _check_lengths(xp, "SimpleRNN", lengths, steps)
    x, w_ih, w_hh, b_ih, b_hh, h0 = _widened(xp, x, w_ih, w_hh, b_ih, b_hh, h0)
    out = _projected(xp, x, w_ih, b_ih + b_hh)
    valid = _valid(xp, steps, lengths, out.dtype)
    h = _start(xp, h0, batch, hidden, out.dtype)
    for t in _order(steps, reverse):
        out[t] += h @ w_hh.T
        if activation == "tanh":
            xp.tanh(out[t], out=out[t])
        else:
            xp.maximum(out[t], 0, out=out[t])
        h = _kept(None if valid is None else valid[t], out[t], h)
    h = h.copy()
    if valid is not None:
        out *= valid
    return _narrowed(kind, out, h)


@simple_rnn.grad
def simple_rnn_grad(xp, g, saved, *, activation="tanh", reverse=False):
    x, w_hh, h0, out, g_out, g_h = _widened(xp, saved.x, saved.w_hh, saved.h0, saved.out, *g)
    valid = _valid(xp, x.shape[0], saved.lengths, out.dtype)
    first = _start(xp, h0, x.shape[1], w_hh.shape[1], out.dtype)
    slope = 1 - out * out if activation == "tanh" else (out > 0).astype(out.dtype)
    sums, _, g_h, _ = _walk_back(xp, g_out, g_h, w_hh, valid, reverse,
                                 lambda t, g_h, g_c: (slope[t] * g_h, None, None))
    before = _before(xp, out, first, valid, reverse)
    return *_sums(xp, saved, x, before, sums, sums, saved.needs, _into(saved)), g_h, None


# ---- LSTM ------------------------------------------------------------------------------------------------------------

# sigmoid(x) is tanh(x / 2) / 2 + 1 / 2: with halved sums, one tanh serves all four gates
_LSTM_SCALE, _LSTM_SHIFT = (0.5, 0.5, 1.0, 0.5), (0.5, 0.5, 0.0, 0.5)


def _lstm_spec(x, w_ih, w_hh, b_ih, b_hh, h0=None, c0=None, w_ho=None, lengths=None, *, reverse=False):
    steps, batch, hidden = _checked("LSTM", x, w_ih, w_hh, 4, h0, lengths, c0)
    wide, size = _wide(x.dtype), w_hh.shape[1]
    return (Spec((steps, batch, size), x.dtype), Spec((batch, size), x.dtype), Spec((batch, hidden), x.dtype),
            Spec((steps, batch, 4, hidden), wide), Spec((steps, batch, hidden), wide))


@op("lstm", infer=_lstm_spec, outputs=("out", "h", "c", "gates", "cells"), quiet=True,
    saves=("x", "w_ih", "w_hh", "h0", "c0", "w_ho", "lengths", "out", "gates", "cells"), internal=(3, 4),
    writes=("w_ih", "w_hh", "b_ih", "b_hh"))
def lstm(xp, x, w_ih, w_hh, b_ih, b_hh, h0=None, c0=None, w_ho=None, lengths=None, *, reverse=False):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with gates i, f, g, o from w_ih x + w_hh h + biases:

        c = sigmoid(f) c + sigmoid(i) tanh(g)        h = sigmoid(o) tanh(c), times w_ho where that is given

    All h [T, B, P], the last h [B, P] and c [B, H], then what the gates were [T, B, 4, H] and all c [T, B, H].
    w_ho: [H, P]. lengths, reverse: see the head of this file.
    """
    kind, (steps, batch, hidden) = x.dtype, _checked("LSTM", x, w_ih, w_hh, 4, h0, lengths, c0)
    _check_lengths(xp, "LSTM", lengths, steps)
    x, w_ih, w_hh, b_ih, b_hh, h, c, w_ho = _widened(xp, x, w_ih, w_hh, b_ih, b_hh, h0, c0, w_ho)
    if _compiled(xp, w_hh, lengths, w_ho):
        return _lstm_compiled(x, w_ih, w_hh, b_ih + b_hh, h, c, reverse, kind)
    scale, shift = (xp.asarray(v, w_ih.dtype).reshape((4, 1)) for v in (_LSTM_SCALE, _LSTM_SHIFT))
    halved = xp.repeat(scale, hidden, axis=0)
    gates = _projected(xp, x, w_ih * halved, (b_ih + b_hh) * halved[:, 0]).reshape((steps, batch, 4, hidden))
    w_hh = w_hh * halved
    valid = _valid(xp, steps, lengths, gates.dtype)
    h = _start(xp, h, batch, w_hh.shape[1], gates.dtype)
    c = _start(xp, c, batch, hidden, gates.dtype)
    out, cells = xp.empty((steps, *h.shape), gates.dtype), xp.empty((steps, *c.shape), gates.dtype)
    for t in _order(steps, reverse):
        gate, mask = gates[t], None if valid is None else valid[t]
        gate += (h @ w_hh.T).reshape(gate.shape)
        xp.tanh(gate, out=gate)
        gate *= scale
        gate += shift
        new = gate[:, 0] * gate[:, 2]
        new += gate[:, 1] * c
        c = cells[t] = _kept(mask, new, c)
        new = gate[:, 3] * xp.tanh(new)
        new = new if w_ho is None else new @ w_ho
        out[t] = new if mask is None else new * mask
        h = _kept(mask, new, h)
    return (*_narrowed(kind, out, h, c), _shown(gates, valid), cells)


def _compiled(xp, w_hh, lengths, w_ho):
    """True where a kernel does all of a step but its product."""
    return xp is np and lengths is None and w_ho is None and passes.takes(w_hh)


def _lstm_compiled(x, w_ih, w_hh, bias, h, c, reverse, kind):
    (steps, batch, _), hidden = x.shape, w_hh.shape[1]
    gates = _projected(np, x, w_ih, bias).reshape((steps, batch, 4, hidden))
    h, c = _start(np, h, batch, hidden, gates.dtype), _start(np, c, batch, hidden, gates.dtype)
    out, cells = np.empty((2, steps, batch, hidden), gates.dtype)
    for t in _order(steps, reverse):
        passes.lstm_step(gates[t], (h @ w_hh.T).reshape(gates[t].shape), c, cells[t], out[t])
        h, c = out[t], cells[t]
    return (*_narrowed(kind, out, h.copy(), c.copy()), gates, cells)


@lstm.grad
def lstm_grad(xp, g, saved, *, reverse=False):
    x, w_hh, h0, c0, w_ho, out = _widened(xp, saved.x, saved.w_hh, saved.h0, saved.c0, saved.w_ho, saved.out)
    g_out, g_h, g_c, g_gates, g_cells = _widened(xp, *g)
    gates, cells = saved.gates, saved.cells
    steps, batch, _, hidden = gates.shape
    valid = _valid(xp, steps, saved.lengths, gates.dtype)
    h0 = _start(xp, h0, batch, w_hh.shape[1], gates.dtype)
    c0 = _start(xp, c0, batch, hidden, gates.dtype)
    cells_before = _before(xp, cells, c0, None, reverse)
    if g_gates is None and _compiled(xp, w_hh, saved.lengths, w_ho):
        sums, g_h, g_c = _lstm_back_compiled(g_out, g_h, g_c, g_cells, w_hh, gates, cells, cells_before, reverse)
        before = _before(xp, out, h0, None, reverse)
        return *_sums(xp, saved, x, before, sums, sums, saved.needs, _into(saved)), g_h, g_c, None, None
    g_gates = None if g_gates is None else _shown(g_gates, valid)

    def step(t, g_h, g_c):
        i, f, new, o = (gates[t, :, k] for k in range(4))   # a step's numbers fit in a cache, those of all steps do not
        shown = xp.tanh(cells[t])
        g_h = g_h if w_ho is None else xp.matmul(g_h, w_ho.T)
        g_c = g_c + g_h * o * (1 - shown * shown)
        to_gates = [g_c * new, g_c * cells_before[t], g_c * i, g_h * shown]
        if g_gates is not None:
            to_gates = [a + g_gates[t, :, k] for k, a in enumerate(to_gates)]
        slopes = i * (1 - i), f * (1 - f), 1 - new * new, o * (1 - o)
        return xp.concatenate([a * slope for a, slope in zip(to_gates, slopes)], axis=1), None, g_c * f

    sums, g_outs, g_h, g_c = _walk_back(xp, g_out, g_h, w_hh, valid, reverse, step, g_c, g_cells)
    before = _before(xp, out, h0, valid, reverse)
    to_w_ho = None
    if w_ho is not None and saved.needs[7]:
        shown = (gates[:, :, 3] * xp.tanh(cells)).reshape((-1, hidden))
        to_w_ho = xp.matmul(shown.T, g_outs.reshape((-1, g_outs.shape[-1])))
    return *_sums(xp, saved, x, before, sums, sums, saved.needs, _into(saved)), g_h, g_c, to_w_ho, None


def _lstm_back_compiled(g_out, g_h, g_c, g_cells, w_hh, gates, cells, cells_before, reverse):
    """`_walk_back` by a kernel for all of a step but its product: the gradients of the sums and of the first h, c."""
    steps, batch, _, hidden = gates.shape
    sums, g_c = np.empty_like(gates), g_c.copy()
    for t in _order(steps, not reverse):
        if g_cells is not None:
            g_c += g_cells[t]
        passes.lstm_step_back(gates[t], cells_before[t], cells[t], g_out[t] + g_h, g_c, sums[t])
        g_h = sums[t].reshape((batch, -1)) @ w_hh
    return sums.reshape((steps, batch, 4 * hidden)), g_h, g_c


# ---- GRU -------------------------------------------------------------------------------------------------------------


def _gru_spec(x, w_ih, w_hh, b_ih, b_hh, h0=None, lengths=None, *, reverse=False):
    steps, batch, hidden = _checked("GRU", x, w_ih, w_hh, 3, h0, lengths)
    return (Spec((steps, batch, hidden), x.dtype), Spec((batch, hidden), x.dtype),
            Spec((steps, batch, 4, hidden), _wide(x.dtype)))


@op("gru", infer=_gru_spec, outputs=("out", "h", "gates"), quiet=True, internal=(2,),
    saves=("x", "w_ih", "w_hh", "h0", "lengths", "out", "gates"), writes=("w_ih", "w_hh", "b_ih", "b_hh"))
def gru(xp, x, w_ih, w_hh, b_ih, b_hh, h0=None, lengths=None, *, reverse=False):
    """Gated recurrent unit (Cho et al. 2014) with the reset gate after the product: from u = w_ih x + b_ih and
    v = w_hh h + b_hh

        r, z = sigmoid(u + v)        n = tanh(u + r v)        h = (h - n) z + n

    All h [T, B, H], the last [B, H], then r, z, n and n's v [T, B, 4, H]. lengths, reverse: see the head of this file.
    """
    kind, (steps, batch, hidden) = x.dtype, _checked("GRU", x, w_ih, w_hh, 3, h0, lengths)
    _check_lengths(xp, "GRU", lengths, steps)
    x, w_ih, w_hh, b_ih, b_hh, h = _widened(xp, x, w_ih, w_hh, b_ih, b_hh, h0)
    halved = xp.repeat(xp.asarray((0.5, 0.5, 1.0), w_ih.dtype), hidden)   # as in lstm
    inputs = _projected(xp, x, w_ih * halved[:, None], b_ih * halved).reshape((steps, batch, 3, hidden))
    w_hh, b_hh = w_hh * halved[:, None], b_hh * halved
    valid = _valid(xp, steps, lengths, inputs.dtype)
    h = _start(xp, h, batch, hidden, inputs.dtype)
    gates, out = xp.empty((steps, batch, 4, hidden), inputs.dtype), xp.empty((steps, *h.shape), inputs.dtype)
    for t in _order(steps, reverse):
        gate, mask = gates[t], None if valid is None else valid[t]
        inner = h @ w_hh.T
        inner += b_hh
        inner = inner.reshape((batch, 3, hidden))
        both = xp.tanh(inputs[t, :, :2] + inner[:, :2])
        both *= 0.5
        both += 0.5
        gate[:, :2], gate[:, 3] = both, inner[:, 2]
        new = gate[:, 2] = xp.tanh(both[:, 0] * inner[:, 2] + inputs[t, :, 2])
        new = (h - new) * both[:, 1] + new
        out[t] = new if mask is None else new * mask
        h = _kept(mask, new, h)
    return (*_narrowed(kind, out, h), _shown(gates, valid))


@gru.grad
def gru_grad(xp, g, saved, *, reverse=False):
    x, w_hh, h0, out, g_out, g_h, g_gates = _widened(xp, saved.x, saved.w_hh, saved.h0, saved.out, *g)
    gates = saved.gates
    steps, batch, _, hidden = gates.shape
    valid = _valid(xp, steps, saved.lengths, gates.dtype)
    g_gates = None if g_gates is None else _shown(g_gates, valid)
    before = _before(xp, out, _start(xp, h0, batch, hidden, gates.dtype), valid, reverse)
    r, z, n, inner = (gates[:, :, k] for k in range(4))

    def to_sums(to_r, to_z, to_n, to_inner):
        """Gradients of the four to those of the sums at h, [T, B, 3, H], and of n's sum."""
        to_n = to_n * (1 - n * n)
        to_r = (to_n * inner + to_r) * r * (1 - r)
        return xp.stack([to_r, to_z * z * (1 - z), to_n * r + to_inner], axis=2), to_n

    slopes, n_slope = to_sums(0.0, before - n, 1 - z, 0.0)
    more, n_more = (None, None) if g_gates is None else to_sums(*(g_gates[:, :, k] for k in range(4)))

    def step(t, g_h, g_c):
        sums = slopes[t] * g_h.reshape((batch, 1, hidden))
        sums = sums if more is None else sums + more[t]
        return sums.reshape((batch, -1)), g_h * z[t], None

    at_h, g_outs, g_h, _ = _walk_back(xp, g_out, g_h, w_hh, valid, reverse, step)
    to_n = n_slope * g_outs
    to_n = to_n if n_more is None else to_n + n_more
    at_x = xp.concatenate([at_h[:, :, :2 * hidden], to_n], axis=2)
    return *_sums(xp, saved, x, before, at_x, at_h, saved.needs, _into(saved)), g_h, None
