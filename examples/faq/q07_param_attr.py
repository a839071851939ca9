"""ParamAttr says how one parameter begins and how fast it learns; learning_rate=0 takes it out of training."""
import sys

import gpuflow as paddle

attr = paddle.ParamAttr(initializer=paddle.nn.initializer.Normal(0.0, 0.02), learning_rate=2.0)


def eager():
    paddle.seed(0)
    layer = paddle.nn.Linear(400, 250, weight_attr=attr, bias_attr=paddle.ParamAttr(learning_rate=0.0))
    w = layer.weight.numpy()
    print(f"100000 first weights: mean {abs(w.mean()):.3f}, standard deviation {w.std():.3f}")

    optimizer = paddle.optimizer.SGD(0.1, parameters=layer.parameters(), weight_decay=0.5,
                                     grad_clip=paddle.nn.ClipGradByValue(1.0))
    for _ in range(3):
        layer(paddle.ones([1, 400])).sum().backward()
        expected = layer.weight.numpy() * (1 - 0.2 * 0.5) - 0.2 * 1.0   # rate 0.1 · 2
        optimizer.step()
        optimizer.clear_grad()
    print("the weight moves at twice the rate:", bool(abs(layer.weight.numpy() - expected).max() < 1e-6))
    b = layer.bias.numpy()
    print("the bias after three steps with weight decay:", b.min().item(), b.max().item())

    layer.bias.optimize_attr["learning_rate"] = 1.0      # it may change its mind
    layer(paddle.ones([1, 400])).sum().backward()
    optimizer.step()
    print("let go, after a step the bias is", round(layer.bias.numpy()[0].item(), 4))


def static():
    paddle.enable_static()
    layer = paddle.nn.Linear(400, 250, weight_attr=attr, bias_attr=paddle.ParamAttr(learning_rate=0.0))
    paddle.optimizer.SGD(0.1, weight_decay=0.5, grad_clip=paddle.nn.ClipGradByValue(1.0)).minimize(
        layer(paddle.ones([1, 400])).sum())
    exe = paddle.static.Executor()
    exe.run(paddle.static.default_startup_program())
    first = layer.weight.numpy()
    print(f"100000 first weights: mean {abs(first.mean()):.3f}, standard deviation {first.std():.3f}")
    exe.run()
    expected = first * (1 - 0.2 * 0.5) - 0.2 * 1.0
    print("the weight moves at twice the rate:", bool(abs(layer.weight.numpy() - expected).max() < 1e-6))
    b = layer.bias.numpy()
    print("the bias after a step with weight decay:", b.min().item(), b.max().item())


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
