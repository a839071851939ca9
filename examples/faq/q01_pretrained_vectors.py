"""Pretrained vectors from NumPy become an embedding's first numbers, by `nn.initializer.Assign`."""
import numpy as np

import gpuflow as paddle

vectors = np.random.default_rng(0).normal(size=(1000, 16)).astype("float32")
attr = paddle.ParamAttr(name="pretrained", initializer=paddle.nn.initializer.Assign(vectors))
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
