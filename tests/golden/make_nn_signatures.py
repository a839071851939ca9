"""Writes nn_signatures.json: the public names of paddle.nn 3.3.1 and their parameters with defaults.

    python -m tests.golden.make_nn_signatures     (with paddlepaddle==3.3.1, from the repository's root)
"""
import inspect
import json
from pathlib import Path

import paddle


def parameters(thing) -> list:
    """[name, repr of the default or None] of each parameter."""
    function = inspect.unwrap(thing.__init__ if inspect.isclass(thing) else thing)
    return [[p.name, None if p.default is p.empty else repr(p.default)]
            for p in inspect.signature(function).parameters.values() if p.name != "self"]


def main():
    rooms = {"nn": paddle.nn, "functional": paddle.nn.functional, "initializer": paddle.nn.initializer}
    golden = {room: {name: parameters(getattr(module, name)) for name in sorted(module.__all__)}
              for room, module in rooms.items()}
    lines = [f'"{room}": {{\n' + ",\n".join(f'"{name}": {json.dumps(found)}' for name, found in names.items()) + "\n}"
             for room, names in golden.items()]
    Path(__file__).with_name("nn_signatures.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
