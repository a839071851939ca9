"""summary: a table of a network's layers with shapes and parameter counts, from one forward pass."""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gpuflow import dispatch, dtypes as kinds
from gpuflow.autograd.eager import eager
from gpuflow.autograd.tape import no_grad
from gpuflow.errors import explain
from gpuflow.nn.container import LayerList, Sequential
from gpuflow.nn.layer import Layer
from gpuflow.nn.norm import _BatchNormBase
from gpuflow.static.input_spec import InputSpec
from gpuflow.structure import listed
from gpuflow.tensor import Tensor, to_tensor

MIB = 1 << 20
COLUMNS = ("Layer (type)", "Input Shape", "Output Shape", "Param #")


class Row(NamedTuple):
    """One layer that was called: what it is shown as, shapes, and how many numbers it holds itself."""

    name: str
    inputs: list
    outputs: list
    held: int


def summary(net: Layer, input_size=None, dtypes=None, input=None) -> dict:
    """Prints each layer's shapes and parameter count and the sizes; returns {"total_params", "trainable_params"}.

    input_size: a shape, an InputSpec, or a list of them, one per input of the network; None and -1 count as 1.
    dtypes: of the inputs, one or a list; float32 by default. input: the input itself instead: a tensor, a list or a
    dict of them, passed as one argument.

    Running statistics of batch normalisation count as parameters that are not trained, as in Paddle. A parameter that
    several layers share is counted once in the totals.
    """
    if not isinstance(net, Layer):
        raise TypeError(explain("summary", "a Layer", type(net).__name__))
    if input is not None:
        arguments = [input]
        shapes = [tuple(x.shape) for x in (input.values() if isinstance(input, dict) else listed(input))]
    elif input_size is not None:
        shapes, arguments = made(input_size, dtypes)
    else:
        raise ValueError(explain("summary", "input_size or input", "neither"))
    rows = _rows(net, arguments)
    held = {id(p): p for layer in net.sublayers(include_self=True) for p in own_numbers(layer)}.values()
    total = sum(_size(p.shape) for p in held)
    trained = sum(_size(p.shape) for p in held if not p.stop_gradient)
    print(_table(rows, shapes, total, trained))
    return {"total_params": total, "trainable_params": trained}


def made(input_size, dtypes=None) -> tuple[list[tuple], list[Tensor]]:
    """(shapes, random tensors) of what `input_size` says."""
    several = isinstance(input_size, list) and not all(isinstance(n, int | None) for n in input_size)
    entries = input_size if several else [input_size]
    said = list(dtypes) if isinstance(dtypes, list | tuple) else [dtypes] * len(entries)
    if len(said) != len(entries):
        raise ValueError(explain("summary", f"a dtype for each of {len(entries)} inputs", repr(dtypes)))
    shapes, out = [], []
    for entry, dtype in zip(entries, said):
        spec = isinstance(entry, InputSpec)
        shape = _known(entry.shape if spec else (entry,) if isinstance(entry, int) else entry)
        kind = kinds.convert(dtype if dtype is not None else entry.dtype if spec else "float32")
        shapes.append(shape)
        out.append(to_tensor(np.random.default_rng(0).random(shape, np.float32).astype(kind.dtype), dtype=kind))
    return shapes, out


def _known(shape) -> tuple[int, ...]:
    unknown = [n for n in shape if n is None or n == -1]
    wrong = [n for n in shape if n is not None and (not isinstance(n, int) or n == 0 or n < -1)]
    if len(unknown) > 1 or wrong:
        raise ValueError(explain("summary(input_size=...)", "positive sizes, at most one None or -1",
                                 str(list(shape))))
    return tuple(1 if n is None or n == -1 else n for n in shape)


def own_numbers(layer: Layer) -> list[Tensor]:
    """The parameters a layer holds itself, and batch normalisation's running statistics."""
    found = [p for p in layer._parameters.values() if p is not None]
    return found + ([layer._mean, layer._variance] if isinstance(layer, _BatchNormBase) else [])


def called(net: Layer, arguments, layers, seen) -> None:
    """Runs the network in evaluation and in eager mode, whatever the mode outside is, and calls seen(layer, inputs,
    outputs) after each of `layers` that ran."""
    training = [layer for layer in net.sublayers(include_self=True) if layer.training]
    hooks = [layer.register_forward_post_hook(seen) for layer in layers]
    net.eval()
    dispatch.push(eager)
    try:
        with no_grad():
            net(*arguments)
    finally:
        dispatch.pop()
        for layer in training:
            layer.training = True
        for hook in hooks:
            hook.remove()


def _rows(net: Layer, arguments) -> list[Row]:
    rows: dict[str, Row] = {}

    def seen(layer, inputs, outputs):
        number = layer.full_name().rpartition("_")[2]
        name = f"{type(layer).__name__}-{int(number) + 1 if number.isdigit() else len(rows) + 1}"
        rows[name] = Row(name, _shape(inputs), _shape(outputs), sum(_size(p.shape) for p in own_numbers(layer)))

    inner = [layer for layer in net.sublayers() if not isinstance(layer, Sequential | LayerList)]
    called(net, arguments, inner or [net], seen)
    return list(rows.values())


def _shape(x):
    """The shape of a tensor, or a list of those of several."""
    if isinstance(x, list | tuple):
        return [_shape(one) for one in x]
    return list(x.shape) if hasattr(x, "shape") else []


def _size(shape) -> int:
    return math.prod(shape)


def _elements(shape) -> int:
    """Elements of a tensor's shape, or of nested lists of shapes."""
    return sum(map(_elements, shape)) if any(isinstance(n, list) for n in shape) else _size(shape) if shape else 0


def _table(rows: list[Row], shapes, total: int, trained: int) -> str:
    lines = [COLUMNS, *((row.name, str(row.inputs), str(row.outputs), f"{row.held:,}") for row in rows)]
    widths = [max(least, *(len(line[k]) for line in lines)) for k, least in enumerate((15, 20, 20, 15))]
    width = max(75, sum(widths) + 5)
    inputs = sum(map(_size, shapes)) * 4 / MIB
    passes = 2 * sum(_elements(row.outputs) for row in rows) * 4 / MIB   # outputs and their gradients
    head, *body = (" ".join(f"{text:^{w}}" for text, w in zip(line, widths)).rstrip() for line in lines)
    return "\n".join([
        "-" * width, head, "=" * width, *body, "=" * width,
        f"Total params: {total:,}", f"Trainable params: {trained:,}", f"Non-trainable params: {total - trained:,}",
        "-" * width,
        f"Input size (MB): {inputs:.2f}", f"Forward/backward pass size (MB): {passes:.2f}",
        f"Params size (MB): {total * 4 / MIB:.2f}",
        f"Estimated Total Size (MB): {inputs + passes + total * 4 / MIB:.2f}",
        "-" * width])
