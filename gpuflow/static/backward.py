"""The way back in a Program: `append_backward` and `gradients` append operators made from the ops' gradients."""
from gpuflow.errors import explain
from gpuflow.static.operators import Accumulate, Ones
from gpuflow.static.program import Program, default_main_program
from gpuflow.static.value import Value, Variable
from gpuflow.tensor import Tensor


class Walk:
    """One way back through some operators.

    block: where the operators of the gradients go. wanted: the Values whose gradients are asked for. stopped: ids of
    Values that gradients end at.
    """

    def __init__(self, operators, block, wanted, stopped=frozenset()):
        self.block, self.stopped = block, stopped
        self.ops = list(operators)
        self.live = {id(v) for v in wanted} - stopped     # the Values that lead to a wanted one
        self.wanted = {id(v) for v in wanted}
        for operator in self.ops:
            if any(id(x) in self.live for x in operator.inputs):
                self.live |= {id(v) for v in operator.writes() if not v.stop_gradient and id(v) not in stopped}
        self.waiting: dict[int, list[Value]] = {}

    def send(self, value: Value, gradient: Value) -> None:
        self.waiting.setdefault(id(value), []).append(gradient)

    def whole(self, value: Value) -> Value | None:
        """The gradient of a Value that nothing will be added to any more."""
        found = self.waiting.get(id(value))
        if not found:
            return None
        if len(found) > 1:
            program, name = self.block.program, f"{value.name}@GRAD"
            taken = program.values.get(name)
            if taken in found:
                program.rename(taken, program.free(name))
            elif taken is not None:    # by an earlier walk's
                name = program.free(name)
            total = program.variable(name, value.shape, value.dtype, stop_gradient=False, exact=True)._value
            total.source = value
            self.block.append(Accumulate(found, total))
            found[:] = [total]
        return found[0]

    def run(self) -> None:
        for operator in reversed(self.ops):
            outs = operator.writes()
            if not any(id(v) in self.waiting for v in outs):
                continue
            wants = [isinstance(x, Value) and id(x) in self.live and x.dtype.is_differentiable
                     and (id(x) in self.wanted or not x.stop_gradient) for x in operator.inputs]
            if any(wants):
                grads = [None if v is None else self.whole(v) for v in operator.ends()]
                for x, gradient in operator.backward(self.block, grads, wants):
                    self.send(x, gradient)


def append_backward(loss, parameter_list=None, no_grad_set=None, callbacks=None, checkpoints=None):
    """Appends the gradients of `loss` to its program; returns [(parameter, Variable of its gradient)].

    loss: a Variable of one element. parameter_list: parameters or names; default all that are trainable.
    no_grad_set: Variables or names through which no gradient goes. A gradient is called "<name>@GRAD".
    """
    if callbacks is not None or checkpoints is not None:
        raise ValueError(explain("append_backward", "callbacks=None and checkpoints=None", "one of them"))
    if not isinstance(loss, Variable):
        raise TypeError(explain("append_backward", "the loss as a Variable", type(loss).__name__))
    if loss.size not in (1, -1):
        raise ValueError(explain("append_backward", "a loss of one element", str(loss._value), "loss.mean()"))
    program = loss.block.program
    if parameter_list is None:
        params = [program.value_of(p) for p in program.all_parameters()]
        params = [p for p in params if not p.stop_gradient]
    else:
        params = [program.value_of(p) for p in parameter_list]
    found = _gradients([program.value_of(loss)], [None], params, program, no_grad_set)
    pairs = [(program.seen(_home(program, p)), program.seen(g)) for p, g in zip(params, found) if g is not None]
    if not pairs:
        raise RuntimeError(explain("append_backward", "a loss that depends on a trainable parameter",
                                   f"{loss._value}, which depends on none of {[p.name for p in params][:5]}"))
    return pairs


def _home(program, value):
    return value if value.home is not None else program.values[value.name]


def gradients(targets, inputs, target_gradients=None, no_grad_set=None) -> list:
    """Appends the gradients of the sum of `targets` with respect to each of `inputs`; a list of Variables.

    target_gradients: what each target's gradient starts from (None: ones). None in the result where the targets do not
    depend on an input, or its stop_gradient is True.
    """
    targets, inputs = _listed(targets), _listed(inputs)
    starts = [None] * len(targets) if target_gradients is None else _listed(target_gradients)
    if len(starts) != len(targets):
        raise ValueError(explain("gradients", f"{len(targets)} target_gradients", str(len(starts))))
    program = targets[0].block.program if isinstance(targets[0], Variable) else default_main_program()
    values = [program.value_of(x) for x in inputs]
    found = _gradients([program.value_of(t) for t in targets],
                       [None if g is None else program.value_of(g) for g in starts], values, program, no_grad_set)
    return [None if g is None else program.seen(g) for g in found]


def _gradients(targets, starts, wanted, program: Program, no_grad_set):
    stopped = frozenset(id(program.value_of(x)) for x in no_grad_set or ())
    block = program.current_block()
    walk = Walk([o for b in block.lineage() for o in b.ops], block, wanted, stopped)
    for target, start in zip(targets, starts):
        if id(target) not in walk.live:
            continue
        if start is None:
            name = f"{target.name}@GRAD"
            name = program.free(name) if name in program.values else name
            start = program.variable(name, target.shape, target.dtype, exact=True)._value
            block.append(Ones(target, start))
        walk.send(target, start)
    walk.run()
    return [walk.whole(v) for v in wanted]


def _listed(x) -> list:
    return [x] if isinstance(x, Tensor | str) else list(x)
