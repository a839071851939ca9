"""What a Program is made of. An Operator names the Values it reads and computes, and how: `bind` gives the function
that the Executor calls, `backward` appends the operators of its gradient.

`bind(plan)` gets the plan that is being made (plan.py): ``plan.at(value)`` is the place of a Value in the list of
a run's arrays, `env`; ``plan.constant(x)`` a place that always holds x; ``plan.aspect(value, "shape")`` one that holds
the shape a Value had, after its array is gone. ``env[0]`` is the Run: scope, place and array module.
"""

from copy import copy

import numpy as np

from gpuflow import dispatch
from gpuflow.errors import explain
from gpuflow.ops.registry import OpDef, Spec, fit
from gpuflow.ops.rows import SparseRows
from gpuflow.static.elements import NotElementwise
from gpuflow.static.value import Value
from gpuflow.structure import listed
from gpuflow.tensor import Tensor

scopes: list[str] = []    # of static.name_scope, for whoever reads a program


class Operator:
    """inputs: Values, None, or Python numbers. outputs: Values. attrs: shown to readers. effect: it must run although
    nobody reads what it computes."""

    effect = False
    training = False     # True for gradients and optimizer steps, which a program for testing goes without

    def __init__(self, type: str, inputs, outputs, attrs=None):
        self.type, self.inputs, self.outputs = type, list(inputs), list(outputs)
        self.attrs = attrs or {}
        self.scope = "/".join(scopes)

    def reads(self):
        """The Values that must be there before it runs."""
        return [x for x in self.inputs if isinstance(x, Value)]

    def needs(self):
        """The Values that must have been computed before: those that it reads, and those whose sizes it asks for."""
        return self.reads()

    def writes(self):
        """The Values that it computes."""
        return [x for x in self.outputs if x is not None]

    def last_to_read(self, places: list[int]) -> None:
        """Told after `bind`: what lies there is dropped when the operator has run; it may do so earlier."""

    def bind(self, plan):
        """step(env): runs the operator once."""
        raise NotImplementedError

    def explained(self, error: Exception, array_of) -> Exception:
        """The error to raise in place of one that a run ended in here. array_of(value): what the run holds of it."""
        error.add_note(f"in {self}")
        return error

    def ends(self):
        """The Values through whose gradients the way back comes in, None for one without."""
        return self.outputs

    def formula(self, xp, of):
        """What one element of each output is: Cells (elements.py), made of the Cells that `of` gives for what is read;
        None for an output that is None. NotElementwise for an operator without such a formula."""
        raise NotElementwise(self.type)

    def over(self) -> tuple | None:
        """The shape of the arrays whose elements `formula` is about, None for an operator without one."""
        return None

    def like(self, k: int) -> Value:
        """The Value whose shape output k has."""
        return self.outputs[k]

    def backward(self, block, grads, wanted):
        """Appends the gradient to `block`. grads: the Value of the gradient of each of `ends()`, or None. wanted: a
        bool per input. Yields (Value of an input, Value of a gradient that reaches it)."""
        raise NotImplementedError(explain(f"a gradient through {self.type}", "an operator that has one", "one without",
                                          "x.stop_gradient = True on what it computes"))

    def moved(self, place_of: dict, inside) -> "Operator":
        """The operator, reading what took the place of Values: place_of is {id(Value): Value}. inside(block) gives a
        block of its own in that form."""
        if not any(id(x) in place_of for x in self.inputs):
            return self
        twin = copy(self)
        twin.inputs = [place_of.get(id(x), x) for x in self.inputs]
        return twin

    # what code written for Paddle looks at

    @property
    def input_arg_names(self) -> list:
        return [v.name for v in self.reads()]

    @property
    def output_arg_names(self) -> list:
        return [v.name for v in self.writes()]

    @property
    def attr_names(self) -> list:
        return list(self.attrs)

    def attr(self, name: str):
        return self.attrs[name]

    def has_attr(self, name: str) -> bool:
        return name in self.attrs

    def __str__(self):
        given = [_told(x) for x in self.inputs] + [f"{k}={_told(v)}" for k, v in self.attrs.items()]
        outs = ", ".join("_" if v is None else str(v) for v in self.outputs)
        return f"{f'[{self.scope}] ' if self.scope else ''}{outs or '-'} = {self.type}({', '.join(given)})"

    __repr__ = __str__


def _told(x) -> str:
    return x.name if isinstance(x, Value) else repr(x)


def text_of(block) -> str:
    """A block as a person reads it."""
    program = block.program
    lines = [f"block {block.idx}" + (f", inside block {block.parent_idx}" if block.parent else "") + ":"]
    if block.parent is None:
        for value in dict.fromkeys(program.values.values()):
            if value.is_data:
                lines.append(f"    data {value}")
            elif value.home is not None:
                lines.append(f"    {'parameter' if hasattr(value.home, 'optimize_attr') else 'tensor'} {value}"
                             f"{', frozen' if hasattr(value.home, 'optimize_attr') and value.stop_gradient else ''}")
    return "\n".join(lines + [f"    {operator}" for operator in block.ops])


class Apply(Operator):
    """One op of the registry. several: its forward gives a tuple; told where there is one output of many possible."""

    def __init__(self, op: OpDef, inputs, outputs, attrs, several: bool = False):
        super().__init__(op.name, inputs, outputs, attrs)
        self.op, self.several = op, several or len(outputs) > 1 or len(op.outputs) > 1

    def mark_stops(self, recording: bool = True) -> None:
        """Says of each result whether gradients stop there: where none is wanted further back, or there is none."""
        stop = not recording or self.op.grad_function is None or all(v.stop_gradient for v in self.reads())
        for i, v in enumerate(self.outputs):
            v.stop_gradient = stop or i in self.op.no_grad_outputs

    def bind(self, plan):
        forward, xp, attrs = self.op.forward, plan.xp, self.attrs
        ins = [plan.at(x) for x in self.inputs]
        outs = [plan.at(v) for v in self.outputs]
        array_type = plan.array_type
        if self.several:
            def several(env):
                for i, a in zip(outs, forward(xp, *[env[i] for i in ins], **attrs)):
                    env[i] = a if type(a) is array_type else xp.asarray(a)
            return several
        out = outs[0]
        if len(ins) == 1 and not attrs:
            x = ins[0]

            def unary(env):
                a = forward(xp, env[x])
                env[out] = a if type(a) is array_type else xp.asarray(a)
            return unary
        if len(ins) == 2 and not attrs:
            x, y = ins

            def binary(env):
                a = forward(xp, env[x], env[y])
                env[out] = a if type(a) is array_type else xp.asarray(a)
            return binary

        def any_number(env):
            a = forward(xp, *[env[i] for i in ins], **attrs)
            env[out] = a if type(a) is array_type else xp.asarray(a)
        return any_number

    def explained(self, error, array_of):
        specs = [Spec(array_of(x).shape, x.dtype) if isinstance(x, Value) else x for x in self.inputs]
        return super().explained(self.op.explain_failure(specs, self.attrs, error), array_of)

    def over(self):
        return self.outputs[0].shape

    def formula(self, xp, of):
        if self.adds():
            return [xp.add(of(self), of(self.inputs[self.op.added]))]
        found = self.op.forward(xp, *[of(x) for x in self.inputs], **self.attrs)
        return list(found) if self.several else [found]

    def adds(self) -> bool:
        """True where the op adds one of its inputs to what it makes of the others."""
        return self.op.added is not None and self.inputs[self.op.added] is not None

    def without_added(self) -> "Apply":
        """The operator without the input that it adds at the end."""
        twin = copy(self)
        twin.inputs = [None if k == self.op.added else x for k, x in enumerate(self.inputs)]
        return twin

    def backward(self, block, grads, wanted):
        op = self.op
        if op.grad_function is None:
            return
        outputs = _gradients_of(block, self.inputs, wanted)
        block.append(Gradient(self, grads, outputs, wanted))
        yield from _reached(self.inputs, outputs)


def gradient_of(block, value: Value) -> Value:
    """A new Value for a gradient that reaches `value`; it can be differentiated itself."""
    name = f"{value.name}@GRAD"
    free = name if name not in block.program.values else block.program.free(name)
    found = block.program.variable(free, value.shape, value.dtype, stop_gradient=False, exact=True)._value
    found.source = value
    return found


def _gradients_of(block, inputs, wanted) -> list:
    """A new Value for the gradient of each input that wants one, None for the others."""
    return [gradient_of(block, x) if want else None for x, want in zip(inputs, wanted)]


def _reached(inputs, gradients):
    """(input, gradient) of those that have one."""
    return [(x, g) for x, g in zip(inputs, gradients) if g is not None]


class Gradient(Operator):
    """The gradient function of an op of the registry, over what the forward operator read and computed."""

    training = True

    def __init__(self, forward: Apply, grads, outputs, wanted):
        self.forward, self.wanted, self.grads = forward, list(wanted), grads
        kept = [x for kind, x in self._saved() if kind in ("array", "output")]
        super().__init__(f"{forward.type}_grad", _distinct(grads, kept), outputs, forward.attrs)
        op = forward.op
        self.op = op.over_complex() if forward.outputs[0].dtype.is_complex else op

    def _saved(self):
        """(kind, Value) of everything that the gradient function looks at; kind as in OpDef.save_plan."""
        op, inputs = self.forward.op, self.forward.inputs
        for _, kind, where, for_input in op.save_plan:
            if kind == "output":
                yield kind, self.forward.outputs[where]
            elif for_input is None or self.wanted[for_input]:
                for x in inputs[len(op.inputs):] if where < 0 else [inputs[where]]:
                    yield kind, x

    def needs(self):
        sized = [x for x, g in zip(self.forward.inputs, self.outputs) if g is not None]
        sized += [x for kind, x in self._saved() if kind == "shape"]
        sized += self.forward.outputs if self.forward.several else ()
        return [*self.inputs, *(x for x in sized if isinstance(x, Value) and None in x.shape)]

    def _given(self, plan):
        """given(env): what the gradient function is called with, (gradients, saved); gradients are None where nothing
        came back in this run."""
        op, inputs, wanted = self.op, self.forward.inputs, self.wanted
        fields = []
        for field, kind, where, for_input in op.save_plan:
            if for_input is not None and not wanted[for_input]:
                fields.append((field, plan.constant(None), False))
            elif kind == "output":
                fields.append((field, plan.at(self.forward.outputs[where]), False))
            elif where < 0:
                fields.append((field, [_place(plan, kind, x) for x in inputs[len(op.inputs):]], True))
            else:
                fields.append((field, _place(plan, kind, inputs[where]), False))
        several, xp, new = self.forward.several, plan.xp, op.saved_type
        gs = [None if g is None else plan.at(g) for g in self.grads]
        filled = [None if k in op.internal else (plan.aspect(v, "shape"), plan.aspect(v, "dtype"))
                  for k, v in enumerate(self.forward.outputs)] if several else ()

        def given(env):
            saved = new()
            saved.needs = wanted
            for field, i, many in fields:
                setattr(saved, field, [env[k] for k in i] if many else env[i])
            if not several:
                return env[gs[0]], saved
            return tuple([env[i] if i is not None and env[i] is not None else
                          None if spec is None else xp.zeros(env[spec[0]], env[spec[1]])
                          for i, spec in zip(gs, filled)]), saved
        return given

    def bind(self, plan):
        op, inputs, given = self.op, self.forward.inputs, self._given(plan)
        outs = [(k, plan.at(g), plan.aspect(x, "shape"), plan.aspect(x, "dtype"))
                for k, (x, g) in enumerate(zip(inputs, self.outputs)) if g is not None]
        into = [plan.grad_slot(g) if k in op.writes and g is not None else plan.constant(None)
                for k, g in enumerate(self.outputs)]
        xp, function, attrs, array_type = plan.xp, op.grad_function, self.attrs, plan.array_type

        def step(env):
            g, saved = given(env)
            if g is None:
                for _, out, _, _ in outs:
                    env[out] = None
                return
            saved.into = [env[i] for i in into]
            found = function(xp, g, saved, **attrs)
            for k, out, shape, kind in outs:
                a = found[k]
                if type(a) is not array_type and a is not None and type(a) is not SparseRows:
                    a = xp.asarray(a)    # what NumPy makes of 0-d arrays
                if a is None or type(a) is SparseRows or (a.shape == env[shape] and a.dtype == env[kind]):
                    env[out] = a
                else:
                    env[out] = fit(xp, a, env[shape], env[kind])
        return step

    def over(self):
        return self.forward.outputs[0].shape

    def formula(self, xp, of):
        op, inputs = self.forward.op, self.forward.inputs
        if self.forward.adds() and self.wanted[op.added]:
            whole = [None] * len(inputs)
            whole[op.added] = of(self.grads[0])
            return whole
        saved = op.saved_type()
        saved.needs, saved.into = self.wanted, [None] * len(inputs)
        for field, kind, where, for_input in op.save_plan:
            source = self.forward.outputs[where] if kind == "output" else inputs[where]
            if kind == "shape" or where < 0:
                raise NotElementwise(f"{self.type} reads {field}")
            kept = for_input is None or self.wanted[for_input]
            setattr(saved, field, source.dtype.dtype if kind == "dtype" else of(source) if kept else None)
        gs = tuple(of(g) for g in self.grads)
        found = op.grad_function(xp, gs if self.forward.several else gs[0], saved, **self.attrs)
        return [None if v is None else xp.cast(a, x.dtype.dtype) for x, v, a in zip(inputs, self.outputs, found)]

    def like(self, k):
        return self.forward.inputs[k]

    def without_added(self) -> "Gradient | None":
        """The gradients of the other inputs, None where nobody wants one."""
        added = self.forward.op.added
        twin = copy(self)
        twin.wanted = [want and k != added for k, want in enumerate(self.wanted)]
        twin.outputs = [None if k == added else v for k, v in enumerate(self.outputs)]
        return twin if any(twin.wanted) else None

    def backward(self, block, grads, wanted):
        return _gradient_of_gradient(self, block, grads, wanted)

    def on_tensors(self, plan):
        """See GradientAgain."""
        given, op, xp, attrs = self._given(plan), self.op, plan.xp, self.attrs
        targets = [None if g is None else (plan.aspect(x, "shape"), plan.aspect(x, "dtype"))
                   for x, g in zip(self.forward.inputs, self.outputs)]

        def function(env, create_graph):
            g, saved = given(env)
            if g is None:
                return [None] * len(targets)
            sizes = [None if t is None else (env[t[0]], env[t[1]]) for t in targets]
            return dispatch.mode().gradient_on_tensors(op, xp, attrs, g, saved, sizes)
        return function


class GradientAgain(Operator):
    """The gradient of a gradient operator, of a second or higher order: the way back of eager mode through the ops of
    the gradient function.

    `on_tensors(plan)`, which Gradient has as well, is function(env, create_graph): the outputs as Tensors, where env
    holds Tensors in the places of the inputs.
    """

    training = True

    def __init__(self, inner, grads, outputs):
        self.inner, self.grads = inner, grads
        super().__init__(f"{inner.type}_grad", _distinct(grads, inner.inputs), outputs, inner.attrs)

    def needs(self):
        return [*self.inputs, *self.inner.needs()]

    def on_tensors(self, plan):
        inner = self.inner.on_tensors(plan)
        starts = [None if g is None else plan.at(g) for g in self.grads]
        asked = [None if g is None else plan.at(x) for x, g in zip(self.inner.inputs, self.outputs)]

        def function(env, create_graph):
            return dispatch.mode().pull_back(
                lambda: inner(env, True), [None if i is None else env[i] for i in starts],
                [None if i is None else env[i] for i in asked], create_graph)
        return function

    def bind(self, plan):
        function = self.on_tensors(plan)
        ins = [(plan.at(x), not x.dtype.is_differentiable) for x in self.inputs]
        outs = [None if g is None else plan.at(g) for g in self.outputs]

        def step(env):
            there = env.copy()
            for i, stop in ins:
                there[i] = None if env[i] is None else Tensor(env[i], stop_gradient=stop)
            for out, t in zip(outs, function(there, False)):
                if out is not None:
                    env[out] = None if t is None else t._array
        return step

    def backward(self, block, grads, wanted):
        return _gradient_of_gradient(self, block, grads, wanted)


def _gradient_of_gradient(inner, block, grads, wanted):
    outputs = _gradients_of(block, inner.inputs, wanted)
    block.append(GradientAgain(inner, grads, outputs))
    return _reached(inner.inputs, outputs)


def _distinct(*parts) -> list:
    """The Values in some lists, each once."""
    return list(dict.fromkeys(x for part in parts for x in part if isinstance(x, Value)))


def _place(plan, kind, x):
    return plan.at(x) if kind == "array" else plan.aspect(x, kind)


class Accumulate(Operator):
    """The sum of the gradients that reach one Value; those that are None in a run do not count."""

    training = True

    def __init__(self, inputs, output: Value):
        super().__init__("sum", inputs, [output])

    def over(self):
        return self.outputs[0].shape

    def formula(self, xp, of):
        total = of(self.inputs[0])
        for x in self.inputs[1:]:
            total = total + of(x)
        return [total]

    def bind(self, plan):
        ins, out, xp = [plan.at(x) for x in self.inputs], plan.at(self.outputs[0]), plan.xp

        def step(env):
            total = None
            for i in ins:
                total = plus(total, env[i])
            env[out] = xp.asarray(total) if isinstance(total, np.generic) else total    # of 0-d arrays
        return step

    def backward(self, block, grads, wanted):
        return [(x, grads[0]) for x, want in zip(self.inputs, wanted) if want]


def plus(a, b):
    """The sum of two gradients, either of which may be None."""
    if a is None or b is None:
        return b if a is None else a
    if type(a) is SparseRows and type(b) is SparseRows:
        return a.plus(b)
    return (a.dense() if type(a) is SparseRows else a) + (b.dense() if type(b) is SparseRows else b)


class Ones(Operator):
    """Where a walk back starts: ones in the shape of the target."""

    training = True

    def __init__(self, target: Value, output: Value):
        super().__init__("ones_like", [target], [output])

    def bind(self, plan):
        target, out, xp = plan.at(self.inputs[0]), plan.at(self.outputs[0]), plan.xp

        def step(env):
            env[out] = xp.ones(env[target].shape, env[target].dtype)
        return step


class Write(Operator):
    """Puts what was computed into a parameter's, buffer's or global variable's own memory."""

    effect = True

    def __init__(self, value: Value, home: Value):
        super().__init__("write", [value], [], {"into": home})
        self.home = home
        home.written = home.persistable = True

    def bind(self, plan):
        source, home = plan.at(self.inputs[0]), self.home

        def step(env):
            env[0].tensor(home)._write(env[source])
        return step


class Initialise(Operator):
    """Gives a parameter or global variable its first numbers; a part of the startup program.

    They are drawn in the dtype that the tensor had when it was made, and then brought to the one it has now.
    """

    effect = True

    def __init__(self, tensor: Tensor, initializer):
        super().__init__(f"initialise {tensor.name}", [], [], {"by": initializer})
        self.tensor, self.initializer, self.drawn_as = tensor, initializer, tensor.dtype

    def __str__(self):
        shape = list(self.tensor.shape)
        return f"{self.tensor.name}: {self.tensor.dtype.name} {shape} = initialise({self.initializer})"

    def bind(self, plan):
        tensor, initializer, drawn_as = self.tensor, self.initializer, self.drawn_as
        source = getattr(initializer, "source", None)   # a parameter whose numbers these are made of

        def step(env):
            run = env[0]
            array = (initializer.new_array(tuple(tensor.shape), drawn_as, run.place) if source is None
                     else initializer.of(run.scope.find_var(source.name)._tensor._array))
            run.scope.initialise(tensor, array.astype(tensor.dtype.dtype, copy=False))
        return step


class Python(Operator):
    """Calls a function with Tensors at run time; it returns one Tensor per output (None, one, or a list).

    inputs: Values, or numbers and None that are handed over as they are. with_gradient(inputs, outputs, grads): gives
    the gradients of the inputs, or None for a function without one.
    """

    def __init__(self, type: str, function, inputs, outputs, *, effect=False, with_gradient=None, attrs=None):
        super().__init__(type, inputs, outputs, attrs)
        self.function, self.effect, self.with_gradient = function, effect, with_gradient

    def bind(self, plan):
        ins, outs, function, xp = [plan.at(x) for x in self.inputs], self.outputs, self.function, plan.xp
        places = [plan.at(v) for v in outs]

        def step(env):
            given = [_wrapped(env[i]) for i in ins]
            found = listed(function(*given))
            if len(found) != len(places):
                raise ValueError(explain(self.type, f"{len(places)} results, one per output", str(len(found))))
            for i, v, x in zip(places, outs, found):
                a = x if type(x) is SparseRows or x is None else x._array if isinstance(x, Tensor) else \
                    xp.asarray(x, v.dtype.dtype)
                env[i] = a
        return step

    def backward(self, block, grads, wanted):
        if self.with_gradient is None:
            super().backward(block, grads, wanted)    # refuses
        outputs = _gradients_of(block, self.inputs, wanted)
        count, many, function = len(self.inputs), len(self.outputs), self.with_gradient

        def gradients(*all_of):
            found = function(all_of[:count], all_of[count:count + many], all_of[count + many:])
            return [g for g, keep in zip(found, outputs) if keep is not None]

        back = Python(f"{self.type}_grad", gradients, [*self.inputs, *self.outputs, *grads],
                      [g for g in outputs if g is not None])
        back.training = True
        block.append(back)
        yield from _reached(self.inputs, outputs)


def _wrapped(x):
    return Tensor(x) if hasattr(x, "dtype") and hasattr(x, "ndim") else x
