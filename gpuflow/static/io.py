"""Programs and their weights in files: training state, chosen variables, and models for inference."""
import io
import json
import os

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.io import variables_file
from gpuflow.io.arrays import host_array
from gpuflow.io.atomic import replacing, replacing_together, settled
from gpuflow.io.checkpoint import load as load_file, save_together
from gpuflow.io.pickle_reader import CheckpointError
from gpuflow.optimizer.in_program import Step
from gpuflow.param import Parameter
from gpuflow.static.program import Program, default_main_program
from gpuflow.static.scope import Scope, global_scope
from gpuflow.static.serialise import described, rebuilt
from gpuflow.static.value import Value
from gpuflow.structure import listed
from gpuflow.tensor import Tensor

__all__ = ["deserialize_persistables", "deserialize_program", "load", "load_from_file", "load_inference_model",
           "load_program_state", "load_vars", "normalize_program", "save", "save_inference_model", "save_to_file",
           "save_vars", "serialize_persistables", "serialize_program", "set_program_state"]


def _persistable(program: Program, condition=None) -> dict[str, Value]:
    """{name: Value} of the parameters and buffers of a program; condition(tensor): which."""
    found = {v.name: v for v in program.values.values() if v.home is not None and (v.persistable or v.home.persistable)}
    return {name: v for name, v in found.items() if condition is None or condition(v.home)}


def _place(scope: Scope, value: Value, array) -> None:
    """Gives a Value its numbers in a scope."""
    place = value.home.place
    scope.initialise(value.home, device.move(np.ascontiguousarray(array), place))


def _check_fits(where: str, values: dict[str, Value], state: dict) -> None:
    """ValueError that lists what is missing, and what has another shape or dtype; nothing was changed then."""
    wrong = [f"{name} is missing" for name in values if name not in state]
    for name, value in values.items():
        array = state.get(name)
        if array is not None and (tuple(array.shape) != value.shape or array.dtype != value.dtype.dtype):
            wrong.append(f"{name} is {array.dtype} {list(array.shape)} and not {value.dtype.name} {list(value.shape)}")
    if wrong:
        raise ValueError(explain(where, "numbers that fit the program's variables", "; ".join(wrong)))


# ---- training state --------------------------------------------------------------------------------------------------


def save(program: Program, model_path: str, protocol: int = 4, **configs) -> None:
    """Saves the program's parameters and buffers as `model_path`.pdparams and its optimizers' states as .pdopt, both
    files or none.

    The current scope's numbers are saved, under the variables' names; Paddle reads the .pdparams.
    """
    scope, path = global_scope(), _prefix("static.save", model_path)
    state = {name: host_array(scope.tensor(v)) for name, v in _persistable(program).items()}
    states: dict = {}
    for optimizer in _optimizers(program, scope):
        states.update(optimizer.state_dict())
    save_together(path, {".pdparams": state, ".pdopt": states}, protocol, **configs)


def load(program: Program, model_path: str, executor=None, var_list=None) -> None:
    """Loads what `save` wrote into the current scope. var_list: only these parameters and buffers.

    ValueError lists what is missing or does not fit; nothing was changed then. Training goes on bit for bit.
    """
    path, scope = _prefix("static.load", model_path), global_scope()
    state = {name: np.asarray(a) for name, a in load_file(path + ".pdparams", return_numpy=True).items()}
    values = _persistable(program)
    if var_list is not None:
        names = {v if isinstance(v, str) else v.name for v in var_list}
        values = {name: v for name, v in values.items() if name in names}
    _check_fits("static.load", values, state)
    for name, value in values.items():
        _place(scope, value, state[name])
    if var_list is None and os.path.isfile(path + ".pdopt"):
        states = load_file(path + ".pdopt")
        for optimizer in _optimizers(program, scope) if states else ():
            optimizer.set_state_dict(states)


def _optimizers(program: Program, scope: Scope) -> list:
    """The optimizers that step in a program, as they work in the scope."""
    return [o.worker(scope) for o in program.operators() if isinstance(o, Step)]


def load_program_state(model_path: str, var_list=None) -> dict:
    """{name: NumPy array} of what `save` wrote (or of a .pdparams file). var_list: only these."""
    path = _prefix("load_program_state", model_path)
    state = load_file(path if os.path.isfile(path) else path + ".pdparams", return_numpy=True)
    names = None if var_list is None else {v if isinstance(v, str) else v.name for v in var_list}
    return {name: np.asarray(a) for name, a in state.items() if names is None or name in names}


def set_program_state(program: Program, state_dict: dict) -> None:
    """Gives the program's variables in the current scope the numbers of {name: array}; names it lacks are ignored.

    ValueError, and nothing is changed, where a shape or dtype does not fit.
    """
    state = {name: host_array(a) if isinstance(a, Tensor) else np.asarray(a) for name, a in state_dict.items()}
    values = {name: v for name, v in _persistable(program).items() if name in state}
    _check_fits("set_program_state", values, state)
    for name, value in values.items():
        _place(global_scope(), value, state[name])


def _prefix(where: str, path: str) -> str:
    if not os.path.basename(path):
        raise ValueError(explain(where, "a path that ends in a name", repr(path)))
    return os.fspath(path)


# ---- chosen variables ------------------------------------------------------------------------------------------------


def save_vars(executor, dirname: str, main_program=None, vars=None, predicate=None, filename=None) -> None:
    """Saves parameters and buffers of a program in the format of Paddle's `save_vars`.

    vars: Variables, parameters or names; or predicate(tensor): which of the program's; default all. filename: one file
    `dirname/filename` with all in the order of their names (of `vars`); None: one file per variable, called as it is.
    """
    chosen = _chosen("save_vars", main_program, vars, predicate)
    arrays = {name: host_array(global_scope().tensor(value)) for name, value in chosen.items()}
    for name, group in ({filename: list(arrays.values())} if filename is not None else
                        {name: [array] for name, array in arrays.items()}).items():
        with replacing(os.path.join(dirname, name)) as target, open(target, "wb") as file:
            variables_file.write(file, group)


def load_vars(executor, dirname: str, main_program=None, vars=None, predicate=None, filename=None) -> None:
    """Loads what `save_vars` (ours or Paddle's) wrote into the current scope; arguments as there.

    CheckpointError for a damaged file, ValueError for numbers that do not fit; nothing was changed then.
    """
    chosen = _chosen("load_vars", main_program, vars, predicate)
    if filename is not None:
        arrays = dict(zip(chosen, _read(os.path.join(dirname, filename), len(chosen)), strict=True))
    else:
        arrays = {name: _read(os.path.join(dirname, name), 1)[0] for name in chosen}
    _check_fits("load_vars", chosen, arrays)
    for name, value in chosen.items():
        _place(global_scope(), value, arrays[name])


def _read(path: str, count: int) -> list[np.ndarray]:
    try:
        return variables_file.read(load_from_file(path), count)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def _chosen(where: str, program, variables, predicate) -> dict[str, Value]:
    program = default_main_program() if program is None else program
    if not isinstance(program, Program):
        raise TypeError(explain(where, "a Program as main_program", type(program).__name__))
    if variables is None:
        found = _persistable(program, predicate)
        return {name: found[name] for name in sorted(found)}
    values = [program.values[v.name if isinstance(v, Tensor) else v] for v in variables]
    wrong = [v.name for v in values if v.home is None]
    if wrong:
        raise ValueError(explain(where, "parameters and buffers, which outlive a run", str(wrong)))
    return {v.name: v for v in values}


# ---- models for inference --------------------------------------------------------------------------------------------


def normalize_program(program: Program, feed_vars, fetch_vars, **kwargs) -> Program:
    """The program for testing, with what `fetch_vars` need of `feed_vars` and nothing else."""
    text, values = _described(program, feed_vars, fetch_vars)
    homes = {v.name: v.home for v in values.values() if v.home is not None}
    pruned, _, _ = rebuilt(text, lambda name, *rest: homes[name])
    return pruned


def _described(program: Program, feed_vars, fetch_vars):
    test = program.clone(for_test=True)
    feeds, fetches = ([test.value_of(v) for v in listed(vs)] for vs in (feed_vars, fetch_vars))
    wrong = [v.name for v in feeds if not v.is_data]
    if wrong:
        raise ValueError(explain("saving a program", "feed_vars made by static.data", str(wrong)))
    return described(test, feeds, fetches), test.values


def serialize_program(feed_vars, fetch_vars, program=None, **kwargs) -> bytes:
    """The program for inference as text (JSON), without numbers."""
    return json.dumps(_described(program or default_main_program(), feed_vars, fetch_vars)[0]).encode()


def serialize_persistables(feed_vars, fetch_vars, executor=None, program=None, **kwargs) -> bytes:
    """The numbers that the program for inference needs, in the order of their names, as Paddle's .pdiparams."""
    return _numbers(*_described(program or default_main_program(), feed_vars, fetch_vars))


def _numbers(text: dict, values: dict[str, Value]) -> bytes:
    """The .pdiparams of a description, from the current scope."""
    file = io.BytesIO()
    variables_file.write(file, [host_array(global_scope().tensor(values[name])) for name in _kept(text)])
    return file.getvalue()


def _kept(text: dict) -> list[str]:
    """The names of a description's parameters and tensors, in order."""
    return sorted(v["name"] for v in text["values"] if v["kind"] in ("parameter", "tensor"))


def deserialize_program(data: bytes) -> Program:
    """The program that `serialize_program` gave; its numbers are still to come."""
    return _program(data)[0]


def deserialize_persistables(program: Program, data: bytes, executor=None) -> None:
    """Gives the program's variables the numbers that `serialize_persistables` gave."""
    values = {name: v for name, v in program.values.items() if v.home is not None}
    arrays = dict(zip(sorted(values), variables_file.read(data, len(values)), strict=True))
    _check_fits("deserialize_persistables", values, arrays)
    for name, value in values.items():
        _place(global_scope(), value, arrays[name])


def _program(data: bytes):
    try:
        text = json.loads(bytes(data))
    except ValueError as error:
        raise CheckpointError(f"the program cannot be read: {error}. gpuflow reads what gpuflow saved; of Paddle's "
                              "models it reads the weights.") from error

    def tensor(name, shape, dtype, is_parameter):
        array = np.broadcast_to(np.zeros((), dtype.dtype), shape)
        made = Parameter(array, name=name) if is_parameter else Tensor(array, name=name)
        made._pending = made.persistable = True
        return made

    return rebuilt(text, tensor)


def save_to_file(path: str, content: bytes) -> None:
    """Writes bytes to a file, whole or not at all."""
    if not isinstance(content, bytes):
        raise ValueError(explain("save_to_file", "bytes", type(content).__name__))
    with replacing(path) as target, open(target, "wb") as file:
        file.write(content)


def load_from_file(path: str) -> bytes:
    """The bytes of a file."""
    with open(settled(path), "rb") as file:
        return file.read()


def save_inference_model(path_prefix: str, feed_vars, fetch_vars, executor, program=None, **kwargs) -> None:
    """Saves what is needed to compute `fetch_vars` from `feed_vars`: `path_prefix`.pdmodel and .pdiparams.

    The first is gpuflow's own description (text); the second is Paddle's file of weights in the order of their names.
    Layers are saved in their evaluation form.
    """
    path = _prefix("save_inference_model", path_prefix)
    text, values = _described(program or default_main_program(), feed_vars, fetch_vars)
    contents = {".pdiparams": _numbers(text, values), ".pdmodel": json.dumps(text).encode()}
    with replacing_together(path, contents) as names:
        for name, content in zip(names, contents.values()):
            with open(name, "wb") as file:
                file.write(content)


def load_inference_model(path_prefix: str, executor, **kwargs) -> list:
    """[program, names to feed, Variables to fetch] of what `save_inference_model` wrote; numbers go to the scope."""
    path = _prefix("load_inference_model", path_prefix)
    program, feeds, fetches = read_program(path + ".pdmodel")
    deserialize_persistables(program, load_from_file(path + ".pdiparams"), executor)
    return [program, [v.name for v in feeds], [program.seen(v) for v in fetches]]


def read_program(path: str):
    """(program, feeds, fetches) of a .pdmodel file; its tensors have no numbers yet."""
    return _program(load_from_file(path))


def fill(program: Program, path: str) -> None:
    """Gives the tensors of `read_program` themselves, and no scope, the numbers of a .pdiparams file."""
    homes = {tensor.name: tensor for tensor in program.homes()}
    arrays = dict(zip(sorted(homes), _read(path, len(homes)), strict=True))
    _check_fits("jit.load", {name: program.values[name] for name in homes}, arrays)
    for name, tensor in homes.items():
        tensor._array, tensor._pending = device.move(arrays[name], device.current_place()), False
