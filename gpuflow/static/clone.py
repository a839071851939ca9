"""Copies of Programs, for training on and for testing."""
import inspect

from gpuflow import dispatch
from gpuflow.static import build
from gpuflow.static.program import Block, Program
from gpuflow.static.value import Value, Variable


def cloned(program: Program, for_test: bool) -> Program:
    """See Program.clone. Values are shared: they are the same quantities, in another program's run."""
    copy = Program()
    copy.values, copy._captured = dict(program.values), dict(program._captured)
    copy.random_seed = program.random_seed
    if not for_test:
        copy.calls = list(program.calls)
        copy.global_block().ops = list(program.global_block().ops)
        copy.blocks += program.blocks[1:]
        return copy
    copy.leave_to_memory()
    _evaluated(program.global_block(), copy, {})
    copy.version += 1
    return copy


def _evaluated(source: Block, copy: Program, place_of: dict[int, Value]) -> None:
    """Appends a block's evaluation form. place_of: id(Value of a training call) -> what takes its place."""
    in_call = {k: call for call in _outermost(source) for k in range(call.begin, call.end)}
    done: set[int] = set()

    def inside(block: Block) -> Block:
        with copy.new_block() as twin:
            _evaluated(block, copy, place_of)
        return twin

    for k, operator in enumerate(source.ops):
        call = in_call.get(k)
        if call is None:
            if not operator.training:
                copy.current_block().ops.append(operator.moved(place_of, inside))
        elif id(call) not in done:
            done.add(id(call))
            _call_again(call, copy, place_of)


def _outermost(block: Block):
    """Training calls of the block that are in no other one."""
    mine = [c for c in block.program.calls if c.block is block]
    return [c for c in mine if not any(d is not c and d.begin <= c.begin and c.end <= d.end for d in mine)]


def _call_again(call, copy: Program, place_of) -> None:
    """Appends what a training call is in evaluation, and notes which Values take the place of which."""
    def here(x):
        if isinstance(x, Variable):
            value = call.given[id(x)]
            return copy.seen(place_of.get(id(value), value))
        if isinstance(x, list | tuple):
            return type(x)(here(item) for item in x)
        return {key: here(item) for key, item in x.items()} if isinstance(x, dict) else x

    bound = inspect.signature(call.function).bind(*call.args, **call.kwargs)
    bound.arguments["training"] = False
    with build.tracing(copy), dispatch.casting(call.policy):
        found = call.function(*here(bound.args), **here(bound.kwargs))
    for old, new in zip(_flat(call.result), _flat(found), strict=True):
        place_of[id(old._value)] = new._value
        copy.values[old._value.name] = new._value


def _flat(result) -> list:
    return [result] if isinstance(result, Variable) else [x for x in result if isinstance(x, Variable)]
