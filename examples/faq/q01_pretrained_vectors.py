"""Pretrained vectors from NumPy become an embedding's first numbers, by `nn.initializer.Assign`."""
import sys

import numpy as np

import gpuflow as paddle

vectors = np.random.default_rng(0).normal(size=(1000, 16)).astype("float32")
attr = paddle.ParamAttr(name="pretrained", initializer=paddle.nn.initializer.Assign(vectors))


def eager():
    embedding = paddle.nn.Embedding(1000, 16, weight_attr=attr)
    print("same numbers as the NumPy array:", bool((embedding.weight.numpy() == vectors).all()))

    # They are trained like any weight. trainable=False in the ParamAttr would keep them as they are.
    optimizer = paddle.optimizer.Adam(0.01, parameters=embedding.parameters())
    ids = paddle.to_tensor([3, 7, 7])
    embedding(ids).square().sum().backward()
    optimizer.step()
    moved = np.abs(embedding.weight.numpy() - vectors).max(axis=1) > 0
    print("rows that moved:", np.flatnonzero(moved).tolist())

    frozen = paddle.nn.Embedding(1000, 16, weight_attr=paddle.ParamAttr(
        initializer=paddle.nn.initializer.Assign(vectors), trainable=False))
    print("a frozen one takes gradients:", not frozen.weight.stop_gradient)

    try:
        paddle.nn.Embedding(1000, 8, weight_attr=attr)
    except ValueError as error:
        print("another shape is refused:", "[1000, 16]" in str(error) and "[1000, 8]" in str(error))


def static():
    paddle.enable_static()
    ids = paddle.static.data("ids", [None], "int64")
    rows = paddle.nn.Embedding(1000, 16, weight_attr=attr)(ids)
    paddle.optimizer.Adam(0.01).minimize(rows.square().sum())
    exe = paddle.static.Executor()
    exe.run(paddle.static.default_startup_program())
    weight = paddle.static.global_scope().find_var("pretrained").get_tensor()
    print("same numbers as the NumPy array:", bool((np.array(weight) == vectors).all()))
    exe.run(feed={"ids": np.array([3, 7, 7])})
    print("rows that moved:", np.flatnonzero(np.abs(np.array(weight) - vectors).max(axis=1) > 0).tolist())


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
