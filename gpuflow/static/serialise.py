"""A Program as plain data and back: what the files of inference models hold. Ops go by name, so a file runs nothing but
registered ops with attributes of plain kinds."""
from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.index import Slot
from gpuflow.ops.registry import OPS
from gpuflow.static.operators import Apply
from gpuflow.static.plan import needed_for
from gpuflow.static.program import Program
from gpuflow.static.value import Value

FORMAT = "gpuflow program 1"


def described(program: Program, feeds: list[Value], fetches: list[Value]) -> dict:
    """What of `program` (made for testing) is needed for `fetches`, as dicts, lists, numbers and text.

    ValueError for operators that have no plain description (Python functions, branches), and for fetches that need
    other data than `feeds`.
    """
    operators = needed_for(program.global_block().ops, fetches)
    values = list(dict.fromkeys(v for v in (*feeds, *fetches, *(v for o in operators
                                                                 for v in (*o.reads(), *o.writes())))))
    number = {id(v): k for k, v in enumerate(values)}
    other = [o.type for o in operators if not isinstance(o, Apply)]
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
        "operators": [_operator(o, number) for o in operators if isinstance(o, Apply)],
        "feeds": [number[id(v)] for v in feeds],
        "fetches": [number[id(v)] for v in fetches],
    }


def _operator(o: Apply, number: dict) -> dict:
    return {"op": o.op.name,
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
            op = OPS[o["op"]]
            attrs = {key: _meant(x) for key, x in o["attrs"].items()}
            if set(attrs) - set(op.attrs):
                raise KeyError(f"{op.name} has no attribute {sorted(set(attrs) - set(op.attrs))}")
            inputs = [values[x["value"]] if isinstance(x, dict) and "value" in x else _meant(x) for x in o["inputs"]]
            operator = Apply(op, inputs, [values[k] for k in o["outputs"]], attrs)
            operator.mark_stops()
            program.global_block().append(operator)
        return program, [values[k] for k in text["feeds"]], [values[k] for k in text["fetches"]]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(explain("a saved program", "the description that gpuflow writes",
                                 f"{type(error).__name__}: {error}")) from error


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
