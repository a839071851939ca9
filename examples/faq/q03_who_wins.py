"""A ParamAttr's regularizer wins over the optimizer's; rates multiply: the optimizer's times the ParamAttr's."""
import sys

import gpuflow as paddle
from gpuflow.regularizer import L1Decay, L2Decay

ones = paddle.nn.initializer.Constant(1.0)


def weight(name, **said):
    return paddle.create_parameter([1], "float32", attr=paddle.ParamAttr(name=name, initializer=ones, **said))


def weights():
    return [weight("plain"), weight("own L1", regularizer=L1Decay(0.3)),
            weight("own, none", regularizer=L2Decay(0.0)), weight("rate 3", learning_rate=3.0)]


def show(params):
    """The step from 1, at gradients of 1, is rate · (gradient + penalty's gradient)."""
    for p, text in zip(params, ("0.1 · (1 + 0.5)", "0.1 · (1 + 0.3)", "0.1 · (1 + 0)", "0.1 · 3 · (1 + 0.5)")):
        print(f"{p.name:10} {1 - p.item():.2f} = {text}")


def eager():
    params = weights()
    optimizer = paddle.optimizer.SGD(0.1, parameters=params, weight_decay=L2Decay(0.5))
    sum(p.sum() for p in params).backward()
    optimizer.step()
    show(params)

    # Also under AdamW, whose own decay is then off:
    p = weight("adamw", regularizer=L2Decay(0.0))
    row, = paddle.optimizer.AdamW(0.1, parameters=[p], weight_decay=0.5).explain()
    print("AdamW's decay:", row["decay"], "-", row["source"]["decay"])


def static():
    paddle.enable_static()
    params = weights()
    optimizer = paddle.optimizer.SGD(0.1, weight_decay=L2Decay(0.5))
    optimizer.minimize(sum(p.sum() for p in params))
    exe = paddle.static.Executor()
    exe.run(paddle.static.default_startup_program())
    exe.run()
    show(params)


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
