"""Layers that Paddle keeps here because it computes them by kernels of their own."""
from gpuflow.nn import functional as F
from gpuflow.nn.common import Linear

__all__ = ["FusedLinear"]


class FusedLinear(Linear):
    """`nn.Linear`. transpose_weight: the weight is kept as [out_features, in_features]."""

    def __init__(self, in_features, out_features, weight_attr=None, bias_attr=None, transpose_weight=False, name=None):
        super().__init__(in_features, out_features, weight_attr, bias_attr, name=name)
        self.transpose_weight = transpose_weight
        if transpose_weight:
            self.weight = self.create_parameter([out_features, in_features], weight_attr)

    def forward(self, input):
        return F.linear(input, self.weight.T if self.transpose_weight else self.weight, self.bias)
