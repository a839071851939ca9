"""Three ways to limit gradients, given to the optimizer and applied before the update and before weight decay."""
import numpy as np

import gpuflow as paddle
from gpuflow import nn


def step(clip, need_clip=True, **more):
    """How far one SGD step at rate 1 moves two parameters whose gradients are [3, 4] and [12]."""
    params = [paddle.create_parameter([n], "float32", attr=paddle.ParamAttr(initializer=nn.initializer.Constant(1.0),
                                                                           need_clip=wanted))
              for n, wanted in ((2, True), (1, need_clip))]
    optimizer = paddle.optimizer.SGD(1.0, parameters=params, grad_clip=clip, **more)
    loss = (params[0] * paddle.to_tensor([3.0, 4.0])).sum() + (params[1] * 12.0).sum()
    loss.backward()
    optimizer.step()
    return [(1 - p.numpy().astype("float64")).round(4).tolist() for p in params], optimizer


print("no clip:                  ", step(None)[0])
print("ClipGradByValue(3.5):     ", step(nn.ClipGradByValue(3.5))[0])
print("ClipGradByNorm(2.5):      ", step(nn.ClipGradByNorm(2.5))[0])
moved, optimizer = step(nn.ClipGradByGlobalNorm(1.3))
print("ClipGradByGlobalNorm(1.3):", moved)
print("the norm before clipping:", optimizer.last_grad_norm.item())
print("need_clip=False on the second, out of the norm too:", step(nn.ClipGradByGlobalNorm(0.5), need_clip=False)[0])
decayed = step(nn.ClipGradByGlobalNorm(1.3), weight_decay=0.5)[0]
print("weight decay 0.5 comes after the clip:", (np.array(decayed[0]) - np.array(moved[0])).round(4).tolist())
