"""Sample inputs per op, walked by test_gradients.py. A family of ops may keep its own in cases_<family>.py (`CASES`).

An entry is ``name: [(inputs, attrs), ...]`` or ``(inputs, attrs, options...)``, the fields of `Case` in their order.
float64 arrays are checked for their gradients; keep them away from kinks and from ties, where there is no gradient.
"""
from typing import NamedTuple

import numpy as np

from gpuflow import dtypes
from gpuflow.device import CPU
from gpuflow.ops.index import Slot


class Case(NamedTuple):
    """inputs: arrays, numbers or None; attrs: the op's attributes.

    constants: positions of float inputs that receive no gradient. order: 2, 1 or 0 (no gradient check), say why.
    not_in: dtypes the op is not offered in. shape_from_numbers: the result's shape depends on the numbers.
    """

    inputs: tuple
    attrs: dict = {}
    constants: tuple = ()
    order: int = 2
    not_in: tuple = ()
    shape_from_numbers: bool = False


_rng = np.random.default_rng(7)


def normal(*shape):
    """Numbers of both signs, at least 0.1 from zero and from each other: no ties and no kinks at 0."""
    n = int(np.prod(shape, dtype=int))
    values = (np.arange(n) // 2 + 1 + _rng.uniform(0, 0.5, n)) * 0.2 * np.where(np.arange(n) % 2, 1, -1)
    return _rng.permutation(values).reshape(shape) if shape else np.asarray(values[0])


def between(low, high, *shape):
    """Distinct numbers inside (low, high), away from both ends."""
    n = int(np.prod(shape, dtype=int))
    values = low + (high - low) * (np.arange(n) + _rng.uniform(0.25, 0.75, n)) / n
    return _rng.permutation(values).reshape(shape)


def ints(high, *shape):
    return _rng.integers(0, high, shape)


def bools(*shape):
    return _rng.random(shape) < 0.5


WITHOUT_CASE: dict[str, str] = {}  # op name: why it has none

CASES: dict[str, list] = {
    # two operands
    **{name: [((normal(2, 3), normal(2, 3)),), ((normal(2, 3), normal(3)),), ((normal(2, 1), normal(1, 3)),),
              ((normal(2, 3), 2.5),), ((1.5, normal(2)),)]
       for name in ("add", "subtract", "multiply", "divide")},
    "pow": [((between(0.5, 2, 2, 3), normal(3)),), ((normal(2, 3), 2),), ((normal(2, 3), 3.0),),
            ((between(0.5, 2, 4), -1.5),), ((2.0, normal(3)),), ((np.array([0.0, 1.0, 2.0]), 2.0),)],
    **{name: [((normal(2, 3), between(-1, 1, 3)),), ((normal(2, 3), 0.05),)] for name in ("maximum", "minimum")},
    "remainder": [((between(4.1, 4.9, 5), between(1.1, 1.2, 5)),), ((between(-4.9, -4.1, 3), 1.2),)],
    "floor_divide": [((normal(2, 3), between(1, 2, 3)),), ((ints(9, 4), 2),)],
    **{name: [((normal(2, 3), between(-1, 1, 3)),)] for name in ("fmax", "fmin", "atan2")},
    "heaviside": [((np.array([-1.0, 2, 3]), normal(3)),), ((ints(3, 3), ints(3, 3)),)],
    "add_n": [((normal(2, 3), normal(2, 3), normal(2, 3)),), ((normal(3),),)],
    "isclose": [((normal(2, 3), normal(3)),), ((normal(3), 0.5), {"atol": 0.2})],
    **{name: [((normal(2, 3), normal(3)),), ((ints(3, 4), ints(3, 4)),)]
       for name in ("equal", "not_equal", "less_than", "less_equal", "greater_than", "greater_equal")},
    **{name: [((bools(2, 3), bools(3)),), ((normal(2, 3), normal(3)),)]
       for name in ("logical_and", "logical_or", "logical_xor")},
    **{name: [((bools(2, 3), bools(3)),), ((ints(9, 2, 3), ints(9, 3)),)]
       for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    "logical_not": [((bools(3),),), ((normal(3),),)],
    "bitwise_not": [((bools(3),),), ((ints(9, 3),),)],
    "where": [((bools(2, 3), normal(2, 3), normal(3)),), ((bools(2, 3), normal(2, 3), 0.5),)],
    # one operand
    "cast": [((normal(3),), {"dtype": "float64"}), ((ints(5, 3),), {"dtype": dtypes.float32}),
             ((normal(3),), {"dtype": dtypes.int32}, (), 0)],
    "assign": [((normal(2, 3),),)],
    "neg": [((normal(2, 3),),), ((bools(3),),)],
    "scale": [((normal(2, 3),), {"scale": 2.5, "bias": 1.0}),
              ((normal(2, 3),), {"scale": 2.5, "bias": 1.0, "bias_after_scale": False})],
    # shape and index
    "reshape": [((normal(2, 6),), {"shape": (3, -1)}), ((normal(2, 6),), {"shape": (0, 2, 3)})],
    "transpose": [((normal(2, 3, 4),), {"perm": (2, 0, 1)}), ((normal(2, 3),), {"perm": (-1, 0)})],
    "expand": [((normal(2, 1),), {"shape": (3, -1, 4)}), ((normal(3),), {"shape": (2, 3)})],
    "squeeze": [((normal(2, 1, 1),), {}), ((normal(1, 2, 1),), {"axis": (0, 1)})],
    "unsqueeze": [((normal(2, 3),), {"axis": 1}), ((normal(2, 3),), {"axis": (0, -1)})],
    "concat": [((normal(2, 3), normal(2, 1)), {"axis": 1}), ((normal(2, 3), normal(1, 3)), {"axis": -2})],
    "stack": [((normal(2, 3), normal(2, 3)), {"axis": 1}), ((normal(2), normal(2)), {"axis": -1})],
    "flip": [((normal(2, 3),), {"axis": (0, 1)}), ((normal(2, 3),), {"axis": -1})],
    "getitem": [((normal(4, 3),), {"index": (slice(None, None, 2), 1)}), ((normal(4),), {"index": 2}),
                ((normal(4, 3), np.array([0, 2, 0])), {"index": Slot(0)}),
                ((normal(4, 3), np.array([0, 2]), np.array([1, 1])), {"index": (Slot(0), Slot(1))}),
                ((normal(2, 2), np.array([[True, False], [True, True]])), {"index": Slot(0)},
                 (), 2, (), True)],
    "put_into_zeros": [((normal(2),), {"index": slice(1, 3), "shape": (4,)}),
                       ((normal(3), np.array([0, 2, 0])), {"index": Slot(0), "shape": (4,)})],
    "setitem": [((normal(4, 3), normal(3)), {"index": 1}),
                ((normal(4, 3), normal(2, 3), np.array([0, 2])), {"index": Slot(0)}),
                ((normal(4, 3), 0.5), {"index": (Ellipsis, 0)}),
                ((normal(3, 2), normal(1, 2)), {"index": 0})],
    "split": [((normal(4, 3),), {"sections": (1, -1)}), ((normal(4, 3),), {"sections": 2}),
              ((normal(2, 3),), {"sections": (2, 1), "axis": -1})],
    "unbind": [((normal(2, 3),), {}), ((normal(2, 3),), {"axis": -1})],
    "tile": [((normal(2, 3),), {"repeats": (2, 1, 2)}), ((normal(2, 3),), {"repeats": (2,)})],
    "repeat_interleave": [((normal(2, 3),), {"repeats": 2, "axis": 1}), ((normal(2, 3),), {"repeats": 3, "axis": -2})],
    "roll": [((normal(2, 3),), {"shifts": (1, -1), "axis": (0, 1)}), ((normal(4),), {"shifts": 2, "axis": 0})],
    **{name: [((normal(3, 3),), {}), ((normal(2, 3, 2),), {"diagonal": 1}), ((normal(2, 3),), {"diagonal": -1})]
       for name in ("tril", "triu")},
    "diagonal": [((normal(3, 2),), {}), ((normal(2, 3, 4),), {"offset": 1, "axis1": 2, "axis2": 0}),
                 ((normal(3, 3),), {"offset": -2})],
    "put_on_diagonal": [((normal(2),), {"shape": (3, 2)}),
                        ((normal(3, 1),), {"shape": (2, 3, 4), "offset": 1, "axis1": 2, "axis2": 0})],
    "pad": [((normal(2, 3),), {"pads": ((1, 0), (0, 2)), "value": 0.5}), ((normal(3),), {"pads": ((1, 1),)})],
    "one_hot": [((ints(3, 4),), {"num_classes": 3}), ((ints(3, 2, 2),), {"num_classes": 5})],
    "take_along_axis": [((normal(2, 3), ints(3, 2, 4)), {"axis": 1}), ((normal(2, 3), ints(2, 1, 3)), {"axis": -2})],
    "put_into_zeros_along": [((normal(2, 4), ints(3, 2, 4)), {"axis": 1, "shape": (2, 3)})],
    "put_along_axis": [((normal(2, 3), np.array([[0, 2], [1, 0]]), normal(2, 2)), {"axis": 1}),
                       ((normal(2, 3), ints(3, 2, 4), normal(2, 4)), {"axis": 1, "add": True})],
    "additem": [((normal(4, 3), normal(3, 3), np.array([0, 2, 0])), {"index": Slot(0)}),
                ((normal(4), normal(2)), {"index": slice(1, 3)})],
    # from nothing
    "expand_beside": [((normal(3, 1), normal(2)),), ((normal(1), normal(2, 1), normal(3)),)],
    "shape": [((normal(2, 3),),)], "numel": [((normal(2, 3),),)],
    "full_like": [((normal(2, 3),), {"value": 1.5, "dtype": "float64"}),
                  ((ints(4, 3),), {"value": 0, "dtype": "bool"})],
    "accuracy": [((ints(4, 5, 2), ints(4, 5, 1)),)],
    "auc": [((between(0, 1, 5, 2), ints(2, 5, 1), ints(4, 1, 9), ints(4, 1, 9) + 1), {"num_thresholds": 8}),
            ((between(0, 1, 5, 1), ints(2, 5), ints(4, 28), ints(4, 28) + 1), {"num_thresholds": 8, "slide_steps": 2})],
    "full": [((), {"shape": (2, 3), "value": 1.5, "dtype": "float64"}), ((), {"shape": (), "value": 2,
                                                                              "dtype": "int32"})],
    "empty": [((), {"shape": (2, 3), "dtype": "float64"})],
    "arange": [((), {"start": 1, "end": 8, "step": 3, "dtype": "int64"}),
               ((), {"start": 1.0, "end": 0.0, "step": -0.3, "dtype": "float64"})],
    "linspace": [((), {"start": 0, "stop": 1, "num": 5, "dtype": "float64"})],
    "eye": [((), {"rows": 2, "columns": 3, "dtype": "float64"})],
    "uniform": [((), {"shape": (2, 3), "dtype": "float64"})],
    "gaussian": [((), {"shape": (2, 3), "dtype": "float64"})],
    "randint": [((), {"shape": (2, 3), "dtype": "int32", "low": -2, "high": 5})],
    "randperm": [((), {"n": 5, "dtype": "int64"})],
    "bernoulli": [((between(0, 1, 2, 3),),)],
    "multinomial": [((between(0, 1, 4),), {"num_samples": 3, "replacement": False}),
                    ((between(0, 1, 2, 4),), {"num_samples": 6, "replacement": True})],
    "transfer": [((normal(2, 3),), {"place": CPU, "origin": CPU})],
    "nonzero": [((bools(2, 3),), {}, (), 0, (), True), ((normal(3),), {}, (), 0, (), True)],
    # search
    **{name: [((normal(2, 3),), {}), ((normal(2, 3),), {"axis": 1}), ((normal(2, 3),), {"axis": -2, "keepdim": True})]
       for name in ("argmax", "argmin")},
    **{name: [((normal(2, 5),), {}), ((normal(5, 2),), {"axis": 0, "descending": True})] for name in ("argsort",
                                                                                                      "sort")},
    "topk": [((normal(2, 5),), {"k": 2}), ((normal(5, 2),), {"k": 3, "axis": 0, "largest": False}),
             ((normal(2, 20),), {"k": 2}), ((normal(20, 2),), {"k": 2, "axis": 0, "largest": False})],
    "searchsorted": [((np.sort(normal(5)), normal(2, 3)),), ((np.sort(normal(2, 5)), normal(2, 3)), {"right": True})],
    "unique": [((ints(3, 5),), {}, (), 0, (), True), ((ints(2, 4, 2),), {"axis": 0}, (), 0, (), True)],
    # reductions
    **{name: [((normal(2, 3, 2),), attrs) for attrs in
              ({}, {"axis": 1}, {"axis": (0, -1), "keepdim": True}, {"axis": -1, "keepdim": True})]
       for name in ("sum", "mean", "max", "min", "amax", "amin", "var", "logsumexp", "all", "any",
                    "count_nonzero")},
    "norm": [((normal(2, 3),), {"p": p, "axis": axis, "keepdim": keep}) for p, axis, keep in
             ((2.0, None, False), (2.0, 1, True), (1.0, 0, False), (3.0, (0, 1), False), (float("inf"), 1, False),
              (-float("inf"), None, True), (0.0, 1, False), (0.5, 0, True))],
    "prod": [((normal(2, 3, 2),), {"axis": (0, -1), "keepdim": True}), ((normal(2, 3),), {}), ((ints(4, 3),), {}),
             *[((np.array([[0.5, 0, 2], [0, 3, 0]]),), {"axis": axis}) for axis in (0, 1, None)]],
    "cumsum": [((normal(2, 3),), {"axis": 1}), ((normal(2, 3),), {"axis": -2}), ((ints(5, 3),), {"axis": 0}),
               ((np.array(0.5),), {"axis": 0})],
    "cumprod": [((normal(2, 3) + 1,), {"axis": 1}), ((normal(3),), {"axis": -1}), ((np.array(0.5),), {"axis": 0}),
                # at zeros the first order only: see the op
                ((np.array([[0.5, 0, 2, 0, 3], [0, 2, 3, 4, 5], [1, 2, 3, 4, 0]]),), {"axis": 1}, (), 1)],
    # products
    "matmul": [((normal(2, 3), normal(3, 4)),), ((normal(3), normal(3)),), ((normal(2, 3), normal(3)),),
               ((normal(3), normal(3, 2)),), ((normal(2, 2, 3), normal(3, 2)),), ((normal(2, 3), normal(4, 3, 2)),),
               ((normal(2, 1, 2, 3), normal(3, 3, 2)),), ((normal(3, 2), normal(3, 4)), {"transpose_x": True}),
               ((normal(2, 3), normal(4, 3)), {"transpose_y": True}),
               ((normal(2, 3, 2), normal(2, 4, 3)), {"transpose_x": True, "transpose_y": True}),
               ((normal(5, 3, 2), normal(4, 3)), {"transpose_x": True, "transpose_y": True}),
               ((normal(3), normal(2, 3, 2)),), ((normal(2, 2, 3), normal(3)),)],
    "einsum": [((normal(2, 3), normal(3, 4)), {"equation": "ij,jk->ik"}), ((normal(2, 3),), {"equation": "ij->j"}),
               ((normal(2, 3), normal(2, 3)), {"equation": "ij,ij->"}), ((normal(2), normal(3)),
                                                                         {"equation": "i,j->ij"}),
               ((normal(2, 1, 3), normal(4, 3), normal(2, 4)), {"equation": "abc,dc,ad->db"}),
               ((normal(2, 1), normal(2, 3)), {"equation": "ab,ab->ab"})],
    "linear": [((normal(2, 3), normal(3, 4), normal(4)),), ((normal(2, 2, 3), normal(3, 4), None),),
               ((normal(3), normal(3, 2), normal(2)),), ((normal(2, 3), normal(3, 2), normal(1, 2)),)],
    # one operand, smooth on the whole line
    **{name: [((normal(2, 3),),), ((ints(3, 2),),)]
       for name in ("sin", "cos", "sinh", "cosh", "tanh", "asinh", "atan", "expm1", "exp", "square", "erf", "sigmoid",
                    "log_sigmoid", "silu", "mish", "softsign", "tanhshrink", "stanh", "deg2rad", "rad2deg", "isnan",
                    "isinf", "isfinite")},
    # one operand, on part of it or with a kink at 0
    **{name: [((between(0.3, 2, 2, 3),),), ((ints(3, 2) + 1,),)]
       for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal")},
    **{name: [((between(-0.9, 0.9, 2, 3),),)] for name in ("asin", "acos", "atanh", "tan")},
    "acosh": [((between(1.2, 3, 2, 3),),)],
    "logit": [((between(0.1, 0.9, 2, 3),),), ((between(0, 1, 7),), {"eps": 0.2})],
    **{name: [((between(-2, 2, 7) + 0.03,),), ((ints(5, 3) - 2,),)]
       for name in ("abs", "sign", "floor", "ceil", "trunc", "frac")},
    "round": [((between(-2, 2, 7) + 0.03,),), ((between(-2, 2, 7),), {"decimals": 1}), ((ints(5, 3),),)],
    "clip": [((normal(2, 3),), {"min": -0.25, "max": 0.31}), ((normal(2, 3),), {"min": 0.0}), ((normal(3),), {}),
             ((ints(9, 4),), {"min": 2, "max": 5})],
    "nan_to_num": [((np.array([1.0, -2.0, np.inf, -np.inf, np.nan]),), {}, (), 0),  # no differences at inf
                   ((normal(3),), {"nan": 1.0})],
    # activations
    **{name: [((normal(2, 5) * 3,),)]
       for name in ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "hardtanh", "hardsigmoid", "hardswish",
                    "hardshrink", "softshrink", "thresholded_relu")},
    "gelu": [((normal(2, 3),), {}), ((normal(2, 3),), {"approximate": True})],
    "softplus": [((normal(2, 3),), {}), ((normal(2, 5) * 20,), {"beta": 2.0, "threshold": 5.0})],
    "prelu": [((normal(2, 3), normal(1)),), ((normal(2, 3, 2), normal(3)),),
              ((normal(2, 2, 3), normal(3)), {"channel_axis": -1})],
    "glu": [((normal(2, 4),),), ((normal(4, 3),), {"axis": 0})],
    **{name: [((normal(2, 3),),), ((normal(2, 3, 2),), {"axis": 1}), ((np.array(0.5),),)]
       for name in ("softmax", "log_softmax")},
}
