"""`block.append_op(type, inputs, outputs, attrs)`: ops by the names of Paddle's older Programs, written where told.

A row of the table says how such an op takes its slots, and what it is in ops of ours; any op of ours goes under its own
name as well. In eager mode, where optimizers that update in Python get `AtOnce` as their block, it is applied at once.
"""
from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

from gpuflow import dtypes, unique_name
from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.static import build
from gpuflow.static.value import Variable
from gpuflow.tensor import Tensor

# what Paddle's numbers for dtypes mean (VarType)
_DTYPES = {0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64", 20: "uint8",
           21: "int8", 22: "bfloat16"}


class Row(NamedTuple):
    """ins: slots in the order of the function's tensors, "*" before one that takes a list. outs: of its results."""

    ins: tuple
    outs: tuple
    function: Callable


TABLE: dict[str, Row] = {}


def row(names: str, ins: str, outs: str = "Out"):
    """Decorator: the function is the ops `names`, with these slots; its keywords are the attributes that it reads."""

    def register(function):
        for name in names.split():
            TABLE[name] = Row(tuple(ins.split()), tuple(outs.split()), function)
        return function

    return register


def _do(name: str, *tensors, **attrs):
    return call(OPS[name], tensors, attrs)


def _dtype(given):
    return dtypes.convert(_DTYPES[given] if isinstance(given, int) else given)


def _elementwise(name: str):
    def apply(x, y, axis=-1):
        if axis != -1 and y.ndim < x.ndim:    # y's axes are those of x from `axis` on
            y = _do("reshape", y, shape=(*y.shape, *[1] * (x.ndim - axis - y.ndim)))
        return _do(name, x, y)
    return apply


for _old, _new in {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "max": "maximum",
                   "min": "minimum", "pow": "pow", "mod": "remainder", "floordiv": "floor_divide"}.items():
    row(f"elementwise_{_old}", "X Y")(_elementwise(_new))


def _reduction(name: str):
    def apply(x, dim=(0,), keep_dim=False, reduce_all=False):
        axis = None if reduce_all or not dim else tuple(dim) if isinstance(dim, list | tuple) else dim
        return _do(name, x, axis=axis, keepdim=keep_dim)
    return apply


for _new in ("sum", "mean", "max", "min", "prod", "all", "any"):
    row(f"reduce_{_new}", "X")(_reduction(_new))


@row("mul", "X Y")
def _mul(x, y, x_num_col_dims=1, y_num_col_dims=1):
    if x.ndim > x_num_col_dims + 1:
        x = _do("reshape", x, shape=(*[0] * x_num_col_dims, math.prod(x.shape[x_num_col_dims:])))
    if y.ndim == 2:
        return _do("matmul", x, y)
    sides = y.shape[:y_num_col_dims], y.shape[y_num_col_dims:]
    out = _do("matmul", x, _do("reshape", y, shape=tuple(map(math.prod, sides))))
    return _do("reshape", out, shape=(*[0] * x_num_col_dims, *sides[1]))


@row("matmul matmul_v2", "X Y")
def _matmul(x, y, trans_x=False, trans_y=False, transpose_X=False, transpose_Y=False, alpha=1.0):
    out = _do("matmul", x, y, transpose_x=trans_x or transpose_X, transpose_y=trans_y or transpose_Y)
    return out if alpha == 1.0 else out * alpha


@row("sum", "*X")
def _sum(xs):
    return _do("add_n", *xs)


@row("mean", "X")
def _mean(x):
    return _do("mean", x, axis=None, keepdim=False)


@row("scale", "X ScaleTensor")
def _scale(x, scale_tensor=None, scale=1.0, bias=0.0, bias_after_scale=True):
    return _do("scale", x, scale=scale, bias=bias, bias_after_scale=bias_after_scale) if scale_tensor is None else (
        x * scale_tensor + bias if bias_after_scale else (x + bias) * scale_tensor)


@row("increment", "X")
def _increment(x, step=1.0):
    return x + (int(step) if not x.dtype.is_floating else step)


@row("fill_constant", "")
def _fill_constant(shape=(), value=0.0, dtype="float32", str_value=""):
    return _do("full", shape=tuple(shape), value=float(str_value) if str_value else value, dtype=_dtype(dtype))


@row("fill_any_like", "X")
def _fill_any_like(x, value=0.0, dtype=-1):
    return _do("full_like", x, value=value, dtype=x.dtype if dtype in (-1, None) else _dtype(dtype))


@row("fill_zeros_like", "X")
def _fill_zeros_like(x):
    return _fill_any_like(x)


@row("uniform_random", "")
def _uniform_random(shape=(), min=-1.0, max=1.0, dtype="float32"):
    return _do("uniform", shape=tuple(shape), min=min, max=max, dtype=_dtype(dtype))


@row("gaussian_random", "")
def _gaussian_random(shape=(), mean=0.0, std=1.0, dtype="float32"):
    return _do("gaussian", shape=tuple(shape), mean=mean, std=std, dtype=_dtype(dtype))


@row("cast", "X")
def _cast(x, out_dtype="float32"):
    return _do("cast", x, dtype=_dtype(out_dtype))


@row("reshape reshape2", "X", "Out XShape")
def _reshape(x, shape=()):
    return _do("reshape", x, shape=tuple(shape))


@row("transpose transpose2", "X", "Out XShape")
def _transpose(x, axis=()):
    return _do("transpose", x, perm=tuple(axis))


@row("squeeze squeeze2", "X", "Out XShape")
def _squeeze(x, axes=()):
    return _do("squeeze", x, axis=tuple(axes) or None)


@row("unsqueeze unsqueeze2", "X", "Out XShape")
def _unsqueeze(x, axes=()):
    return _do("unsqueeze", x, axis=tuple(axes))


@row("concat", "*X")
def _concat(xs, axis=0):
    return _do("concat", *xs, axis=axis)


@row("stack", "*X", "Y")
def _stack(xs, axis=0):
    return _do("stack", *xs, axis=axis)


@row("pow", "X")
def _pow(x, factor=1.0):
    return x ** factor


@row("squared_l2_norm", "X")
def _squared_l2_norm(x):
    return _do("reshape", _do("sum", x * x, axis=None, keepdim=False), shape=(1,))


@row("lookup_table_v2", "W Ids")
def _lookup(table, ids, padding_idx=-1, is_sparse=False):
    return _do("embedding", ids, table, padding_idx=None if padding_idx == -1 else padding_idx, sparse=is_sparse)


@row("top_k_v2", "X", "Out Indices")
def _top_k(x, k=1, axis=-1, largest=True):
    return _do("topk", x, k=k, axis=axis, largest=largest)


@row("accuracy", "Indices Label", "Accuracy Correct Total")
def _accuracy(indices, label):
    return _do("accuracy", indices, label)


# ---- updates, for optimizers written for Paddle; a declared rule does the same in one pass -------------------------


@row("sgd", "Param Grad LearningRate", "ParamOut")
def _sgd(p, g, rate):
    return p - rate.reshape([]) * g


@row("momentum", "Param Grad Velocity LearningRate", "ParamOut VelocityOut")
def _momentum(p, g, v, rate, mu=0.9, use_nesterov=False):
    v = v * mu + g
    return p - rate.reshape([]) * (g + v * mu if use_nesterov else v), v


@row("adagrad", "Param Grad Moment LearningRate", "ParamOut MomentOut")
def _adagrad(p, g, m, rate, epsilon=1e-6):
    m = m + g * g
    return p - rate.reshape([]) * g / (_do("sqrt", m) + epsilon), m


@row("adam", "Param Grad LearningRate Moment1 Moment2 Beta1Pow Beta2Pow",
     "ParamOut Moment1Out Moment2Out Beta1PowOut Beta2PowOut")
def _adam(p, g, rate, m, v, power1, power2, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = m * beta1 + g * (1 - beta1), v * beta2 + g * g * (1 - beta2)
    wide = _do("sqrt", 1.0 - power2.reshape([]))
    rate = rate.reshape([]) * wide / (1.0 - power1.reshape([]))
    return p - rate * m / (_do("sqrt", v) + wide * epsilon), m, v, power1 * beta1, power2 * beta2


# ---- applying a row ------------------------------------------------------------------------------------------------


def _own(name: str) -> Row:
    """A row for an op of ours under its own name: slots count in the order they are given."""
    op = OPS[name]

    def apply(*tensors, **attrs):
        flat = [t for x in tensors for t in (x if isinstance(x, list) else [x])]
        return call(op, tuple(flat), {k: v for k, v in attrs.items() if k in op.attrs})
    return Row((), (), apply)


def _slots(given) -> dict[str, list]:
    found = {}
    for slot, x in (given or {}).items():
        if x is not None:
            found[slot] = list(x) if isinstance(x, list | tuple) else [x]
    return found


def append_op(block, type: str, inputs=None, outputs=None, attrs=None, stop_gradient: bool = False, **ignored):
    """Applies the op `type` to the tensors in `inputs` and writes its results into those in `outputs`.

    inputs, outputs: {slot: Variable, tensor, name, or a list}. attrs: those the op does not know are passed over, as
    marks of Paddle's own. stop_gradient: of the results. Returns the last operator appended; in eager mode None.
    ValueError for a type that is neither Paddle's in the table nor an op of gpuflow.
    """
    if type not in TABLE and type not in OPS:
        raise ValueError(explain("append_op", "an op of gpuflow, or of Paddle's older Programs among "
                                 f"{', '.join(sorted(TABLE))}", repr(type)))
    row = TABLE.get(type) or _own(type)
    given, targets, attrs = _slots(inputs), _slots(outputs), dict(attrs or {})
    given = {slot: [block.var(x) if isinstance(x, str) else x for x in xs] for slot, xs in given.items()}
    if row.ins or type in TABLE:
        tensors = []
        for slot in row.ins:
            xs = given.get(slot.lstrip("*"), [])
            tensors.append(xs if slot.startswith("*") else xs[0] if xs else None)
        known = inspect.signature(row.function).parameters
        attrs = {k: v for k, v in attrs.items() if k in known}
    else:
        tensors = [xs if len(xs) > 1 else xs[0] for xs in given.values()]
    missing = [slot for slot, x, p in zip(row.ins, tensors, inspect.signature(row.function).parameters.values())
               if x is None and p.default is p.empty]
    if missing:
        raise ValueError(explain(f"append_op({type!r})", f"inputs {', '.join(row.ins)}", f"none for {missing}"))
    before = 0 if in_dynamic_mode() else len(block.program.current_block().ops)
    found = row.function(*tensors, **attrs)
    results = list(found) if isinstance(found, list | tuple) else [found]
    by_slot = dict(zip(row.outs or targets, results))
    for slot, ones in targets.items():
        if slot in by_slot:
            _put(type, block.var(ones[0]) if isinstance(ones[0], str) else ones[0], by_slot[slot], stop_gradient)
        elif slot not in row.outs:
            raise ValueError(explain(f"append_op({type!r})", f"outputs among {', '.join(row.outs)}", slot))
    if in_dynamic_mode():
        return None
    operators = block.program.current_block().ops
    for operator in operators[before:] if "Param" in given else ():
        operator.training = True     # an update, which a clone for testing goes without
    return operators[-1]


def _put(where: str, target: Tensor, result, stop_gradient: bool) -> None:
    if in_dynamic_mode():
        target._write(result._array)
        return
    if isinstance(target, Variable) and target.dtype is not result.dtype:
        result = _do("cast", result, dtype=target.dtype)
    result.stop_gradient = result.stop_gradient or stop_gradient
    build.overwrite(where, target, result)


class AtOnce:
    """What eager mode has where a Program has a block: `append_op` computes."""

    idx = 0

    def append_op(self, *args, **kwargs):
        return append_op(self, *args, **kwargs)

    def create_var(self, name=None, shape=(), dtype="float32", **ignored) -> Tensor:
        """A tensor of zeros, to be written into."""
        out = _do("full", shape=tuple(shape), value=0, dtype=_dtype(dtype))
        out.name = name or unique_name.generate("tmp")
        return out
