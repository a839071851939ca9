"""Batch norm is frozen by use_global_stats=True, a stage by cutting the graph behind it: y.stop_gradient = True."""
import numpy as np

import gpuflow as paddle

paddle.seed(1)
norm = paddle.nn.BatchNorm1D(4, use_global_stats=True)
backbone = paddle.nn.Sequential(paddle.nn.Linear(3, 4), norm)
head = paddle.nn.Linear(4, 1)
model = paddle.nn.Sequential(backbone, head)
model.train()                                  # also in training mode
optimizer = paddle.optimizer.AdamW(0.1, parameters=model.parameters(), weight_decay=0.1)


def step(cut):
    before = {name: value.numpy() for name, value in model.state_dict().items()}
    y = backbone(paddle.to_tensor(np.random.default_rng(0).normal(size=(8, 3)), dtype="float32"))
    if cut:
        y.stop_gradient = True
    head(y).square().mean().backward()
    optimizer.step()
    optimizer.clear_grad()
    return [name for name, value in model.state_dict().items() if not np.array_equal(value.numpy(), before[name])]


print("moved with the cut:", step(cut=True))
print("moved without:", step(cut=False))
norm.weight.trainable = norm.bias.trainable = False
print("moved with scale and shift frozen too:", step(cut=False))
norm.weight.trainable = norm.bias.trainable = True
print("unfrozen again:", step(cut=False))
