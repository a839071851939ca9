"""Python in Programs: functions that a run calls, and functions that bring their own gradient."""
from copy import copy

from gpuflow.dispatch import call, in_dynamic_mode, recording
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.static import build
from gpuflow.static.control import computed, outside, run_in_block, walked
from gpuflow.static.operators import Operator, Python, gradient_of
from gpuflow.static.program import default_main_program
from gpuflow.static.value import Value, Variable
from gpuflow.structure import filled, leaves, listed
from gpuflow.tensor import Tensor


def value_in(program, x) -> Value:
    """The Value of a Variable or tensor in the program that is being built."""
    return x._value if isinstance(x, Variable) else program.capture(x)


def py_func(func, x, out, backward_func=None, skip_vars_in_backward_input=None):
    """Has every run call func(*x) with Tensors and put its results into the Variables `out`; returns out.

    x, out: a Variable, or a list. out: made by `block.create_var(shape=..., dtype=...)`, or any that is overwritten;
    None for a function that gives nothing. backward_func(*x, *out, *gradients of out): the gradients of x;
    skip_vars_in_backward_input: those of x and out that it is not given. In eager mode func is called at once.
    """
    where = "py_func"
    for key, function in (("func", func), ("backward_func", backward_func)):
        if not callable(function) and not (function is None and key == "backward_func"):
            raise TypeError(explain(where, f"{key} as a function", type(function).__name__))
    given, targets, skipped = listed(x), listed(out), {id(v) for v in listed(skip_vars_in_backward_input)}
    if skipped - {id(v) for v in (*given, *targets)}:
        raise ValueError(explain(where, "skip_vars_in_backward_input among x and out", "other Variables"))
    if in_dynamic_mode():
        for t, result in zip(targets, listed(func(*given)), strict=True):
            t.set_value(result)
        return out
    program = default_main_program()
    inputs = [value_in(program, v) for v in given]
    stop = backward_func is None or not recording() or all(v.stop_gradient for v in inputs)
    shown = [id(v) not in skipped for v in (*given, *targets)]

    def backward(ins, outs, grads):
        return listed(backward_func(*[v for v, show in zip((*ins, *outs), shown) if show], *grads))

    with build.results_into(where, targets, stop) as outputs:
        program.current_block().append(Python(where, func, inputs, outputs, effect=not targets,
                                    with_gradient=backward_func and backward))
    return out


def Print(input, first_n=-1, message=None, summarize=20, print_tensor_name=True, print_tensor_type=True,
          print_tensor_shape=True, print_tensor_layout=True, print_tensor_lod=True, print_phase="both"):
    """The tensor itself; every run prints it, and its gradient, when it comes there.

    first_n: how often at most, -1: always. message: said before. summarize: so many elements, -1: all. print_phase:
    "forward", "backward" or "both". Layout and lod are taken for Paddle's sake.
    """
    phases = ("forward", "backward", "both")
    if str(print_phase).lower() not in phases:
        raise ValueError(explain("Print", f"print_phase among {phases}", repr(print_phase)))
    if not isinstance(input, Tensor):
        raise TypeError(explain("Print", "a tensor", type(input).__name__))
    phase, left = str(print_phase).lower(), {"": first_n, "@GRAD": first_n}
    name = input.name

    def show(tensor, suffix=""):
        if tensor is None or left[suffix] == 0:
            return
        left[suffix] -= 1
        array = tensor.numpy().reshape(-1)
        some = array if summarize < 0 else array[:summarize]
        numbers = " ".join(map(str, some.tolist())) + (" ..." if some.size < array.size else "")
        lines = [(f"Variable: {name}{suffix}", print_tensor_name),
                 (f"  - shape: {list(tensor.shape)}", print_tensor_shape),
                 (f"  - dtype: {tensor.dtype.name}", print_tensor_type), (f"  - data: [{numbers}]", True)]
        print("\n".join([*([message] if message else []), *(line for line, wanted in lines if wanted)]))

    def forward(tensor):
        if phase != "backward":
            show(tensor)
        return tensor

    def backward(inputs, outputs, grads):
        if phase != "forward":
            show(grads[0], "@GRAD")
        return grads

    if in_dynamic_mode():
        return forward(input)
    program = default_main_program()
    value = value_in(program, input)
    out = program.variable("print.out", value.shape, value.dtype, value.stop_gradient)
    program.current_block().append(Python("print", forward, [value], [out._value], effect=True, with_gradient=backward))
    return out


class OwnGradient(Operator):
    """Runs a block; its gradient is what `way_back` builds from the outputs' gradients."""

    def __init__(self, type: str, inputs, block, results, outputs, way_back):
        self.block, self.results, self.way_back = block, list(results), way_back
        self.given = list(inputs)
        free = [v for v in outside((block, results, ())) if all(v is not x for x in inputs)]
        super().__init__(type, [*inputs, *free], outputs, {"block": block.idx})

    @property
    def effect(self) -> bool:    # type: ignore[override]
        return any(o.effect for o in self.block.ops)

    def writes(self):
        return [*super().writes(), *computed(self.block)]

    def bind(self, plan):
        steps = plan.bind_block(self.block.ops, [r for r in self.results if r is not None])
        pairs = [(plan.at(out), plan.at(r)) for out, r in zip(self.outputs, self.results)]

        def step(env):
            for inner in steps:
                inner(env)
            for out, result in pairs:
                env[out] = env[result]
        return step

    def ends(self):
        return [*self.outputs, *(self.results if self.way_back else computed(self.block))]

    def backward(self, block, grads, wanted):
        """What came to a result that the way back reads counts as what came to the output. The way back itself is made
        of operators, and so are its own gradients."""
        program, many = block.program, len(self.given)
        if self.way_back is None:
            pairs = [(x, gradient_of(block, x)) for x, want in zip(self.inputs, wanted) if want]
            ends = zip([*self.results, *computed(self.block)], grads)
            way, results = walked(self.block, ends, [x for x, _ in pairs], program)
        else:
            pairs = [(x, gradient_of(block, x)) for x, want in zip(self.given, wanted[:many]) if want]
            with build.tracing(program):
                given = [self._start(program, *some) for some in zip(self.outputs, grads, grads[len(self.outputs):])
                         if some[0].dtype.is_differentiable]
                way, found, _ = run_in_block(self.way_back, lambda: given)
            found = listed(found)
            if len(found) != many:
                raise ValueError(explain(f"backward_fn of {self.type}", f"a gradient for each of {many} inputs",
                                         str(len(found))))
            results = [None if g is None else value_in(program, g) for g, want in zip(found, wanted) if want]
        back = OwnGradient(f"{self.type}_grad", [g for g in grads if g is not None], way, results,
                           [g for _, g in pairs], None)
        back.training = True
        block.append(back)
        yield from pairs

    @staticmethod
    def _start(program, output, *grads):
        """The sum of the gradients that came to an output, as a Variable."""
        came = [program.seen(g) for g in grads if g is not None]
        return (sum(came[1:], came[0]) if came else
                call(OPS["full_like"], (program.seen(output),), {"value": 0, "dtype": output.dtype}))

    def moved(self, place_of, inside):
        twin = copy(self)
        twin.block = inside(self.block)
        twin.results = [place_of.get(id(v), v) for v in self.results]
        twin.given = [place_of.get(id(v), v) for v in self.given]
        free = [v for v in outside((twin.block, twin.results, ())) if all(v is not x for x in twin.given)]
        twin.inputs = [*twin.given, *free]
        return twin


def with_own_gradient(where: str, forward, inputs, backward):
    """forward(*inputs), whose gradient is backward(*gradients of its results): one for each input."""
    program = default_main_program()
    values = [value_in(program, x) for x in inputs]
    block, result, changed = run_in_block(forward, lambda: inputs)
    if changed:
        raise ValueError(explain(where, "a function that changes nothing in place",
                                 f"another value for {[v.name for v, _, _ in changed.values()]}"))
    results = [value_in(program, x) for x in leaves(result) if isinstance(x, Tensor)]
    stop = backward is None or not recording() or all(v.stop_gradient for v in values)
    outs = [program.variable(f"{where}.out", v.shape, v.dtype, stop or not v.dtype.is_differentiable) for v in results]
    program.current_block().append(OwnGradient(where, values, block, results, [out._value for out in outs], backward))
    made = iter(outs)
    return filled(result, lambda leaf: next(made) if isinstance(leaf, Tensor) else leaf)
