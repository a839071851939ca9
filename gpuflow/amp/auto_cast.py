"""auto_cast: within the block, each op's floating inputs are brought to the type it should compute in.

The casts are ops like any other, so gradients come back in each parameter's own type, and a program that is built in
such a block holds them too. What is cast to what is said in lists.py.
"""
from __future__ import annotations

import contextlib
import warnings

from gpuflow import dispatch, dtypes
from gpuflow.amp import lists
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS

# What happens to the inputs of an op.
KEEP, LOW, WIDE, BY_INPUTS = range(4)
_CAST = OPS["cast"]
_CASTABLE = (dtypes.float16, dtypes.bfloat16, dtypes.float32)


class Policy:
    """The rule of one auto_cast block: called by dispatch with an op, its inputs and attributes, gives the inputs.

    level, dtype: as asked for. white, black: the names of lists.py. A user's own lists are asked before them.
    """

    def __init__(self, level: str, dtype: dtypes.DType, white, black, custom_white, custom_black, use_promote: bool):
        self.level, self.dtype = level, dtype
        self._lists = ((custom_white, LOW), (custom_black, WIDE), (white, LOW), (black, WIDE))   # the first that knows
        self._others = WIDE if level == "OD" else BY_INPUTS if use_promote or level != "O2" else LOW
        self._kinds: dict[str, tuple[int, bool]] = {}

    def kind_of(self, op: str, inputs=(), attrs=None) -> tuple[int, bool]:
        """(what happens to the inputs, whether only the first is looked at) for an op of ours."""
        named = lists.NAMED_BY_CALL.get(op)
        name = op if named is None else named(inputs, attrs)
        found = self._kinds.get(name)
        if found is None:
            names = lists.names_of(name)
            found = self._kinds[name] = self._kind(names), name in lists.FIRST_ONLY
        return found

    def _kind(self, names) -> int:
        for known, kind in self._lists[:2]:
            if not known.isdisjoint(names):
                return kind
        if not lists.AS_IS.isdisjoint(names):
            return KEEP
        for known, kind in self._lists[2:]:
            if not known.isdisjoint(names):
                return kind
        return self._others

    def __call__(self, op, inputs, attrs):
        kind, first_only = self.kind_of(op.name, inputs, attrs)
        if kind == KEEP or not inputs:
            return inputs
        looked_at = inputs[:1] if first_only else inputs
        kinds = [getattr(x, "dtype", None) for x in looked_at]
        target = dtypes.float32 if kind == WIDE or (kind == BY_INPUTS and dtypes.float32 in kinds) else self.dtype
        if not any([k is not target and k in _CASTABLE for k in kinds]):
            return inputs
        return (*[brought(x, target) for x in looked_at], *inputs[len(looked_at):])


def brought(x, target):
    """x in the target type where it is of another that policies cast, recorded. Not kept for the next use of a
    parameter: gradients of several uses would then be added up in the low type before they come back (docs/amp.md has
    the measurement)."""
    kind = getattr(x, "dtype", None)
    return x if kind is target or kind not in _CASTABLE else dispatch.call(_CAST, (x,), {"dtype": target})


def auto_cast(enable: bool = True, custom_white_list=None, custom_black_list=None, level: str = "O1",
              dtype="float16", use_promote: bool = True):
    """A block (or a decorator) in which ops compute in the type that suits them; in this thread only, and nestable.

    enable: False switches an outer block off. custom_white_list, custom_black_list: names of ops, Paddle's
        ("matmul_v2", "elementwise_add") or gpuflow's ("matmul", "add"), that compute in `dtype` or in float32 whatever
        the lists of lists.py say. ValueError where they overlap; a warning for a name that no op goes by.
    level: "O1" casts to `dtype` what is on the white list, to float32 what is on the black one, and for all other ops
        to float32 where an input is float32; "O2" expects parameters made by `decorate` and has a short black list;
        "OD" computes in float32 what is not on the white list; "O0" casts nothing.
    dtype: "float16" or "bfloat16". use_promote: at level O2, False casts to `dtype` what is not on the black list.

    Ops in place and float64 tensors are left alone.
    """
    return _block(policy_for("auto_cast", enable, custom_white_list, custom_black_list, level, dtype, use_promote))


amp_guard = auto_cast


def autocast(device_type=None, dtype="float16", enabled: bool = True, cache_enabled: bool = True):
    """`auto_cast` under the argument names of torch. device_type and cache_enabled are taken and change nothing."""
    return auto_cast(enable=enabled, dtype=dtype)


def policy_for(where: str, enable, white, black, level, dtype, use_promote) -> Policy | None:
    """The policy for the arguments of `auto_cast`, None where nothing is cast."""
    level = str(level).upper()
    if level not in lists.LEVELS:
        raise ValueError(explain(f"{where}(level=...)", "O0, OD, O1 or O2", repr(level)))
    custom_white, custom_black = _names(where, "custom_white_list", white), _names(where, "custom_black_list", black)
    both = custom_white & custom_black
    if both:
        raise ValueError(explain(where, "custom lists that do not overlap", f"{sorted(both)} in both"))
    if not enable:
        return None
    found = dtypes.convert(dtype.lower() if isinstance(dtype, str) else dtype)
    if found.name not in lists.DTYPES:
        raise ValueError(explain(f"{where}(dtype=...)", "float16 or bfloat16", found.name))
    if level == "O0":
        return None
    white, black = lists.white_list()[found.name][level], lists.black_list()[found.name][level]
    return Policy(level, found, white, black, custom_white, custom_black, bool(use_promote))


def _names(where: str, argument: str, given) -> set[str]:
    """A user's list as a set of names, each of which some op goes by."""
    if given is None:
        return set()
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise TypeError(explain(f"{where}({argument}=...)", "a list, tuple or set of names of ops", repr(given)))
    unknown = sorted(set(given) - known_names())
    if unknown:
        warnings.warn(f"{where}({argument}=...): no op goes by {unknown}; they change nothing", stacklevel=4)
    return set(given)


def known_names() -> set[str]:
    """Every name that a list may use: those of the lists, our ops' names and Paddle's for them."""
    names = lists.WHITE | lists.BLACK | lists.ALWAYS_BLACK | lists.NAMES_BY_CALL
    return names.union(*(lists.names_of(op) for op in OPS))


@contextlib.contextmanager
def _block(policy: Policy | None):
    global _latest
    if policy is not None:
        _latest = policy.dtype
    with dispatch.casting(policy):
        yield


_latest: dtypes.DType | None = None


def latest_dtype() -> dtypes.DType | None:
    """The low type of the auto_cast block that was entered last, be it left or not; None before the first."""
    return _latest


amp_state = dispatch.casting_policy   # true inside such a block; what code for Paddle asks


def is_autocast_enabled(device_type=None) -> bool:
    """True inside an auto_cast block of this thread that casts. device_type changes nothing."""
    return dispatch.casting_policy() is not None


def get_autocast_dtype(device_type=None) -> str:
    """The low type of the auto_cast block around the call, "float32" outside. device_type changes nothing."""
    policy = dispatch.casting_policy()
    return "float32" if policy is None else policy.dtype.name
