"""Program: what is to be computed, as blocks of operators, and which program is being built."""
import contextlib

from gpuflow import dispatch, dtypes, unique_name
from gpuflow.errors import explain
from gpuflow.static.operators import Operator, scopes, text_of
from gpuflow.static.value import Value, Variable
from gpuflow.tensor import Tensor

SIZES = "sizes >= 0, and None or -1 for what is known only when the program runs"


class Block:
    """A list of operators. The first block is the program; the others are branches and loop bodies."""

    def __init__(self, program: "Program", idx: int, parent: "Block | None" = None):
        self.program, self.idx, self.parent = program, idx, parent
        self.ops: list[Operator] = []
        self.overwritten: dict[int, tuple] = {}    # id(Variable of a block around) -> (Variable, the Value it had)

    def lineage(self) -> list:
        """The blocks that this one is inside of, outermost first, and itself."""
        return [*(self.parent.lineage() if self.parent else ()), self]

    @property
    def parent_idx(self) -> int:
        return -1 if self.parent is None else self.parent.idx

    @property
    def vars(self) -> dict:
        """{name: Variable or Tensor} of the whole program."""
        return {name: self.program.seen(value) for name, value in self.program.values.items()}

    def var(self, name: str):
        """The Variable of that name, or for a parameter or buffer the Tensor; ValueError where there is none."""
        found = self.program.values.get(name)
        if found is None:
            raise ValueError(explain("Block.var", f"a name among those of {self.program!r}", repr(name),
                                     "print(program)"))
        return self.program.seen(found)

    def has_var(self, name: str) -> bool:
        return name in self.program.values

    def all_parameters(self) -> list:
        return self.program.all_parameters()

    def create_var(self, name=None, shape=(), dtype="float32", persistable=False, stop_gradient=True, **ignored):
        """A Variable that nothing computes yet, to be the output of an operator that is appended."""
        found = self.program.variable(name or "tmp", sizes("create_var", shape), dtypes.convert(dtype), stop_gradient,
                                      persistable=persistable, exact=name is not None)
        self.program.unmade.add(id(found._value))
        return found

    def append_op(self, type: str, inputs=None, outputs=None, attrs=None, **kwargs):
        """Appends an op by its name, or by the one that Paddle's older Programs had; see legacy.append_op."""
        from gpuflow.static.legacy import append_op

        with self.program.building(self):
            return append_op(self, type, inputs, outputs, attrs, **kwargs)

    def append(self, operator: Operator) -> Operator:
        """Adds an operator at the end."""
        self.ops.append(operator)
        self.program.version += 1
        return operator

    def __str__(self):
        return text_of(self)


class Program:
    """Operators that an Executor runs; layers, functions and optimizers append to the default main program.

    values: {name: Value}. version: grows with every change. random_seed: 0, or what `seed` is called with before its
    startup run.
    """

    def __init__(self):
        self.blocks = [Block(self, 0)]
        self.values: dict[str, Value] = {}
        self.version = 0
        self.random_seed = self.seeded_with = 0
        self.calls: list = []            # in training mode; see build.Call
        self.unmade: set[int] = set()    # ids of the Values of create_var that no operator computes yet
        self.plans: dict = {}            # the Executor's, by feeds and fetches
        self._current = [self.blocks[0]]
        self._captured: dict[int, Value] = {}    # id(tensor) -> the Value that now stands for it
        self._seen: dict[int, Variable] = {}     # id(value) -> Variable

    # ---- building --------------------------------------------------------------------------------------------------

    def current_block(self) -> Block:
        """The block that operators are appended to."""
        return self._current[-1]

    def block(self, index: int) -> Block:
        """The block with this number; 0 is the program itself."""
        return self.blocks[index]

    def global_block(self) -> Block:
        return self.blocks[0]

    @property
    def num_blocks(self) -> int:
        return len(self.blocks)

    @contextlib.contextmanager
    def building(self, block: Block):
        """Operators of the with-block go into this program, at the end of `block`."""
        self._current.append(block)
        try:
            with program_guard(self, _startup):
                yield block
        finally:
            self._current.pop()

    @contextlib.contextmanager
    def new_block(self):
        """Operators of the with-block go into a block of their own, which it yields."""
        block = Block(self, len(self.blocks), self.current_block())
        self.blocks.append(block)
        self._current.append(block)
        try:
            yield block
        finally:
            self._current.pop()

    def variable(self, name: str, shape, dtype, stop_gradient=True, *, is_data=False, persistable=False, exact=False):
        """A Variable over a new Value. exact: the name as it is, which must be free; else it gets a number."""
        if not exact:
            name = unique_name.generate(name)
        elif name in self.values:
            raise ValueError(explain("the program", "a name that is not taken", repr(name)))
        value = Value(name, tuple(shape), dtype, stop_gradient, is_data=is_data, persistable=persistable)
        return self.entered(value)

    def entered(self, value: Value) -> Variable:
        """The Variable of a Value that now belongs to this program."""
        self.values[value.name] = value
        self._seen[id(value)] = found = Variable(value, self.current_block())
        return found

    def capture(self, tensor: Tensor) -> Value:
        """The Value that stands for an eager tensor: a parameter, a buffer, a constant."""
        found = self._captured.get(id(tensor))
        if found is None:
            name = tensor.name
            other = self.values.get(name)
            if other is not None and other.home is not tensor:
                raise ValueError(explain("the program", "each name once", f"two tensors named {name!r}, shapes "
                                         f"{list(other.shape)} and {list(tensor.shape)}", "another name for one"))
            found = Value(name, tuple(tensor.shape), tensor.dtype, home=tensor, persistable=tensor.persistable)
            self.values[name] = self._captured[id(tensor)] = found
        return found

    def newest(self, tensor: Tensor, value: Value) -> None:
        """From here on `value` is what reading the captured tensor gives."""
        self._captured[id(tensor)] = value

    def rebind(self, variable: Variable, value: Value) -> None:
        """From here on the Variable means `value`, under its old name as well: what an op in place does."""
        old = variable._value
        here = self.current_block()
        if variable.block is not here and variable.block in here.lineage():
            here.overwritten.setdefault(id(variable), (variable, old))
        variable._value = value
        self.values[old.name] = value
        self._seen[id(value)] = variable

    def leave_to_memory(self) -> None:
        """From here on reading a captured tensor gives what its memory holds then."""
        self._captured = {id(v.home): v for v in self.values.values() if v.home is not None}

    def mark(self):
        """A function that takes the program, and the numbers of names, back to what they are now."""
        names = dict(unique_name.current().next)
        kept = dict(self.values), dict(self._captured), dict(self._seen), list(self.calls), list(self.blocks)
        lengths = [len(block.ops) for block in self.blocks]

        def undo():
            self.values, self._captured, self._seen, self.calls, self.blocks = kept
            for block, length in zip(self.blocks, lengths):
                del block.ops[length:]
            unique_name.current().next = names
            self.version += 1
        return undo

    def free(self, name: str) -> str:
        """`name` with the first number that makes it free."""
        k = 1
        while f"{name}_{k}" in self.values:
            k += 1
        return f"{name}_{k}"

    def rename(self, value: Value, name: str) -> None:
        if self.values.get(name, value) is not value:
            raise ValueError(explain("the program", "a name that is not taken", repr(name)))
        self.values.pop(value.name, None)
        value.name, self.values[name] = name, value

    # ---- looking ---------------------------------------------------------------------------------------------------

    def seen(self, value: Value):
        """What users hold of a Value: its home or its Variable."""
        if value.home is not None:
            return value.home
        found = self._seen.get(id(value))
        return found if found is not None else self.entered(value)

    def value_of(self, what) -> Value:
        """The Value that a Variable, a captured Tensor or a name means here; ValueError where it means none."""
        if isinstance(what, str):
            found = self.values.get(what)
        elif isinstance(what, Variable):
            found = self.values.get(what._value.name)
        elif isinstance(what, Tensor):
            found = self._captured.get(id(what)) or self.values.get(what.name)
        else:
            raise TypeError(explain("the program", "a Variable, a parameter or a name", type(what).__name__))
        if found is None:
            name = what if isinstance(what, str) else what.name
            raise ValueError(explain("the program", "a Variable or parameter of this program", repr(name),
                                     "the program it was built in, or print(program) for the names"))
        return found

    def homes(self) -> list[Tensor]:
        """The eager tensors this program reads, in the order they came."""
        return list({id(v.home): v.home for v in self.values.values() if v.home is not None}.values())

    def all_parameters(self) -> list:
        """The parameters, in the order they were made."""
        return [t for t in self.homes() if hasattr(t, "optimize_attr")]

    def list_vars(self):
        """All Variables, parameters and buffers."""
        return iter([self.seen(value) for value in dict.fromkeys(self.values.values())])

    def operators(self):
        """The operators of all blocks."""
        return (operator for block in self.blocks for operator in block.ops)

    # ---- copies ----------------------------------------------------------------------------------------------------

    def clone(self, for_test: bool = False) -> "Program":
        """A copy that shares parameters. for_test: without backward and optimizer, and with every layer in its
        evaluation form (dropout passes all, batch norm takes the running statistics)."""
        from gpuflow.static.clone import cloned

        return cloned(self, for_test)

    def to_dot(self) -> str:
        """The program as a drawing in Graphviz's language."""
        from gpuflow.static.drawing import to_dot

        return to_dot(self)

    def _repr_html_(self) -> str:
        from gpuflow.static.drawing import to_html

        return to_html(self)

    def to_string(self, throw_on_error=True, with_details=False) -> str:
        return str(self)

    def __str__(self):
        return "\n".join(text_of(block) for block in self.blocks)

    def __repr__(self):
        return f"<Program of {sum(len(b.ops) for b in self.blocks)} operators, {len(self.all_parameters())} parameters>"


def sizes(where, shape) -> tuple:
    shape = [shape] if isinstance(shape, int) else shape
    if not isinstance(shape, list | tuple):
        raise TypeError(explain(where, f"a shape: {SIZES}", repr(shape)))
    out = []
    for s in shape:
        if s is not None and (isinstance(s, bool) or not hasattr(s, "__index__") or int(s) < -1):
            raise ValueError(explain(where, SIZES, str(list(shape))))
        out.append(None if s is None or int(s) == -1 else int(s))
    return tuple(out)


_main, _startup = Program(), Program()


def retype(tensor: Tensor, dtype) -> None:
    """Tells the default main program that a parameter or buffer gets another dtype. RuntimeError where an operator
    reads it already."""
    value = _main._captured.get(id(tensor))
    if value is None or value.dtype is dtype:
        return
    if any(v is value for operator in _main.operators() for v in operator.reads()):
        raise RuntimeError(explain(f"another dtype for {tensor.name}", "a parameter that no operator reads yet", "one "
                                   "that the program computes with", "amp.decorate, or model.to, before the model is "
                                   "called"))
    value.dtype = dtype


def default_main_program() -> Program:
    """The program that layers, functions and optimizers append to."""
    return _main


def default_startup_program() -> Program:
    """The program that gives parameters their first numbers."""
    return _startup


@contextlib.contextmanager
def program_guard(main_program: Program, startup_program: Program | None = None):
    """Inside, these are the default programs. Guards nest. TypeError for what is no Program."""
    for name, program in (("main_program", main_program), ("startup_program", startup_program)):
        if not (isinstance(program, Program) or (program is None and name == "startup_program")):
            raise TypeError(explain("program_guard", f"a Program as {name}", type(program).__name__))
    global _main, _startup
    before = _main, _startup
    _main, _startup = main_program, startup_program or _startup
    try:
        yield
    finally:
        _main, _startup = before


def data(name: str, shape, dtype=None, lod_level: int = 0) -> Variable:
    """A Variable that `exe.run(feed={name: array})` gives its numbers.

    shape: sizes; None or -1 for one that may differ from run to run. dtype: default the default float.
    """
    if dispatch.in_dynamic_mode():
        raise RuntimeError(explain("static.data", "static mode", "eager mode", "paddle.enable_static() first"))
    if not isinstance(name, str):
        raise TypeError(explain("static.data", "a name", repr(name)))
    kind = dtypes.default_float() if dtype is None else dtypes.convert(dtype)
    found = _main.values.get(name)
    shape = sizes(f"static.data({name!r})", shape)
    if found is not None and found.is_data and (found.shape, found.dtype) == (shape, kind):
        return _main.seen(found)
    return _main.variable(name, shape, kind, is_data=True, exact=True)


@contextlib.contextmanager
def name_scope(prefix: str | None = None):
    """Operators made inside carry the prefix, which `print(program)` shows; names stay as they are."""
    if not isinstance(prefix, str) or not prefix:
        raise ValueError(explain("name_scope", "a prefix", repr(prefix)))
    scopes.append(prefix)
    try:
        yield
    finally:
        scopes.pop()
