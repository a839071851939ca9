"""Recurrent layers: cells, `RNN` and `BiRNN` that walk a cell along a sequence, and stacks of layers.

Tensors are [batch, time, features], or [time, batch, features] with time_major. The cells of this file walk in one op
per layer and direction (ops/recurrent.py); any other cell is called step by step.
"""
import math

from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.manipulation import concat, flip, stack, transpose, unbind, unsqueeze
from gpuflow.nn import functional as F
from gpuflow.nn.container import LayerList
from gpuflow.nn.initializer import Constant, Uniform
from gpuflow.nn.layer import Layer
from gpuflow.nn.nested import leaves, mapped
from gpuflow.ops.registry import OPS

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCellBase", "BiRNN", "SimpleRNN", "SimpleRNNCell"]


def _is_shape(x):
    return isinstance(x, tuple | list) and all(isinstance(size, int) for size in x)


class RNNCellBase(Layer):
    """One step of a recurrent layer. Subclasses define `forward(inputs, states)`, which returns (outputs, states).

    They also define `state_shape`: a shape without the batch, or a structure of shapes.
    """

    def get_initial_states(self, batch_ref, shape=None, dtype=None, init_value=0.0, batch_dim_idx=0):
        """States filled with init_value, in the structure of `shape` (default state_shape).

        batch_ref: a tensor, or a structure of them, whose first one has the batch along batch_dim_idx. dtype: one, or a
        structure like `shape`; default state_dtype, else the default float.
        """
        reference = leaves(batch_ref)[0]

        def filled(sizes, kind):
            if not _is_shape(sizes):
                kinds = kind if isinstance(kind, tuple | list) else [kind] * len(sizes)
                return type(sizes)(filled(s, k) for s, k in zip(sizes, kinds, strict=True))
            sizes = sizes if sizes and sizes[0] == -1 else (-1, *sizes)
            return call(OPS["full_by_batch"], (reference,), {
                "shape": tuple(sizes), "value": init_value, "dtype": dtypes.convert(kind), "axis": batch_dim_idx})

        if dtype is None:
            try:
                dtype = self.state_dtype
            except NotImplementedError:
                dtype = dtypes.default_float()
        return filled(self.state_shape if shape is None else shape, dtype)

    @property
    def state_shape(self):
        raise NotImplementedError(explain(type(self).__name__, "a property state_shape", "none"))

    @property
    def state_dtype(self):
        raise NotImplementedError(explain(type(self).__name__, "a property state_dtype", "none"))


class _Cell(RNNCellBase):
    """A cell whose walk is an op. gates: how many blocks of hidden_size its weights have."""

    gates = 1

    def _setup(self, input_size, hidden_size, weight_ih_attr, weight_hh_attr, bias_ih_attr, bias_hh_attr,
               state_size=None):
        if hidden_size <= 0:
            raise ValueError(explain(type(self).__name__, "hidden_size above 0", repr(hidden_size)))
        self.input_size, self.hidden_size = input_size, hidden_size
        rows = self.gates * hidden_size
        self.weight_ih = self._parameter([rows, input_size], weight_ih_attr, False)
        self.weight_hh = self._parameter([rows, state_size or hidden_size], weight_hh_attr, False)
        self.bias_ih = self._parameter([rows], bias_ih_attr, True)
        self.bias_hh = self._parameter([rows], bias_hh_attr, True)

    def _parameter(self, shape, attr, is_bias):
        """Uniform in ±hidden_size ** -0.5 at first. As in Paddle, attr=False gives constant ones (zeros for a bias)."""
        if attr is False:
            constant = self.create_parameter(shape, is_bias=is_bias,
                                             default_initializer=Constant(0.0 if is_bias else 1.0))
            constant.stop_gradient = True
            return constant
        bound = 1.0 / math.sqrt(self.hidden_size)
        return self.create_parameter(shape, attr, is_bias=is_bias, default_initializer=Uniform(-bound, bound))

    def walk(self, inputs, states=None, lengths=None, reverse=False):
        """(outputs of all steps, final states) for inputs [time, batch, features]; see ops/recurrent.py."""
        raise NotImplementedError

    def _walk(self, name, inputs, states, more, lengths, **attrs):
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        return call(OPS[name], (inputs, *weights, *states, *more, lengths), attrs)

    def forward(self, inputs, states=None):
        """(outputs [batch, hidden_size], states after the step). states: default zeros."""
        outputs, states = self.walk(unsqueeze(inputs, 0), states)
        return outputs[0], states

    @property
    def state_shape(self):
        return (self.hidden_size,)

    def extra_repr(self):
        return f"{self.input_size}, {self.hidden_size}"


class SimpleRNNCell(_Cell):
    """h = activation(weight_ih x + bias_ih + weight_hh h + bias_hh); activation "tanh" or "relu". States: h.

    weight_ih: [hidden_size, input_size]; weight_hh: [hidden_size, hidden_size]; biases [hidden_size]. Each has its
    attribute; False: constant, not trained (ones for a weight, zeros for a bias).
    """

    def __init__(self, input_size, hidden_size, activation="tanh", weight_ih_attr=None, weight_hh_attr=None,
                 bias_ih_attr=None, bias_hh_attr=None, name=None):
        super().__init__()
        if activation not in ("tanh", "relu"):
            raise ValueError(explain("SimpleRNNCell", "activation 'tanh' or 'relu'", repr(activation)))
        self.activation = activation
        self._setup(input_size, hidden_size, weight_ih_attr, weight_hh_attr, bias_ih_attr, bias_hh_attr)

    def walk(self, inputs, states=None, lengths=None, reverse=False):
        return self._walk("simple_rnn", inputs, (states,), (), lengths, activation=self.activation, reverse=reverse)

    def extra_repr(self):
        return super().extra_repr() + ("" if self.activation == "tanh" else f", activation={self.activation}")


class LSTMCell(_Cell):
    """Long short-term memory with gates i, f, g, o (Hochreiter and Schmidhuber 1997). States: (h, c).

    c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c). weight_ih: [4 * hidden_size, input_size]; weight_hh:
    [4 * hidden_size, hidden_size]; biases [4 * hidden_size]; attributes as in SimpleRNNCell.
    proj_size: with a size below hidden_size, h is multiplied by weight_ho [hidden_size, proj_size] (made with
    weight_hh_attr) and weight_hh is [4 * hidden_size, proj_size].
    """

    gates = 4

    def __init__(self, input_size, hidden_size, weight_ih_attr=None, weight_hh_attr=None, bias_ih_attr=None,
                 bias_hh_attr=None, proj_size=0, name=None):
        super().__init__()
        if not 0 <= proj_size < max(hidden_size, 1):
            raise ValueError(explain("LSTMCell", f"proj_size in [0, {hidden_size})", repr(proj_size)))
        self.proj_size = proj_size
        self._setup(input_size, hidden_size, weight_ih_attr, weight_hh_attr, bias_ih_attr, bias_hh_attr, proj_size)
        if proj_size:
            self.weight_ho = self._parameter([hidden_size, proj_size], weight_hh_attr, False)

    def walk(self, inputs, states=None, lengths=None, reverse=False):
        outputs, h, c, *_ = self._walk("lstm", inputs, (None, None) if states is None else states,
                                       (self.weight_ho if self.proj_size else None,), lengths, reverse=reverse)
        return outputs, (h, c)

    @property
    def state_shape(self):
        return ((self.proj_size or self.hidden_size,), (self.hidden_size,))


class GRUCell(_Cell):
    """Gated recurrent unit with gates r, z and a candidate n, the reset after the product (Cho et al. 2014). States: h.

    h = (h - n) z + n. weight_ih: [3 * hidden_size, input_size]; weight_hh: [3 * hidden_size, hidden_size]; biases
    [3 * hidden_size]; attributes as in SimpleRNNCell.
    """

    gates = 3

    def __init__(self, input_size, hidden_size, weight_ih_attr=None, weight_hh_attr=None, bias_ih_attr=None,
                 bias_hh_attr=None, name=None):
        super().__init__()
        self._setup(input_size, hidden_size, weight_ih_attr, weight_hh_attr, bias_ih_attr, bias_hh_attr)

    def walk(self, inputs, states=None, lengths=None, reverse=False):
        outputs, h, _ = self._walk("gru", inputs, (states,), (), lengths, reverse=reverse)
        return outputs, h


# ---- along a sequence ----------------------------------------------------------------------------------------------


def _turned(x):
    """[batch, time, ...] to [time, batch, ...] and back."""
    return transpose(x, [1, 0, *range(2, len(x.shape))])


def _stepwise(cell, inputs, states, lengths, reverse, kwargs):
    """What `_Cell.walk` does for a cell of any kind, inputs a structure, but that outputs after the end are kept."""
    first = leaves(inputs)[0]
    if first.shape[0] < 1:
        raise ValueError(explain("RNN", "inputs with a number of steps that is known, at least one",
                                 f"shape {list(first.shape)} (time first)", "a cell of gpuflow.nn without lengths"))
    states = cell.get_initial_states(inputs, batch_dim_idx=1) if states is None else states
    steps, outputs = range(first.shape[0]), []
    for t in steps[::-1] if reverse else steps:
        output, new = cell(mapped(lambda x, t=t: x[t], inputs), states, **kwargs)
        if lengths is not None:
            new = mapped(lambda a, b, t=t: _where(t < lengths, a, b), new, states)
        states = new
        outputs.append(output)
    outputs = mapped(lambda *parts: stack(list(parts), 0), *outputs)
    return (mapped(lambda x: flip(x, 0), outputs) if reverse else outputs), states


def _where(rows, a, b):
    """a in the rows that are True, else b."""
    return call(OPS["where"], (unsqueeze(rows, list(range(1, len(a.shape)))) if len(a.shape) > 1 else rows, a, b))


def _walked(cell, inputs, states, lengths, time_major, reverse, kwargs):
    """(outputs, final states) of a cell along a sequence."""
    inputs = inputs if time_major else mapped(_turned, inputs)
    if isinstance(cell, _Cell) and type(cell).forward is _Cell.forward and lengths is None and not kwargs:
        outputs, states = cell.walk(inputs, states, None, reverse)
    else:
        outputs, states = _stepwise(cell, inputs, states, lengths, reverse, kwargs)
    return (outputs if time_major else mapped(_turned, outputs)), states


class RNN(Layer):
    """Walks `cell` along a sequence. is_reverse: from the last step to the first. time_major: time before batch."""

    def __init__(self, cell, is_reverse=False, time_major=False):
        super().__init__()
        self.cell, self.is_reverse, self.time_major = cell, is_reverse, time_major

    def forward(self, inputs, initial_states=None, sequence_length=None, **kwargs):
        """(outputs [batch, time, ...], final states). initial_states: default the cell's; kwargs go to the cell.

        sequence_length: [batch]; past a sequence's length its state stands still, outputs are whatever the cell makes.
        """
        return _walked(self.cell, inputs, initial_states, sequence_length, self.time_major, self.is_reverse, kwargs)


class BiRNN(Layer):
    """Walks one cell along a sequence and another one back; outputs are joined along the last axis."""

    def __init__(self, cell_fw, cell_bw, time_major=False):
        super().__init__()
        if cell_fw.input_size != cell_bw.input_size:
            raise ValueError(explain("BiRNN", "two cells with one input_size",
                                     f"{cell_fw.input_size} and {cell_bw.input_size}"))
        self.cell_fw, self.cell_bw, self.time_major = cell_fw, cell_bw, time_major

    def forward(self, inputs, initial_states=None, sequence_length=None, **kwargs):
        """(outputs, (states of cell_fw, states of cell_bw)); arguments as in RNN, initial_states a pair."""
        pair = (None, None) if initial_states is None else initial_states
        if len(pair) != 2:
            raise ValueError(explain("BiRNN", "initial_states as (forward, backward)", f"{len(pair)} of them"))
        out, ends = zip(*[_walked(cell, inputs, states, sequence_length, self.time_major, back, kwargs)
                          for cell, states, back in ((self.cell_fw, pair[0], False), (self.cell_bw, pair[1], True))])
        return mapped(lambda a, b: concat([a, b], -1), *out), ends


# ---- stacks --------------------------------------------------------------------------------------------------------


class RNNBase(LayerList):
    """A stack of recurrent layers; what SimpleRNN, LSTM and GRU have in common. mode: "LSTM", "GRU", "RNN_TANH", ..."""

    def __init__(self, mode, input_size, hidden_size, num_layers=1, direction="forward", time_major=False, dropout=0.0,
                 weight_ih_attr=None, weight_hh_attr=None, bias_ih_attr=None, bias_hh_attr=None, proj_size=0):
        super().__init__()
        name = type(self).__name__
        if direction not in ("forward", "bidirect", "bidirectional"):
            raise ValueError(explain(name, "direction 'forward', 'bidirect' or 'bidirectional'", repr(direction)))
        if num_layers < 1:
            raise ValueError(explain(name, "num_layers above 0", repr(num_layers)))
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.time_major, self.dropout, self.proj_size = time_major, dropout, proj_size
        self.num_directions = 1 if direction == "forward" else 2
        self.state_components = 2 if mode == "LSTM" else 1
        attrs = {"weight_ih_attr": weight_ih_attr, "weight_hh_attr": weight_hh_attr, "bias_ih_attr": bias_ih_attr,
                 "bias_hh_attr": bias_hh_attr}
        if mode == "LSTM":
            kind, attrs["proj_size"] = LSTMCell, proj_size
        elif mode == "GRU":
            kind = GRUCell
        else:
            kind, attrs["activation"] = SimpleRNNCell, mode.removeprefix("RNN_").lower()
        size = input_size
        for _ in range(num_layers):
            cells = [kind(size, hidden_size, **attrs) for _ in range(self.num_directions)]
            self.append(RNN(cells[0], False, time_major) if len(cells) == 1 else BiRNN(*cells, time_major))
            size = self.num_directions * (proj_size or hidden_size)
        # Paddle's second names, which its checkpoints hold. It deals them out along parameters(), so with proj_size, a
        # bias that is off or a WeightNormParamAttr, some stand for another parameter than they say
        said = {"weight_ih": None, "weight_hh": None, "bias_ih": bias_ih_attr, "bias_hh": bias_hh_attr}
        names = [f"{part}_l{layer}{end}" for layer in range(num_layers)
                 for end in ("", "_reverse")[:self.num_directions] for part in said if said[part] is not False]
        for name, parameter in zip(names, self.parameters()):
            setattr(self, name, parameter)

    def flatten_parameters(self) -> None:
        """Nothing: an optimizer puts parameters into one buffer anyway."""

    def forward(self, inputs, initial_states=None, sequence_length=None):
        """(outputs, final states). outputs: [batch, time, directions * size], size being proj_size or hidden_size.

        Final states, and initial_states (default zeros): h [layers * directions, batch, size]; for an LSTM (h, c) with
        c [layers * directions, batch, hidden_size]. sequence_length: [batch]; past its length a sequence's outputs are
        zero, its state stands still, and the way back starts at its end.
        """
        parts = () if initial_states is None else initial_states if self.state_components == 2 else (
            initial_states[0] if isinstance(initial_states, tuple | list) else initial_states,)
        if parts and len(parts) != self.state_components:
            raise ValueError(explain(type(self).__name__, "initial_states (h, c)", f"{len(parts)} of them"))
        count = self.num_layers * self.num_directions
        starts = list(zip(*[unbind(part) for part in parts])) or [None] * count
        if len(starts) != count:
            raise ValueError(explain(type(self).__name__, f"initial_states of {count} layers and directions",
                                     str(len(starts))))
        x, ends = inputs if self.time_major else _turned(inputs), []
        for i, layer in enumerate(self):
            x = F.dropout(x, self.dropout, training=self.training) if i and self.dropout else x
            outputs = []
            for cell in layer.children():
                start = starts[len(ends)]
                start = start[0] if start is not None and self.state_components == 1 else start
                out, end = cell.walk(x, start, sequence_length, reverse=bool(outputs))
                outputs.append(out)
                ends.append(end if self.state_components == 2 else (end,))
            x = outputs[0] if len(outputs) == 1 else concat(outputs, -1)
        states = tuple(stack(list(part), 0) for part in zip(*ends))
        return x if self.time_major else _turned(x), states if len(states) == 2 else states[0]

    def extra_repr(self):
        usual = {"num_layers": 1, "time_major": False, "dropout": 0}
        return ", ".join([f"{self.input_size}, {self.hidden_size}",
                          *(f"{key}={getattr(self, key)}" for key in usual if getattr(self, key) != usual[key])])


class SimpleRNN(RNNBase):
    """num_layers of SimpleRNNCell, each over the outputs of the one before.

    direction: "forward", or "bidirect" for a second cell per layer that walks back. dropout: share of what goes from
    one layer to the next that training drops. Other arguments as in the cell; see `RNNBase.forward`.
    """

    def __init__(self, input_size, hidden_size, num_layers=1, direction="forward", time_major=False, dropout=0.0,
                 activation="tanh", weight_ih_attr=None, weight_hh_attr=None, bias_ih_attr=None, bias_hh_attr=None,
                 name=None):
        if activation not in ("tanh", "relu"):
            raise ValueError(explain("SimpleRNN", "activation 'tanh' or 'relu'", repr(activation)))
        super().__init__(f"RNN_{activation.upper()}", input_size, hidden_size, num_layers, direction, time_major,
                         dropout, weight_ih_attr, weight_hh_attr, bias_ih_attr, bias_hh_attr)
        self.activation = activation


class LSTM(RNNBase):
    """num_layers of LSTMCell, each over the outputs of the one before; arguments as in SimpleRNN and the cell."""

    def __init__(self, input_size, hidden_size, num_layers=1, direction="forward", time_major=False, dropout=0.0,
                 weight_ih_attr=None, weight_hh_attr=None, bias_ih_attr=None, bias_hh_attr=None, proj_size=0,
                 name=None):
        super().__init__("LSTM", input_size, hidden_size, num_layers, direction, time_major, dropout, weight_ih_attr,
                         weight_hh_attr, bias_ih_attr, bias_hh_attr, proj_size)


class GRU(RNNBase):
    """num_layers of GRUCell, each over the outputs of the one before; arguments as in SimpleRNN and the cell."""

    def __init__(self, input_size, hidden_size, num_layers=1, direction="forward", time_major=False, dropout=0.0,
                 weight_ih_attr=None, weight_hh_attr=None, bias_ih_attr=None, bias_hh_attr=None, name=None):
        super().__init__("GRU", input_size, hidden_size, num_layers, direction, time_major, dropout, weight_ih_attr,
                         weight_hh_attr, bias_ih_attr, bias_hh_attr)
