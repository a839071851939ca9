"""Convolution, pooling and normalisation, forward and backward, beside torch's: float32 on the CPU.

    python -m bench.peers_nn [--torch-python P] [--cases conv] [--threads 1] [--rounds 7]
"""
from bench.harness import beside_torch

# name: (kind, input shape, arguments)
CASES = {
    "conv 64x1x8x8 -> 16, 3x3": ("conv", (64, 1, 8, 8), (16, 3, 1)),
    "conv 64x16x8x8 -> 32, 3x3": ("conv", (64, 16, 8, 8), (32, 3, 1)),
    "conv 64x32x4x4 -> 64, 3x3": ("conv", (64, 32, 4, 4), (64, 3, 1)),
    "conv 128x1x28x28 -> 6, 5x5": ("conv", (128, 1, 28, 28), (6, 5, 2)),
    "conv 8x64x56x56 -> 64, 3x3": ("conv", (8, 64, 56, 56), (64, 3, 1)),
    "conv 8x256x28x28 -> 64, 1x1": ("conv", (8, 256, 28, 28), (64, 1, 0)),
    "depthwise 8x64x28x28, 3x3": ("depthwise", (8, 64, 28, 28), (64, 3, 1)),
    "batch_norm 64x32x8x8": ("batch_norm", (64, 32, 8, 8), ()),
    "batch_norm 8x64x56x56": ("batch_norm", (8, 64, 56, 56), ()),
    "layer_norm 64x128x256": ("layer_norm", (64, 128, 256), ()),
    "max_pool 64x16x8x8, 2x2": ("max_pool", (64, 16, 8, 8), (2,)),
    "max_pool 8x64x56x56, 2x2": ("max_pool", (8, 64, 56, 56), (2,)),
    "avg_pool 64x16x8x8, 2x2": ("avg_pool", (64, 16, 8, 8), (2,)),
    "net 64x1x8x8: 2 x (conv, bn, relu), pool, conv, bn, relu": ("net", (64, 1, 8, 8), ()),
}


def layer_of(nn, d, kind, shape, args):
    """The layer of a case. d: how names end, 2D in Paddle's nn and 2d in torch's."""
    conv, batch_norm, max_pool, avg_pool = (getattr(nn, f"{n}{d}") for n in ("Conv", "BatchNorm", "MaxPool", "AvgPool"))
    if kind == "net":
        return nn.Sequential(conv(1, 16, 3, padding=1), batch_norm(16), nn.ReLU(),
                             conv(16, 32, 3, padding=1), batch_norm(32), nn.ReLU(), max_pool(2),
                             conv(32, 64, 3, padding=1), batch_norm(64), nn.ReLU())
    if kind in ("conv", "depthwise"):
        out, k, padding = args
        return conv(shape[1], out, k, padding=padding, groups=shape[1] if kind == "depthwise" else 1)
    if kind == "layer_norm":
        return nn.LayerNorm(shape[-1])
    return batch_norm(shape[1]) if kind == "batch_norm" else {"max_pool": max_pool, "avg_pool": avg_pool}[kind](*args)


def gpuflow_step(kind, shape, args):
    import gpuflow as paddle

    layer = layer_of(paddle.nn, "2D", kind, shape, args)
    x = paddle.randn(shape)
    x.stop_gradient = False
    g = paddle.randn(layer(x).shape)

    def step():
        y = layer(x)
        y.backward(g)
        x.clear_grad()
        for p in layer.parameters():
            p.clear_grad()

    return step


def torch_step(kind, shape, args):
    import torch

    layer = layer_of(torch.nn, "2d", kind, shape, args)
    x = torch.randn(shape, requires_grad=True)
    g = torch.randn(layer(x).shape)

    def step():
        y = layer(x)
        y.backward(g)
        x.grad = None
        for p in layer.parameters():
            p.grad = None

    return step


if __name__ == "__main__":
    beside_torch("peers_nn", __doc__, CASES, gpuflow_step, torch_step, rounds=7, calls=10)
