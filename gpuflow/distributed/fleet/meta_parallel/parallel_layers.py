"""A network as a list of stages; one process runs them all, one after the other."""
from gpuflow.distributed.fleet.utils import recompute
from gpuflow.nn.container import LayerDict, LayerList
from gpuflow.nn.layer import Layer

__all__ = ["LayerDesc", "PipelineLayer", "SharedLayerDesc"]


class LayerDesc:
    """A layer to be made later: its class and arguments."""

    def __init__(self, layer_func, *inputs, **kwargs):
        self.layer_func, self.inputs, self.kwargs = layer_func, inputs, kwargs

    def build_layer(self):
        """Makes the layer."""
        return self.layer_func(*self.inputs, **self.kwargs)


class SharedLayerDesc(LayerDesc):
    """A layer that all descriptions of one key share. forward_func(layer, x): how this one runs it."""

    def __init__(self, key, layer_func, forward_func=None, shared_weight_attr="weight", *inputs, **kwargs):
        super().__init__(layer_func, *inputs, **kwargs)
        self.layer_name, self.forward_func, self.shared_weight_attr = key, forward_func, shared_weight_attr


class PipelineLayer(Layer):
    """Runs descriptions, layers and functions in order, each on what the one before gave.

    recompute_interval: that many at a time keep nothing for the way back and are run again there; 0: none. The other
    arguments say how several processes divide the list, and change nothing.
    """

    def __init__(self, layers, num_stages=None, topology=None, loss_fn=None, seg_method="uniform",
                 recompute_interval=0, recompute_ctx=None, num_virtual_pipeline_stages=None):
        super().__init__()
        self._loss_fn, self._recompute_interval = loss_fn, recompute_interval
        self.shared_layers, self.run_function, own = LayerDict(), [], []
        for described in layers:
            made = described
            if isinstance(described, SharedLayerDesc):
                key = described.layer_name
                if key not in self.shared_layers:
                    self.shared_layers[key] = described.build_layer()
                made = shared = self.shared_layers[key]
                if described.forward_func is not None:
                    made = lambda x, run=described.forward_func, layer=shared: run(layer, x)  # noqa: E731
            else:
                if isinstance(described, LayerDesc):
                    made = described.build_layer()
                if isinstance(made, Layer):
                    own.append(made)
            self.run_function.append(made)
        self._own = LayerList(own)

    def _span(self, first: int, last: int):
        def run(x):
            for function in self.run_function[first:last]:
                x = function(*x) if isinstance(x, tuple) else function(x)
            return x

        return run

    def forward(self, input):
        step = self._recompute_interval
        if step <= 0:
            return self._span(0, len(self.run_function))(input)
        for first in range(0, len(self.run_function), step):
            input = recompute(self._span(first, first + step), input)
        return input
