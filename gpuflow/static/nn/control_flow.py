"""cond, case, switch_case, while_loop: decisions that a Program takes in its runs. In eager mode they are Python."""
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.static import control
from gpuflow.structure import leaves
from gpuflow.tensor import Tensor

__all__ = ["case", "cond", "switch_case", "while_loop"]


def cond(pred, true_fn=None, false_fn=None, name=None, return_names=None):
    """true_fn() where pred is True, else false_fn(). pred: a bool tensor of one element; functions: default None.

    Both return one structure of tensors (numbers become tensors), with the same dtypes. Gradients go through the branch
    that ran; to the other one's parameters comes none. return_names: taken for Paddle's sake.
    """
    for key, function in (("true_fn", true_fn), ("false_fn", false_fn)):
        if function is not None and not callable(function):
            raise TypeError(explain("cond", f"{key} as a function", type(function).__name__))
    functions = [_nothing if f is None else f for f in (true_fn, false_fn)]
    if in_dynamic_mode() or isinstance(pred, bool):
        return functions[0 if pred else 1]()
    return control.choose("cond", control.predicate("cond", pred), functions, {1: 0}, 1)


def _nothing():
    return None


def case(pred_fn_pairs, default=None, name=None):
    """What the function of the first pair gives whose condition is True, else `default`'s, by default the last pair's.

    pred_fn_pairs: a list of (bool tensor of one element, function).
    """
    if not isinstance(pred_fn_pairs, list | tuple) or not pred_fn_pairs:
        raise TypeError(explain("case", "a list of (condition, function)", repr(pred_fn_pairs)))
    for pair in pred_fn_pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], Tensor) or not callable(pair[1]):
            raise TypeError(explain("case", "pairs of a bool tensor and a function", repr(pair)))
    if default is None:
        *pred_fn_pairs, (_, default) = pred_fn_pairs
    elif not callable(default):
        raise TypeError(explain("case", "default as a function", type(default).__name__))
    if not pred_fn_pairs:
        return default()
    (pred, function), *rest = pred_fn_pairs
    return cond(pred, function, (lambda: case(rest, default)) if rest else default)


def switch_case(branch_index, branch_fns, default=None, name=None):
    """What the function with the number branch_index gives, else `default`'s, by default that of the largest number.

    branch_index: an integer tensor of one element. branch_fns: {int: function}, a list of (int, function), or a list of
    functions, numbered from 0.
    """
    if not isinstance(branch_index, Tensor) or branch_index.dtype.name not in ("uint8", "int32", "int64"):
        raise TypeError(explain("switch_case", "branch_index as a tensor of uint8, int32 or int64",
                                getattr(branch_index, "dtype", type(branch_index)).__str__()))
    table = _numbered(branch_fns)
    if default is not None and not callable(default):
        raise TypeError(explain("switch_case", "default as a function", type(default).__name__))
    last = table[max(table)] if default is None else default
    if in_dynamic_mode():
        return table.get(int(branch_index.item()), last)()
    functions = list(dict.fromkeys([*table.values(), last]))
    choices = {key: functions.index(function) for key, function in table.items()}
    return control.choose("switch_case", branch_index, functions, choices, functions.index(last))


def _numbered(branch_fns) -> dict:
    pairs = list(branch_fns.items()) if isinstance(branch_fns, dict) else branch_fns
    if not isinstance(pairs, list | tuple) or not pairs:
        raise TypeError(explain("switch_case", "a dict or list of functions", repr(branch_fns)))
    pairs = [pair if isinstance(pair, tuple) else (k, pair) for k, pair in enumerate(pairs)]
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], int) or not callable(pair[1]):
            raise TypeError(explain("switch_case", "pairs of an int and a function", repr(pair)))
    if len(dict(pairs)) != len(pairs):
        raise ValueError(explain("switch_case", "each number once", str([key for key, _ in pairs])))
    return dict(pairs)


def while_loop(cond, body, loop_vars, is_test=False, name=None):
    """The list loop_vars after ``loop_vars = body(*loop_vars)`` as long as cond(*loop_vars) is True.

    cond: gives a bool tensor of one element. body: returns what it was given, in the same structure and dtypes; a size
    may change from one iteration to the next. loop_vars: a list or tuple, also nested, of tensors. Gradients go through
    every iteration; is_test=True: none, and nothing is kept for them.
    """
    for key, function in (("cond", cond), ("body", body)):
        if not callable(function):
            raise TypeError(explain("while_loop", f"{key} as a function", type(function).__name__))
    if not isinstance(loop_vars, list | tuple):
        raise TypeError(explain("while_loop", "loop_vars as a list or tuple", type(loop_vars).__name__))
    if not loop_vars:
        raise ValueError(explain("while_loop", "loop_vars", "none"))
    loop_vars = list(loop_vars)
    if not in_dynamic_mode():
        return control.repeat(cond, body, loop_vars, is_test)
    while cond(*loop_vars):
        found = body(*loop_vars)
        found = list(found) if isinstance(found, list | tuple) else [found]
        if len(list(leaves(found))) != len(list(leaves(loop_vars))):
            raise ValueError(explain("while_loop", f"{len(loop_vars)} results of the body, as loop_vars",
                                     str(len(found))))
        loop_vars = found
    return loop_vars
