"""Writes signatures.json: the parameters of Paddle's functions, tensor methods and activations, with their defaults.

    /path/to/a/python/with/paddlepaddle==3.3.1 tests/golden/make_signatures.py
"""
import inspect
import json
from pathlib import Path


def parameters(function) -> list:
    """[[name, text of the default, or null where there is none], ...] without `name` and * parameters."""
    return [[p.name, None if p.default is p.empty else shown(p.default)]
            for p in inspect.signature(function).parameters.values()
            if p.name != "name" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def shown(default) -> str:
    """Numbers as floats, lists as tuples: 0 and 0.0, [0, 1] and (0, 1) are one default."""
    if isinstance(default, bool) or default is None or isinstance(default, str):
        return repr(default)
    if isinstance(default, int | float):
        return repr(float(default))
    if isinstance(default, list | tuple):
        return repr(tuple(default))
    return str(default)


def all_of(owner, names=None) -> dict:
    found = {}
    for name in sorted(n for n in names or dir(owner) if not n.startswith("_")):
        function = getattr(owner, name)
        if inspect.isroutine(function):
            try:
                found[name] = parameters(function)
            except ValueError:
                continue
    return found


if __name__ == "__main__":
    import paddle

    assert paddle.__version__ == "3.3.1", paddle.__version__
    owners = {"paddle": paddle, "Tensor": paddle.Tensor, "functional": paddle.nn.functional}
    found = {title: all_of(owner) for title, owner in owners.items()}
    found |= {"static": all_of(paddle.static, paddle.static.__all__),
              "static.nn": all_of(paddle.static.nn, paddle.static.nn.__all__)}
    text = ",\n".join(f"{json.dumps(title)}: {{\n" + ",\n".join(
        f" {json.dumps(name)}: {json.dumps(p)}" for name, p in functions.items()) + "}" for title,
                      functions in found.items())
    Path(__file__).with_name("signatures.json").write_text("{" + text + "}\n")
