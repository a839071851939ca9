"""Casts in a Program that has none: each operator is appended anew under the policy that `auto_cast` would follow.

Users keep their Variables, which from then on mean the quantities of the cast program. Programs that share operators or
Values with it, as a clone for testing does, stay as they are.
"""
from __future__ import annotations

from copy import copy

from gpuflow import dispatch, dtypes
from gpuflow.amp.auto_cast import KEEP, brought
from gpuflow.errors import explain
from gpuflow.nn.layer import convert_tensor
from gpuflow.static.amp.lists import AutoMixedPrecisionLists
from gpuflow.static.build import inferred, tracing
from gpuflow.static.operators import Apply
from gpuflow.static.program import Block, Program, name_scope
from gpuflow.static.scope import global_scope
from gpuflow.static.value import Value, Variable

GUARD = "__use_fp16__"    # Paddle's name for the scope


def fp16_guard():
    """A block: where a guard is asked for, only the operators that are made inside compute in the low type."""
    return name_scope(GUARD)


class Rewrite:
    """One casting of a program. policy: of auto_cast. guarded: only what fp16_guard marked. wide_names: names of
    Variables whose operators compute in float32.

    place_of: {id(Value): the one that took its place}. moved: {id(inner block): (its twin, such a dict for it)}.
    """

    def __init__(self, program: Program, policy, guarded: bool = False, wide_names=()):
        self.program, self.policy, self.guarded, self.wide_names = program, policy, guarded, frozenset(wide_names)
        self.place_of: dict[int, Value] = {}
        self.moved: dict[int, tuple[Block, dict[int, Value]]] = {}

    def run(self) -> set[str]:
        """Casts the program; returns the names of the parameters that are kept in the low type."""
        program, block = self.program, self.program.global_block()
        before = list(block.ops)
        low = self._low_parameters() if self.policy.level == "O2" else []
        undo, ids = program.mark(), {id(tensor) for tensor in low}
        for value in [v for v in program.values.values() if v.home is not None]:
            kind = self.policy.dtype if id(value.home) in ids else value.home.dtype
            if kind is not value.dtype:
                self._replace(value, kind)
        block.ops = []
        at = [0]     # where each operator of before begins now
        try:
            with tracing(program), dispatch.casting(None):
                for operator in before:
                    self._append(block, operator)
                    at.append(len(block.ops))
        except BaseException:
            undo()
            block.ops = before
            raise
        for tensor in low:
            convert_tensor(tensor, None, self.policy.dtype)
        self._rename(at)
        program.version += 1
        return {tensor.name for tensor in low}

    # ---- parameters ------------------------------------------------------------------------------------------------

    def _low_parameters(self) -> list:
        """The parameters that no operator wants in float32. One that is black all the same, such as an embedding,
        casts its parameter back."""
        wide: set[int] = set()
        for block in self.program.blocks:
            for operator in block.ops:
                plain = isinstance(operator, Apply) and block.parent is None and not self._stays_wide(operator)
                kind, first_only = (self.policy.kind_of(operator.op.name, operator.inputs, operator.attrs) if plain
                                    else (KEEP, False))
                wide |= {id(x.home) for k, x in enumerate(operator.inputs) if isinstance(x, Value)
                         and x.home is not None and (kind == KEEP or (first_only and k))}
        return [p for p in self.program.all_parameters()
                if id(p) not in wide and p.dtype in (dtypes.float32, self.policy.dtype)]

    def _stays_wide(self, operator) -> bool:
        if self.guarded and GUARD not in operator.scope.split("/"):
            return True
        return bool(self.wide_names) and any(
            v.name in self.wide_names for v in (*operator.reads(), *operator.writes()))

    # ---- operators -------------------------------------------------------------------------------------------------

    def _append(self, block: Block, operator) -> None:
        if not isinstance(operator, Apply):
            block.ops.append(self._other(operator))
            return
        inputs = tuple(Variable(self._now(x), block) if isinstance(x, Value) else x for x in operator.inputs)
        if self._stays_wide(operator):
            inputs = tuple(brought(x, dtypes.float32) for x in inputs)
        else:
            inputs = self.policy(operator.op, inputs, operator.attrs)
        values, specs, _ = inferred(self.program, operator.op, inputs, operator.attrs)
        if any(a is not b for a, b in zip(values, operator.inputs)):
            operator = copy(operator)
            operator.inputs = values
            operator.outputs = [v if v is None or v.dtype is spec.dtype else self._replace(v, spec.dtype)
                                for v, spec in zip(operator.outputs, specs)]
        block.ops.append(operator)

    def _other(self, operator):
        """What is no op of the registry gets its inputs as they were: branches and loops, Python, writes."""
        block = self.program.current_block()
        changed = [v for v in operator.reads() if id(v) in self.place_of]
        if not changed:
            return operator
        if operator.training:
            raise RuntimeError(explain("static.amp", "a program without backward", "one in which "
                                       f"{operator.type} reads {changed[0].name}", "decorate before minimize"))
        wide = {id(v): brought(Variable(self._now(v), block), v.dtype)._value for v in changed}

        def inside(inner: Block) -> Block:
            twin = self.program.blocks[inner.idx] = Block(self.program, inner.idx, inner.parent)
            twin.ops = [o.moved(wide, inside) for o in inner.ops]
            self.moved[id(inner)] = twin, wide
            return twin

        return operator.moved(wide, inside)

    def _now(self, value: Value) -> Value:
        return self.place_of.get(id(value), value)

    def _replace(self, value: Value, dtype) -> Value:
        new = self.place_of[id(value)] = copy(value)
        new.dtype = dtype
        return new

    # ---- what users hold -------------------------------------------------------------------------------------------

    def _rename(self, at: list[int]) -> None:
        """Lets names, Variables and noted calls mean the Values that are computed now."""
        program, now = self.program, self._now
        program.values = {name: now(value) for name, value in program.values.items()}
        program._captured = {key: now(value) for key, value in program._captured.items()}
        for variable in list(program._seen.values()):
            new = now(variable._value)
            if new is not variable._value:
                variable._value = new
                program._seen[id(new)] = variable
        program.calls = [self._call_now(call, at) for call in program.calls]

    def _call_now(self, call, at: list[int]):
        twin = copy(call)
        if call.block is self.program.global_block():
            twin.policy, twin.begin, twin.end = self.policy, at[call.begin], at[call.end]
            twin.given = {key: self._now(value) for key, value in call.given.items()}
        elif id(call.block) in self.moved:    # as many operators, in float32 as before
            twin.block, wide = self.moved[id(call.block)]
            twin.given = {key: wide.get(id(value), value) for key, value in call.given.items()}
        return twin


def cast_model_to_fp16(program, amp_lists=None, use_fp16_guard=True, dest_type="float16", level="O2",
                       use_promote=False) -> set[str]:
    """Casts a program in place, before its backward is appended; the names of the parameters that are low from now on.

    amp_lists: AutoMixedPrecisionLists. use_fp16_guard: at O2, only the operators made in `fp16_guard`. dest_type: the
    low type. level: as of `amp.auto_cast`; at "O2" the parameters become low, but those that normalisation reads.
    """
    kind = dtypes.convert(dest_type).name
    found = AutoMixedPrecisionLists(dtype=kind) if amp_lists is None else amp_lists
    policy = found.policy(level, kind, use_promote)
    if policy is None:
        return set()
    return Rewrite(program, policy, use_fp16_guard and level == "O2", found.black_varnames).run()


def cast_parameters_to_fp16(place, program, scope=None, to_fp16_var_names=None, dest_type="float16",
                            rewrite_master_weight=False, master_weights=None) -> None:
    """Casts the named parameters in a scope, default the global one; those that are low already stay.

    place, rewrite_master_weight and master_weights are taken and change nothing: parameters stay on their device, and
    master copies follow them.
    """
    scope, kind = global_scope() if scope is None else scope, dtypes.convert(dest_type)
    for parameter in program.all_parameters():
        held = scope.find_var(parameter.name)
        if parameter.name in (to_fp16_var_names or ()) and held is not None:
            convert_tensor(held._tensor, None, kind)
