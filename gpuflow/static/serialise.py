"""A Program as plain data and back: what the files of inference models hold. Ops go by name, so a file runs nothing but
registered ops with attributes of plain kinds."""
from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.index import Slot
from gpuflow.ops.registry import OPS
from gpuflow.static.control import Branches, Loop
from gpuflow.static.operators import Apply
from gpuflow.static.plan import needed_for
from gpuflow.static.program import Program
from gpuflow.static.value import Value

FORMAT = "gpuflow program 1"


def described(program: Program, feeds: list[Value], fetches: list[Value]) -> dict:
    """What of `program` (made for testing) is needed for `fetches`, as dicts, lists, numbers and text.

    ValueError for operators that have no plain description (Python functions), and for fetches that need other data
    than `feeds`.
    """
    operators = needed_for(program.global_block().ops, fetches)
    values = list(dict.fromkeys(v for v in (*feeds, *fetches, *(v for o in operators
                                                                 for v in (*o.reads(), *o.writes())))))
    number = {id(v): k for k, v in enumerate(values)}
    other = [o.type for o in _all(operators) if not isinstance(o, Apply | Branches | Loop)]
    if other:
        raise ValueError(explain("saving a program", "ops of the registry", f"the operators {other}",
                                 "a model without them, or save() of its weights"))
    for value in values:
        if value.is_data and all(value is not f for f in feeds):
            raise ValueError(explain("saving a program", "feed_vars with all data that fetch_vars depend on",
                                     f"{value.name} missing"))
    return {
        "format": FORMAT,
        "values": [{"name": v.name, "shape": [-1 if s is None else s for s in v.shape], "dtype": v.dtype.name,
                    "kind": "data" if v.is_data else "temporary" if v.home is None else
                    "parameter" if hasattr(v.home, "optimize_attr") else "tensor"} for v in values],
        "operators": [_operator(o, number) for o in operators],
        "feeds": [number[id(v)] for v in feeds],
        "fetches": [number[id(v)] for v in fetches],
    }


def _all(operators):
    """The operators, and those of the blocks inside of them."""
    for o in operators:
        yield o
        for block, _ in _blocks(o):
            yield from _all(block.ops)


def _blocks(o) -> list[tuple]:
    """(block, its results) of an operator that has such."""
    if isinstance(o, Loop):
        return [(o.test[0], [o.test[1]]), o.body]
    return o.parts if isinstance(o, Branches) else []


def _operator(o, number: dict) -> dict:
    def numbers(values):
        return [None if v is None else number[id(v)] for v in values]

    if not isinstance(o, Apply):
        blocks = [{"operators": [_operator(inner, number) for inner in block.ops], "results": numbers(results)}
                  for block, results in _blocks(o)]
        if isinstance(o, Loop):
            many = len(o.carried)
            return {"loop": blocks, "carried": numbers(o.carried), "start": numbers(o.inputs[:many]),
                    "outputs": numbers(o.outputs), "tape": number[id(o.tape)]}
        return {"branches": blocks, "type": o.type, "selector": number[id(o.inputs[0])],
                "choices": [[k, v] for k, v in o.choices.items()], "default": o.default, "outputs": numbers(o.outputs)}
    return {"op": o.op.name, "several": o.several,
            "inputs": [{"value": number[id(x)]} if isinstance(x, Value) else _plain(x) for x in o.inputs],
            "outputs": [number[id(v)] for v in o.outputs],
            "attrs": {key: _plain(x) for key, x in o.attrs.items()}}


def rebuilt(text: dict, tensor) -> tuple[Program, list[Value], list[Value]]:
    """(program, feeds, fetches) of what `described` gave. tensor(name, shape, dtype, is_parameter): makes the
    tensors. ValueError for what is no such description."""
    try:
        if text["format"] != FORMAT:
            raise ValueError(explain("a saved program", f"format {FORMAT!r}", repr(text["format"])))
        program = Program()
        values = [_value(program, v, tensor) for v in text["values"]]
        for o in text["operators"]:
            _append(program, o, values)
        return program, [values[k] for k in text["feeds"]], [values[k] for k in text["fetches"]]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(explain("a saved program", "the description that gpuflow writes",
                                 f"{type(error).__name__}: {error}")) from error


def _append(program: Program, o: dict, values: list[Value]) -> None:
    """Adds what `_operator` described to the current block."""
    def named(numbers):
        return [None if k is None else values[k] for k in numbers]

    if "op" in o:
        op = OPS[o["op"]]
        attrs = {key: _meant(x) for key, x in o["attrs"].items()}
        if set(attrs) - set(op.attrs):
            raise KeyError(f"{op.name} has no attribute {sorted(set(attrs) - set(op.attrs))}")
        inputs = [values[x["value"]] if isinstance(x, dict) and "value" in x else _meant(x) for x in o["inputs"]]
        operator = Apply(op, inputs, named(o["outputs"]), attrs, bool(o.get("several")))
        operator.mark_stops()
        program.current_block().append(operator)
        return
    carried, parts = named(o.get("carried", [])), []
    for v in carried:
        v.stop_gradient = not v.dtype.is_differentiable
    for part in o["loop" if "loop" in o else "branches"]:
        with program.new_block() as block:
            for inner in part["operators"]:
                _append(program, inner, values)
        parts.append((block, named(part["results"])))
    outputs = named(o["outputs"])
    if "loop" in o:
        (test, (asked,)), body = parts
        made: Loop | Branches = Loop((test, asked), body, carried, named(o["start"]), outputs, values[o["tape"]])
    else:
        made = Branches(str(o["type"]), values[o["selector"]], {int(k): int(v) for k, v in o["choices"]},
                        int(o["default"]), parts, outputs)
    for v in outputs:
        v.stop_gradient = not v.dtype.is_differentiable or all(x.stop_gradient for x in made.inputs)
    program.current_block().append(made)


def _value(program: Program, v: dict, tensor) -> Value:
    shape = tuple(None if s == -1 else int(s) for s in v["shape"])
    kind = dtypes.convert(v["dtype"])
    if v["kind"] in ("parameter", "tensor"):
        return program.capture(tensor(str(v["name"]), shape, kind, v["kind"] == "parameter"))
    return program.variable(str(v["name"]), shape, kind, is_data=v["kind"] == "data", exact=True)._value


def _plain(x):
    """An attribute as JSON holds it; what JSON has no word for becomes a dict with one."""
    if x is None or isinstance(x, bool | int | float | str):
        return x
    if isinstance(x, Slot):
        return {"slot": x.i}
    if isinstance(x, dtypes.DType):
        return {"dtype": x.name}
    if isinstance(x, slice):
        return {"slice": [_plain(x.start), _plain(x.stop), _plain(x.step)]}
    if x is Ellipsis:
        return {"ellipsis": True}
    if isinstance(x, tuple | list):
        return {"tuple" if isinstance(x, tuple) else "list": [_plain(item) for item in x]}
    if hasattr(x, "item") and getattr(x, "ndim", 1) == 0:
        return x.item()
    raise ValueError(explain("saving a program", "attributes that are numbers, text, dtypes, slices or lists",
                             f"{x!r} ({type(x).__name__})"))


def _meant(x):
    if not isinstance(x, dict):
        return x
    ((kind, inner),) = x.items()
    if kind == "slot":
        return Slot(int(inner))
    if kind == "dtype":
        return dtypes.convert(inner)
    if kind == "slice":
        return slice(*inner)
    if kind == "ellipsis":
        return Ellipsis
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(_meant(item) for item in inner)
    raise KeyError(kind)
