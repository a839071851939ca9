"""Layers that are a function with settings: made from the function, so that a setting is named once."""
from gpuflow.errors import explain
from gpuflow.nn.layer import Layer


def made(name: str, function, settings: dict, inputs: str = "x", prefix: str = "_", shown: bool = True,
         among: dict | None = None, module: str = "gpuflow.nn"):
    """A Layer class `name` whose forward is ``function(<inputs>, <settings>)``.

    settings: name -> default, the constructor's parameters in order; kept as attributes with `prefix`.
    shown: the settings appear in the repr. among: setting -> values it may have, checked at once.
    """
    allowed = among or {}
    # written as text, since Python has no other way to give a function parameters by name
    keep = [f"    self.{prefix}{key} = {key}" for key in settings]
    checks = [f"    check({name!r}, {key!r}, {key}, allowed[{key!r}])" for key in allowed]
    passed = ", ".join([inputs, *(f"{key}=self.{prefix}{key}" for key in settings)])
    text = "\n".join([
        f"def __init__(self, {''.join(f'{key}=defaults[{key!r}], ' for key in settings)}name=None):",
        "    Layer.__init__(self)", *checks, *keep, f"    self.{prefix}name = name",
        f"def forward(self, {inputs}):", f"    return function({passed})"])
    body = {"Layer": Layer, "function": function, "check": _check, "allowed": allowed, "defaults": settings}
    exec(text, body)

    def extra_repr(self):
        parts = [f"{key}={getattr(self, prefix + key)}" for key in settings] if shown else []
        return ", ".join([*parts, *([f"name={self._name}"] if prefix and self._name else [])])

    methods = {"__init__": body["__init__"], "forward": body["forward"], "extra_repr": extra_repr}
    for key, method in methods.items():
        method.__qualname__, method.__module__ = f"{name}.{key}", module
    first_line = (function.__doc__ or "").strip().split("\n\n")[0]
    return type(name, (Layer,), methods | {"__module__": module,
                                           "__doc__": f"`functional.{function.__name__}` as a layer: {first_line}"})


def _check(layer, key, value, allowed):
    if value not in allowed:
        raise ValueError(explain(layer, f"{key} among {list(allowed)}", repr(value)))
