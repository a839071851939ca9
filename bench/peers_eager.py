"""Eager mode's own overhead beside torch's: chains of ops on tensors so small that arithmetic costs nothing.

    python -m bench.peers_eager [--torch-python P] [--cases chain] [--rounds 15]
"""
from bench.harness import beside_torch


def gpuflow_case(case):
    import gpuflow as paddle
    from gpuflow.nn.functional import relu

    def leaf(*shape):
        x = paddle.rand(shape)
        x.stop_gradient = False
        return x

    return case(leaf, paddle.rand([16]) + 0.5, paddle.matmul, relu, paddle.no_grad)


def torch_case(case):
    import torch

    def leaf(*shape):
        return torch.rand(shape, requires_grad=True)

    return case(leaf, torch.rand(16) + 0.5, torch.matmul, torch.relu, torch.no_grad)


def ops(x, a):
    y = x
    for _ in range(25):
        y = y * a
        y = y + x
        y = y.tanh()
        y = y - a
    return y.sum()


def chain(leaf, a, matmul, relu, no_grad):
    return lambda: ops(leaf(16), a).backward()


def chain_no_grad(leaf, a, matmul, relu, no_grad):
    def run():
        with no_grad():
            ops(leaf(16), a)

    return run


def layers(leaf, a, matmul, relu, no_grad):
    weights = [(leaf(8, 8), leaf(8)) for _ in range(10)]

    def run():
        y = leaf(4, 8)
        for w, b in weights:
            y = relu(matmul(y, w) + b)
        y.sum().backward()

    return run


CASES = {
    "chain of 100 ops on 16 elements, forward and backward": (chain,),
    "chain of the same without gradient": (chain_no_grad,),
    "10 layers of linear + relu on [4, 8], forward and backward": (layers,),
}

if __name__ == "__main__":
    beside_torch("peers_eager", __doc__, CASES, gpuflow_case, torch_case, rounds=15, calls=40)
