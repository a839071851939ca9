"""flops: multiplications of one forward pass, counted layer by layer as Paddle counts them, or operator by operator."""
from __future__ import annotations

import math

from gpuflow import nn
from gpuflow.errors import explain
from gpuflow.hapi.summary import called, made, own_numbers
from gpuflow.nn.layer import Layer
from gpuflow.static.program import Program
from gpuflow.static.value import Value


def _convolution(layer, x, y) -> int:
    return math.prod(y.shape) * (x.shape[1] // layer._groups * math.prod(layer.weight.shape[2:])
                                 + (layer.bias is not None))


def _adaptive(x, y, spatial=slice(2, None)) -> int:
    return math.prod(y) * (math.prod(a // b for a, b in zip(x[spatial], y[spatial])) + 1)


# A layer's class -> its count from the layer, its first input and its output. Others count as zero.
COUNTS = {
    **dict.fromkeys((nn.Conv1D, nn.Conv2D, nn.Conv3D, nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Conv3DTranspose),
                    _convolution),
    **dict.fromkeys((nn.BatchNorm, nn.BatchNorm2D), lambda layer, x, y: 2 * math.prod(x.shape)),
    **dict.fromkeys((nn.ReLU, nn.ReLU6, nn.Dropout), lambda layer, x, y: 0),
    nn.LeakyReLU: lambda layer, x, y: math.prod(x.shape),
    nn.Linear: lambda layer, x, y: layer.weight.shape[0] * math.prod(y.shape),
    **dict.fromkeys((nn.AvgPool1D, nn.AvgPool2D, nn.AvgPool3D), lambda layer, x, y: math.prod(y.shape)),
    **dict.fromkeys((nn.AdaptiveAvgPool1D, nn.AdaptiveAvgPool2D, nn.AdaptiveAvgPool3D),
                    lambda layer, x, y: _adaptive(x.shape, y.shape)),
}
# An op -> its count from the shapes of its inputs, that of its first output, and its attributes. Others count as zero.
OF_OPS = {
    "conv": lambda ins, y, attrs: math.prod(y) * (math.prod(ins[1][1:]) + (ins[2] is not None)),
    "conv_input_grad": lambda ins, y, attrs: math.prod(y) * (ins[1][0] // attrs["groups"] * math.prod(ins[1][2:])),
    "linear": lambda ins, y, attrs: ins[1][0] * math.prod(y),
    "matmul": lambda ins, y, attrs: ins[0][-2 if attrs.get("transpose_x") and len(ins[0]) > 1 else -1] * math.prod(y),
    **dict.fromkeys(("normalize_axes", "normalize_by"),
                    lambda ins, y, attrs: 2 * math.prod(y) if attrs["where"] == "batch_norm" else 0),
    "leaky_relu": lambda ins, y, attrs: math.prod(y),
    "avg_pool": lambda ins, y, attrs: math.prod(y),
    "adaptive_avg_pool": lambda ins, y, attrs: _adaptive(
        ins[0], y, slice(1, -1) if attrs["channels_last"] else slice(2, None)),
}


def flops(net: Layer | Program, input_size, custom_ops: dict | None = None, print_detail: bool = False) -> int:
    """Prints and returns the count for one input of shape `input_size`, a list; that of a Program for its own sizes,
    where an unknown one counts as 1, and input_size for nothing.

    custom_ops: {class: function(layer, inputs, output)} that adds to `layer.total_ops`, for classes with no count or
    in place of it. print_detail: a line per layer.
    """
    if isinstance(net, Program):
        return _of_program(net, print_detail)
    if not isinstance(net, Layer):
        raise TypeError(explain("flops", "a Layer or a Program", type(net).__name__))
    custom_ops = custom_ops or {}
    leaves = [layer for layer in net.sublayers(include_self=True) if not list(layer.children())]
    shapes: dict[int, tuple] = {}

    def seen(layer, inputs, output):
        first = output[0] if isinstance(output, list | tuple) else output
        shapes[id(layer)] = list(inputs[0].shape), list(first.shape)
        if type(layer) in custom_ops:
            custom_ops[type(layer)](layer, inputs, output)
        elif type(layer) in COUNTS:
            layer.__dict__["total_ops"] += COUNTS[type(layer)](layer, inputs[0], first)

    for layer in leaves:
        layer.__dict__["total_ops"] = 0
    try:
        called(net, made(tuple(input_size))[1], leaves, seen)
        counts = {id(layer): int(layer.__dict__["total_ops"]) for layer in leaves}
    finally:
        for layer in leaves:
            layer.__dict__.pop("total_ops", None)
    for kind in dict.fromkeys(type(layer) for layer in leaves):
        if kind not in COUNTS and kind not in custom_ops:
            print(f"flops: no count for {kind.__name__}, taken as zero; custom_ops can give one")
    ran = [layer for layer in leaves if id(layer) in shapes]
    params = {id(layer): sum(math.prod(p.shape) for p in own_numbers(layer)) for layer in ran}
    if print_detail:
        _print_rows([("Layer Name", "Input Shape", "Output Shape", "Params", "Flops"),
                     *((layer.full_name(), *map(str, shapes[id(layer)]), f"{params[id(layer)]}", f"{counts[id(layer)]}")
                       for layer in ran)])
    total = sum(counts.values())
    print(f"Total Flops: {total}     Total Params: {sum(params.values())}")
    return total


def _of_program(program: Program, print_detail: bool) -> int:
    rows = []
    for operator in program.operators():
        if operator.type in OF_OPS:
            inputs, output = [_sizes(x) for x in operator.inputs], operator.outputs[0]
            count = OF_OPS[operator.type](inputs, _sizes(output), operator.attrs)
            rows.append((output.name, operator.type, str(_sizes(output)), count))
    total, params = sum(row[-1] for row in rows), sum(math.prod(p.shape) for p in program.all_parameters())
    if print_detail:
        _print_rows([("Name", "Operator", "Output Shape", "Flops"), *((*row[:3], str(row[3])) for row in rows)])
    print(f"Total Flops: {total}     Total Params: {params}")
    return total


def _sizes(x) -> list[int] | None:
    return [1 if s is None else s for s in x.shape] if isinstance(x, Value) else None


def _print_rows(rows) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(f"{text:<{w}}" if k < 3 else f"{text:>{w}}" for k, (text, w) in enumerate(zip(row, widths))))
