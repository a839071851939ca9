"""jit.save and jit.load: a traced layer or function in files, and back as a layer."""
import os

from gpuflow.errors import explain
from gpuflow.jit.trace import StaticFunction, Traced, to_static
from gpuflow.nn.layer import Layer
from gpuflow.static import io as static_io
from gpuflow.static.input_spec import InputSpec
from gpuflow.static.value import Value
from gpuflow.structure import leaves
from gpuflow.tensor import Tensor


def save(layer, path: str, input_spec=None, **configs) -> None:
    """Saves a layer (in its evaluation form) or a traced function as `path`.pdmodel and `path`.pdiparams.

    input_spec: InputSpecs or example tensors of forward's arguments; not needed where to_static or a call said them.
    The files are those of `static.save_inference_model`.
    """
    if configs:
        raise TypeError(explain("jit.save", "no further options", f"unknown {sorted(configs)}"))
    traced = _traced(layer, input_spec)
    program = traced.program
    feeds = [program.seen(x._value) for x in traced.inputs]
    fetches = [program.seen(v) for v in traced.outputs]
    static_io.save_inference_model(path, feeds, fetches, None, program)


def _traced(target, input_spec) -> Traced:
    if not isinstance(target, Layer):
        function = target if isinstance(target, StaticFunction) else to_static(target)
        return function.concrete_program if input_spec is None else function.traced_by(input_spec)
    forward = target.forward if isinstance(target.forward, StaticFunction) else StaticFunction(target.forward, None,
                                                                                               target)
    training = [layer for layer in target.sublayers(include_self=True) if layer.training]
    said = input_spec or forward._input_spec
    if said is None and forward._traced:
        said = [InputSpec(x.shape, x.dtype, x.name) for x in forward.concrete_program.inputs]
    if said is None:
        raise ValueError(explain("jit.save", "input_spec, or a layer that was traced", "neither",
                                 "jit.save(layer, path, input_spec=[InputSpec([None, 784])])"))
    target.eval()
    try:
        return forward.traced_by(list(leaves(said)))
    finally:
        for layer in training:
            layer.training = True


class TranslatedLayer(Layer):
    """A saved model as a layer: its parameters can be trained further, its forward is the saved Program."""

    def __init__(self, program, feeds: list[Value], fetches: list[Value]):
        super().__init__()
        self._program = program
        for k, tensor in enumerate(program.homes()):
            attribute = tensor.name.replace(".", "_")
            attribute = attribute if attribute not in self.__dict__ and not hasattr(self, attribute) else f"tensor_{k}"
            if hasattr(tensor, "optimize_attr"):
                self.add_parameter(attribute, tensor)
            else:
                self.register_buffer(attribute, tensor)
        results = [program.seen(v) for v in fetches]
        self._run = Traced(program, [program.seen(v) for v in feeds], results[0] if len(results) == 1 else results)

    def forward(self, *inputs):
        if len(inputs) != len(self._run.inputs):
            raise TypeError(explain("TranslatedLayer", f"{len(self._run.inputs)} tensors", str(len(inputs))))
        return self._run([x if isinstance(x, Tensor) else Tensor(x) for x in inputs])

    def program(self, method_name: str = "forward"):
        """The Program that forward runs."""
        return self._program


def load(path: str, **configs) -> TranslatedLayer:
    """The model that `save` (or `static.save_inference_model`) wrote, as a layer in evaluation mode."""
    if configs:
        raise TypeError(explain("jit.load", "no further options", f"unknown {sorted(configs)}"))
    path = os.fspath(path)
    program, feeds, fetches = static_io.read_program(path + ".pdmodel")
    static_io.fill(program, path + ".pdiparams")
    layer = TranslatedLayer(program, feeds, fetches)
    layer.eval()
    return layer
