"""Batch norm is frozen by use_global_stats=True, a stage by cutting the graph behind it: y.stop_gradient = True."""
import sys

import numpy as np

import gpuflow as paddle


def build():
    """(norm, backbone, head, model), in training mode."""
    norm = paddle.nn.BatchNorm1D(4, use_global_stats=True)
    backbone = paddle.nn.Sequential(paddle.nn.Linear(3, 4), norm)
    head = paddle.nn.Linear(4, 1)
    return norm, backbone, head, paddle.nn.Sequential(backbone, head)


def rows():
    return np.random.default_rng(0).normal(size=(8, 3)).astype("float32")


def numbers(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def changed(model, before):
    return [name for name, array in numbers(model).items() if not np.array_equal(array, before[name])]


def eager():
    paddle.seed(1)
    norm, backbone, head, model = build()
    optimizer = paddle.optimizer.AdamW(0.1, parameters=model.parameters(), weight_decay=0.1)

    def step(cut):
        before = numbers(model)
        y = backbone(paddle.to_tensor(rows()))
        if cut:
            y.stop_gradient = True
        head(y).square().mean().backward()
        optimizer.step()
        optimizer.clear_grad()
        return changed(model, before)

    print("moved with the cut:", step(cut=True))
    print("moved without:", step(cut=False))
    norm.weight.trainable = norm.bias.trainable = False
    print("moved with scale and shift frozen too:", step(cut=False))
    norm.weight.trainable = norm.bias.trainable = True
    print("unfrozen again:", step(cut=False))


def static():
    paddle.enable_static()
    for cut in (True, False):
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            _, backbone, head, model = build()
            y = backbone(paddle.static.data("x", [None, 3]))
            y.stop_gradient = cut
            paddle.optimizer.AdamW(0.1, weight_decay=0.1).minimize(head(y).square().mean())
        exe = paddle.static.Executor()
        exe.run(startup)
        before = numbers(model)
        exe.run(main, feed={"x": rows()})
        print("moved with the cut:" if cut else "moved without:", changed(model, before))


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
