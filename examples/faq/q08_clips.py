"""Three ways to limit gradients, given to the optimizer and applied before the update and before weight decay."""
import sys

import numpy as np

import gpuflow as paddle
from gpuflow import nn


def two_parameters(need_clip=True):
    """([first, second], loss): ones whose gradients are [3, 4] and [12]. need_clip: of the second."""
    params = [paddle.create_parameter([n], "float32", attr=paddle.ParamAttr(initializer=nn.initializer.Constant(1.0),
                                                                           need_clip=wanted))
              for n, wanted in ((2, True), (1, need_clip))]
    return params, (params[0] * paddle.to_tensor([3.0, 4.0])).sum() + (params[1] * 12.0).sum()


def moved(params):
    return [(1 - p.numpy().astype("float64")).round(4).tolist() for p in params]


def step(clip, need_clip=True, **more):
    """How far one SGD step at rate 1 moves them."""
    params, loss = two_parameters(need_clip)
    optimizer = paddle.optimizer.SGD(1.0, parameters=params, grad_clip=clip, **more)
    loss.backward()
    optimizer.step()
    return moved(params), optimizer


def eager():
    print("no clip:                  ", step(None)[0])
    print("ClipGradByValue(3.5):     ", step(nn.ClipGradByValue(3.5))[0])
    print("ClipGradByNorm(2.5):      ", step(nn.ClipGradByNorm(2.5))[0])
    far, optimizer = step(nn.ClipGradByGlobalNorm(1.3))
    print("ClipGradByGlobalNorm(1.3):", far)
    print("the norm before clipping:", optimizer.last_grad_norm.item())
    print("need_clip=False on the second, out of the norm too:", step(nn.ClipGradByGlobalNorm(0.5), need_clip=False)[0])
    decayed = step(nn.ClipGradByGlobalNorm(1.3), weight_decay=0.5)[0]
    print("weight decay 0.5 comes after the clip:", (np.array(decayed[0]) - np.array(far[0])).round(4).tolist())


def static():
    paddle.enable_static()
    for clip in (None, nn.ClipGradByValue(3.5), nn.ClipGradByNorm(2.5), nn.ClipGradByGlobalNorm(1.3)):
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            params, loss = two_parameters()
            paddle.optimizer.SGD(1.0, grad_clip=clip).minimize(loss)
        exe = paddle.static.Executor()
        exe.run(startup)
        norm, *after = exe.run(main, fetch_list=["grad_norm_0"] + [f"{p.name}@GRAD@CLIP" for p in params])
        print("no clip" if clip is None else type(clip).__name__)
        print("    norm", norm.item(), "- after the clip", [g.astype("float64").round(4).tolist() for g in after],
              "- moved", moved(params))


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
