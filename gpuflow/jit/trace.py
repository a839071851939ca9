"""to_static: a function or a layer's forward is run once on Variables, and from then on its Program is run."""
import functools
import inspect
from typing import NamedTuple

from gpuflow import device, dispatch, unique_name
from gpuflow.autograd import tape
from gpuflow.autograd.py_layer import PyLayer
from gpuflow.errors import explain
from gpuflow.nn.layer import Layer
from gpuflow.ops.rows import SparseRows
from gpuflow.static import build
from gpuflow.static.backward import gradients
from gpuflow.static.input_spec import InputSpec
from gpuflow.static.plan import Plan
from gpuflow.static.program import Program
from gpuflow.static.value import Value, Variable
from gpuflow.structure import filled, leaves
from gpuflow.tensor import Tensor

PROGRAMS = 16   # that one function keeps, for different arguments

_enabled = True


class _Homes:
    """Stands where a scope does: a captured tensor is itself."""

    @staticmethod
    def tensor(value: Value) -> Tensor:
        return value.home


class Traced:
    """A function as a Program, for one kind of arguments.

    inputs: the Variables that stand for the tensors among the arguments. structure: the result, in Variables.
    """

    def __init__(self, program: Program, inputs: list[Variable], structure):
        self.program, self.inputs, self.structure = program, inputs, structure
        self.outputs = [program.value_of(x) for x in leaves(structure) if isinstance(x, Tensor)]
        self._ways: dict = {}

    # ---- running ---------------------------------------------------------------------------------------------------

    def __call__(self, tensors: list[Tensor]):
        """The result of the function for these tensors, recorded where a gradient is wanted."""
        sources = [t for t in self.program.homes() if t.dtype.is_differentiable and not t.stop_gradient]
        if dispatch.recording() and (sources or any(not t.stop_gradient for t in tensors)):
            found = _Recorded.apply(self, len(tensors), *tensors, *sources)
        else:
            place = device.place_of(tensors[0]._array) if tensors else device.current_place()
            found = [Tensor(a) for a in self.way(place, []).plan.run(self.fed(tensors), _Homes)]
        made = iter(found)
        return filled(self.structure, lambda x: next(made) if isinstance(x, Tensor) else x)

    def fed(self, tensors) -> dict:
        """{name: array} for the inputs."""
        return {x.name: t._array for x, t in zip(self.inputs, tensors)}

    def way(self, place, wanted: list[Value]) -> "_Way":
        """How to compute the results, and the gradients of the Values in `wanted`."""
        key = (place, *map(id, wanted))
        found = self._ways.get(key)
        if found is None:
            found = self._ways[key] = self._found(place, wanted)
        return found

    def _found(self, place, wanted) -> "_Way":
        program = self.program.clone()
        forward = len(program.global_block().ops)
        smooth = [k for k, v in enumerate(self.outputs) if v.dtype.is_differentiable and not v.stop_gradient]
        smooth = smooth if wanted else []
        starts = [program.variable(f"start_{k}", self.outputs[k].shape, self.outputs[k].dtype, is_data=True)
                  for k in smooth]
        back = gradients([program.seen(self.outputs[k]) for k in smooth], [program.seen(v) for v in wanted],
                         starts) if smooth else [None] * len(wanted)
        grads = [None if g is None else g._value for g in back]
        plan = Plan(program.global_block().ops, [*self.outputs, *(g for g in grads if g is not None)], place,
                    forward)
        return _Way(plan, {k: plan.at(start._value) for k, start in zip(smooth, starts)}, grads)


class _Way(NamedTuple):
    """plan: of the results, then the gradients. starts: {output: place in env of the gradient it is given}. grads: a
    Value or None per wanted one."""

    plan: Plan
    starts: dict
    grads: list


class _Recorded(PyLayer):
    """A run of a traced program in the graph of eager mode: the walk back runs the rest of the same plan."""

    @staticmethod
    def forward(ctx, traced: Traced, count: int, *tensors):
        inputs, sources = tensors[:count], tensors[count:]
        values = [x._value for x in traced.inputs] + [traced.program.values[t.name] for t in sources]
        wanted = [v for v, t in zip(values, tensors) if not t.stop_gradient]
        ctx.slots = [None if t.stop_gradient else k for k, t in enumerate(tensors)]
        ctx.way = traced.way(device.place_of(tensors[0]._array), wanted)
        plan = ctx.way.plan
        ctx.env = plan.start(traced.fed(inputs), _Homes)
        plan.advance(ctx.env, 0, plan.forward_steps)
        out = [Tensor(a) for a in plan.found(ctx.env)[:len(traced.outputs)]]
        ctx.mark_non_differentiable(*[x for k, x in enumerate(out) if k not in ctx.way.starts])
        return out

    @staticmethod
    def backward(ctx, *grads):
        if tape.is_grad_enabled():
            raise RuntimeError(explain("a gradient through a traced function", "one derivative", "a second one",
                                       "the function itself, without to_static"))
        (plan, starts, wanted), env = ctx.way, list(ctx.env)
        for k, place in starts.items():
            env[place] = grads[k]._array
        plan.advance(env, plan.forward_steps, len(plan.steps))
        arrays = iter(plan.found(env)[len(grads):])
        found = iter([None if g is None else _tensor(next(arrays)) for g in wanted])
        return [None if k is None else next(found) for k in ctx.slots]


def _tensor(a):
    return None if a is None else Tensor(a.dense() if isinstance(a, SparseRows) else a)


def trace(function, arguments, specs: list[InputSpec]) -> Traced:
    """Runs `function` once on Variables. arguments(variables): what it is called with."""
    program, inputs = Program(), []
    with build.tracing(program), unique_name.guard():
        for k, spec in enumerate(specs):
            name = spec.name if spec.name and spec.name not in program.values else f"input_{k}"
            shape = tuple(None if s == -1 else s for s in spec.shape)
            inputs.append(program.variable(name, shape, spec.dtype, spec.stop_gradient, is_data=True, exact=True))
        return Traced(program, inputs, function(*arguments(inputs)))


class StaticFunction:
    """What `to_static` makes of a function: it is traced once per kind of arguments, then its Program runs.

    input_spec: InputSpecs of the positional arguments; without it each new shape is traced for itself. What is no
    tensor counts by value. A decision in Python on a tensor's numbers is an error that says what to use.
    """

    def __init__(self, function, input_spec=None, layer: Layer | None = None):
        self._function, self._input_spec, self._layer = function, input_spec, layer
        self._traced: dict = {}
        self.__name__ = ""
        functools.update_wrapper(self, function)

    def __get__(self, instance, owner):
        if instance is None:
            return self
        bound = instance.__dict__.get("_to_static")
        bound = {} if bound is None else bound
        if self not in bound:
            layer = instance if isinstance(instance, Layer) else None
            bound[self] = StaticFunction(self._function.__get__(instance, owner), self._input_spec, layer)
            object.__setattr__(instance, "_to_static", bound)
        return bound[self]

    def __call__(self, *args, **kwargs):
        if not _enabled or build.building():
            return self._function(*args, **kwargs)
        given = (args, kwargs)
        tensors = [x for x in leaves(given) if isinstance(x, Tensor) or device.is_array(x)]
        tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in tensors]
        return self._for(given, tensors)(tensors)

    def _for(self, given, tensors) -> Traced:
        specs = self._specs(tensors)
        modes = () if self._layer is None else tuple(
            layer.training for layer in self._layer.sublayers(include_self=True))
        others = filled(given, lambda x: "tensor" if isinstance(x, Tensor) or device.is_array(x) else x)
        frozen = tuple(p.stop_gradient for p in self._layer.parameters()) if self._layer is not None else ()
        key = (tuple(specs), modes, frozen, _hashable(others))
        found = self._traced.pop(key, None)
        if found is None:
            def arguments(inputs):
                made = iter(inputs)
                args, kwargs = filled(given, lambda x: next(made) if isinstance(x, Tensor) or device.is_array(x)
                                       else x)
                return (*args, kwargs)

            def function(*args):
                return self._function(*args[:-1], **args[-1])

            found = trace(function, arguments, specs)
            while len(self._traced) >= PROGRAMS:
                del self._traced[next(iter(self._traced))]
        self._traced[key] = found
        return found

    def _specs(self, tensors) -> list[InputSpec]:
        said = [s for s in leaves(self._input_spec or []) if isinstance(s, InputSpec)]
        specs = []
        for k, t in enumerate(tensors):
            spec = said[k] if k < len(said) else None
            if spec is not None and not spec.takes(t):
                raise ValueError(explain(self.__name__, f"argument {k} as in input_spec: {spec}",
                                         f"{t.dtype.name} {list(t.shape)}"))
            shape = t.shape if spec is None else spec.shape
            specs.append(InputSpec(shape, t.dtype, None if spec is None else spec.name, t.stop_gradient))
        return specs

    # ---- what can be looked at -------------------------------------------------------------------------------------

    @property
    def dygraph_function(self):
        """The function as it was."""
        return self._function

    @property
    def inputs(self):
        return self.concrete_program.inputs

    @property
    def concrete_program(self) -> Traced:
        """The trace for `input_spec`, or else the last one; ValueError where there is neither."""
        if self._input_spec is not None:
            return self.traced_by(self._input_spec)
        if not self._traced:
            raise ValueError(explain(self.__name__, "a call, or input_spec", "neither",
                                     "to_static(function, input_spec=[InputSpec(...)])"))
        return next(reversed(self._traced.values()))

    def traced_by(self, input_spec) -> Traced:
        """The trace for arguments of these specs."""
        specs = [s if isinstance(s, InputSpec) else InputSpec.from_tensor(s) for s in input_spec
                 if isinstance(s, InputSpec | Tensor)]

        def arguments(inputs):
            made = iter(inputs)
            return [next(made) if isinstance(s, InputSpec | Tensor) else s for s in input_spec]

        return trace(self._function, arguments, specs)

    @property
    def main_program(self) -> Program:
        return self.concrete_program.program

    def rollback(self):
        """The function as it was."""
        return self._function

    @property
    def code(self) -> str:
        """The function's own text: gpuflow traces it and rewrites nothing."""
        return inspect.getsource(self._function)


def _hashable(x):
    """Something equal for arguments that trace to the same program."""
    if isinstance(x, list | tuple):
        return type(x).__name__, tuple(_hashable(item) for item in x)
    if isinstance(x, dict):
        return tuple((key, _hashable(item)) for key, item in sorted(x.items(), key=lambda pair: str(pair[0])))
    try:
        hash(x)
    except TypeError:
        return id(x)
    return type(x).__name__, x


def to_static(function=None, input_spec=None, build_strategy=None, backend=None, **kwargs):
    """Decorator for functions, methods and layers: calls run a traced Program; see StaticFunction.

    A layer comes back as it is, with its forward traced. build_strategy, backend and Paddle's other options choose
    among ways of compiling that gpuflow does not have; `full_graph` is always so.
    """
    if backend not in (None, "CINN"):
        raise ValueError(explain("to_static", "backend None or 'CINN'", repr(backend)))
    unknown = set(kwargs) - {"full_graph", "property"}
    if unknown:
        raise TypeError(explain("to_static", "full_graph= or property=", f"unknown {sorted(unknown)}"))

    def decorate(target):
        if isinstance(target, Layer):
            target.forward = StaticFunction(target.forward, input_spec, target)
            return target
        if isinstance(target, StaticFunction):
            return target
        owner = getattr(target, "__self__", None)
        return StaticFunction(target, input_spec, owner if isinstance(owner, Layer) else None)

    return decorate if function is None else decorate(function)


def not_to_static(function=None):
    """Marks a function that is not to be rewritten. gpuflow rewrites none: within a traced one it is traced along."""
    return (lambda target: target) if function is None else function


def ignore_module(modules) -> None:
    """Accepted: gpuflow rewrites no code, so there is nothing to leave out."""


def enable_to_static(enable_to_static_bool: bool) -> None:
    """False: functions made by `to_static` run as they were written, for debugging."""
    global _enabled
    if not isinstance(enable_to_static_bool, bool):
        raise TypeError(explain("enable_to_static", "True or False", repr(enable_to_static_bool)))
    _enabled = enable_to_static_bool


def set_code_level(level: int = 100, also_to_stdout: bool = False) -> None:
    """Accepted: it says which rewritten code Paddle logs, and gpuflow rewrites none."""


def set_verbosity(level: int = 0, also_to_stdout: bool = False) -> None:
    """Accepted: it says how much Paddle logs of its rewriting, and gpuflow rewrites no code."""
