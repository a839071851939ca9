"""Copies of Programs, for training on and for testing."""
import inspect

from gpuflow.static import build
from gpuflow.static.operators import Operator
from gpuflow.static.program import Program
from gpuflow.static.value import Value, Variable


def cloned(program: Program, for_test: bool) -> Program:
    """See Program.clone. Values are shared: they are the same quantities, in another program's run."""
    copy = Program()
    copy.values, copy._captured = dict(program.values), dict(program._captured)
    copy.random_seed = program.random_seed
    block = copy.global_block()
    source = program.global_block()
    if not for_test:
        copy.calls = list(program.calls)
        block.ops = list(source.ops)
        return copy
    copy._captured = {id(v.home): v for v in copy.values.values() if v.home is not None}
    inside = {k: call for call in _outermost(program.calls, source) for k in range(call.begin, call.end)}
    place_of: dict[int, Value] = {}    # id(Value of a training call) -> what takes its place
    done: set[int] = set()
    for k, operator in enumerate(source.ops):
        call = inside.get(k)
        if call is None:
            if not operator.training:
                block.ops.append(_moved(operator, place_of))
        elif id(call) not in done:
            done.add(id(call))
            _call_again(call, copy, place_of)
    copy.version += 1
    return copy


def _outermost(calls, block):
    """Training calls of the block that are in no other one."""
    mine = [c for c in calls if c.block is block]
    return [c for c in mine if not any(d is not c and d.begin <= c.begin and c.end <= d.end for d in mine)]


def _moved(operator: Operator, place_of) -> Operator:
    """The operator, reading what took the place of Values it read."""
    if not any(id(x) in place_of for x in operator.inputs):
        return operator
    twin = type(operator).__new__(type(operator))
    twin.__dict__.update(operator.__dict__)
    twin.inputs = [place_of.get(id(x), x) if isinstance(x, Value) else x for x in operator.inputs]
    return twin


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
    with build.tracing(copy):
        found = call.function(*here(bound.args), **here(bound.kwargs))
    for old, new in zip(_flat(call.result), _flat(found), strict=True):
        place_of[id(old._value)] = new._value
        copy.values[old._value.name] = new._value


def _flat(result) -> list:
    return [result] if isinstance(result, Variable) else [x for x in result if isinstance(x, Variable)]
