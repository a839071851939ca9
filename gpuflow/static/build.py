"""The mode that appends: where eager mode computes an op, static mode adds an operator to the current block."""
import contextlib

import numpy as np

from gpuflow import device, dispatch, dtypes, unique_name
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec
from gpuflow.static import program as programs
from gpuflow.static.backward import gradients
from gpuflow.static.operators import Apply, Initialise, Write
from gpuflow.static.value import Value, Variable
from gpuflow.tensor import Tensor


class Build:
    """Appends to the default main program; see dispatch.py for what a mode is."""

    dynamic = False

    def run(self, op, inputs, attrs):
        main = programs.default_main_program()
        values, specs, several = inferred(main, op, inputs, attrs)
        outs = [main.variable(f"{op.name}.out", spec.shape, spec.dtype) for spec in specs]
        operator = Apply(op, values, [out._value for out in outs], dict(attrs), several)
        operator.mark_stops(dispatch.recording())
        main.current_block().append(operator)
        return tuple(outs) if several else outs[0]

    def run_inplace(self, op, target, inputs, attrs):
        out = self.run(op, inputs, attrs)
        overwrite(op.name, target, out)
        return target

    def grad(self, outputs, inputs, grad_outputs, no_grad_vars):
        """What `autograd.grad` is in a Program: Variables."""
        return gradients(outputs, inputs, grad_outputs, no_grad_vars)

    def own_gradient(self, where, forward, inputs, backward):
        """forward(*inputs), whose gradient is what backward makes of those of its results; see PyLayer."""
        from gpuflow.static.calls import with_own_gradient

        return with_own_gradient(where, forward, inputs, backward)

    def training_call(self, function, args, kwargs):
        """See dispatch.trains: the program remembers the call, for `Program.clone(for_test=True)`."""
        call = Call(programs.default_main_program().current_block(), function, args, kwargs)
        if call.end > call.begin:
            call.block.program.calls.append(call)
        return call.result

    def keep(self, tensor: Tensor) -> None:
        """A layer's buffer: the startup program gives it the numbers that it has now. One that ops of the program make
        (a Variable) is made anew in every run."""
        if isinstance(tensor, Variable):
            return
        tensor.persistable = True
        programs.default_startup_program().current_block().append(Initialise(tensor, _Given(tensor._array.copy())))


def inferred(program, op, inputs, attrs) -> tuple[list, list[Spec], bool]:
    """(the Values that an op reads here, what its results are, whether its forward gives a tuple of them)."""
    if op.promotes is not None and _mixed(inputs[op.promotes]):
        inputs = dispatch.promoted(op, inputs)
    values = [x._value if isinstance(x, Variable) else program.capture(x) if isinstance(x, Tensor) else x
              for x in inputs]
    given = [Spec(v.shape, v.dtype) if isinstance(v, Value) else v for v in values]
    try:
        specs = op.infer(*given, **attrs)
    except Exception as error:
        raise op.explain_failure(given, attrs, error) from error
    several = type(specs) is not Spec    # such as split, whose results count by its attributes
    return values, list(specs) if several else [specs], several


def overwrite(where, target, out: Variable) -> None:
    """Makes `target`, a Variable or a captured tensor, hold `out` from this place of the program on."""
    main = programs.default_main_program()
    if out._value.dtype is not target.dtype:
        raise ValueError(explain(f"{where} in place", f"a result of {target.dtype.name}, as the tensor is",
                                 out.dtype.name, "the op that is not in place"))
    if isinstance(target, Variable):
        main.unmade.discard(id(target._value))
        main.rebind(target, out._value)
        return
    if -1 not in out.shape and out.shape != target.shape:
        raise ValueError(explain(f"{where} in place", f"a result of shape {list(target.shape)}, as {target.name} is",
                                 str(list(out.shape))))
    main.capture(target)
    main.current_block().append(Write(out._value, main.values[target.name]))
    if main.current_block() is main.global_block():    # a branch that may not run leaves it to the memory itself
        main.newest(target, out._value)


@contextlib.contextmanager
def results_into(where: str, targets, stop_gradient: bool = True):
    """Yields the Values that an operator is to compute for `targets`, Variables or tensors, which then hold them.

    A Variable of `create_var` that nothing computes yet is computed itself; any other is overwritten.
    """
    program, fresh = programs.default_main_program(), []
    for t in targets:
        if isinstance(t, Variable) and id(t._value) in program.unmade:
            program.unmade.discard(id(t._value))
            t._value.stop_gradient = stop_gradient
            fresh.append(None)
        else:
            shape = t._value.shape if isinstance(t, Variable) else tuple(t.shape)
            fresh.append(program.variable(f"{where}.out", shape, t.dtype, stop_gradient))
    yield [t._value if new is None else new._value for t, new in zip(targets, fresh)]
    for t, new in zip(targets, fresh):
        if new is not None:
            overwrite(where, t, new)


def _mixed(inputs) -> bool:
    """True when the operands need dispatch.promoted: their dtypes differ, or a number is not of the tensor's kind."""
    kind = None
    for x in inputs:
        if isinstance(x, Tensor):
            if kind is None:
                kind = x.dtype
            elif x.dtype is not kind:
                return True
        elif type(x) is float:
            if kind is None or not kind.is_differentiable:
                return True
        elif type(x) is int:
            if kind is None or kind.dtype.kind not in "fiuc":
                return True
        elif x is not None:
            return True
    return kind is None


_build = Build()


def enable_static() -> None:
    """From here on ops build the default main program, until `disable_static`."""
    if dispatch.in_dynamic_mode():
        dispatch.push(_build)


def disable_static(place=None) -> None:
    """Back to eager mode. place: the device that becomes the current one."""
    if not dispatch.in_dynamic_mode():
        dispatch.pop()
    if place is not None:
        device.set_device(place)


def building() -> bool:
    """True in static mode."""
    return dispatch.mode() is _build


def tracing(main_program, startup_program=None):
    """A context in which ops are appended to these programs, whatever the mode outside is."""
    return _Tracing(main_program, startup_program or programs.Program())


class _Tracing:
    def __init__(self, *pair):
        self.guard = programs.program_guard(*pair)

    def __enter__(self):
        dispatch.push(_build)
        return self.guard.__enter__()

    def __exit__(self, *error):
        dispatch.pop()
        return self.guard.__exit__(*error)


def blank(shape, dtype, place):
    """An array of zeros without memory, for a tensor that the startup program will fill."""
    return device.module_for(place).broadcast_to(device.module_for(place).zeros((), dtype.dtype), tuple(shape))


def await_startup(tensor: Tensor, initializer) -> Tensor:
    """Enters a tensor over `blank` memory in both programs: the startup program gives it its first numbers."""
    tensor._pending = True
    tensor.persistable = True
    programs.default_startup_program().current_block().append(Initialise(tensor, initializer))
    programs.default_main_program().capture(tensor)
    return tensor


class Call:
    """A call in training mode and the operators [begin, end) of the block that it became.

    given: {id(Variable): the Value it meant} of the arguments, since a later op in place gives it another. policy: the
    casting policy that it was made under.
    """

    def __init__(self, block, function, args, kwargs):
        self.block, self.function, self.args, self.kwargs = block, function, args, kwargs
        self.given = {id(x): x._value for x in (*args, *kwargs.values()) if isinstance(x, Variable)}
        self.policy = dispatch.casting_policy()
        self.begin = len(block.ops)
        self.result = function(*args, **kwargs)
        self.end = len(block.ops)


def global_variable(shape, value, dtype, persistable=False, name=None, place=None):
    """A tensor that lives across runs and that the startup program fills with `value`, a number or an array."""
    tensor = Tensor(blank(shape, dtypes.convert(dtype), device.current_place() if place is None else place),
                    name=name or unique_name.generate("global_var"))
    await_startup(tensor, _Given(value))
    return tensor


def create_global_var(shape, value, dtype, persistable=False, force_cpu=False, name=None):
    """A tensor that lives across runs, filled with the number `value`: by the startup program, in eager mode at once.

    persistable, force_cpu: taken for Paddle's sake; it is saved with the program, and where the Executor is.
    """
    kind, shape = dtypes.convert(dtype), programs.sizes("create_global_var", shape)
    if None in shape or not isinstance(value, bool | int | float):
        raise ValueError(explain("create_global_var", "known sizes and a number", f"{list(shape)} and {value!r}"))
    if not dispatch.in_dynamic_mode():
        return global_variable(shape, value, kind, persistable, name)
    return Tensor(device.module_for(device.current_place()).full(shape, value, kind.dtype),
                  name=name or unique_name.generate("global_var"))


class _Given:
    """First numbers that are known: an array, or one number for every place."""

    def __init__(self, value):
        self.value = np.asarray(value) if isinstance(value, bool | int | float) else value

    def new_array(self, shape, dtype, place):
        array = device.move(self.value, place)
        return device.module_for(place).broadcast_to(array, shape).astype(dtype.dtype)

    def __repr__(self):
        return f"{self.value}" if self.value.ndim == 0 else f"array{list(self.value.shape)}"
