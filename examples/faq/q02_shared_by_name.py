"""Layers whose ParamAttr has the same name share one parameter: one weight, updated once, counted once in a norm."""
import sys

import gpuflow as paddle

attr = paddle.ParamAttr(name="shared.w", initializer=paddle.nn.initializer.Constant(0.5))


def eager():
    first = paddle.nn.Linear(2, 2, weight_attr=attr, bias_attr=False)
    second = paddle.nn.Linear(2, 2, weight_attr=paddle.ParamAttr(name="shared.w"), bias_attr=False)
    print("one object:", first.weight is second.weight)

    model = paddle.nn.Sequential(first, second)
    print("parameters of the model:", len(model.parameters()))

    optimizer = paddle.optimizer.Adam(0.1, parameters=model.parameters())
    model(paddle.ones([1, 2])).sum().backward()
    print("its gradient is the sum over both uses:", first.weight.grad.numpy().round(4).tolist())
    optimizer.step()
    print("one Adam step at rate 0.1 moves it by", round(0.5 - first.weight.numpy()[0, 0].item(), 4))

    try:
        paddle.nn.Linear(3, 3, weight_attr=paddle.ParamAttr(name="shared.w"))
    except ValueError as error:
        print("another shape under that name:", str(error).split(":")[0], "is refused")
    with paddle.utils.unique_name.guard():
        apart = paddle.nn.Linear(2, 2, weight_attr=paddle.ParamAttr(name="shared.w"), bias_attr=False)
    print("in a namespace of its own it is another weight:", apart.weight is not first.weight)


def static():
    paddle.enable_static()
    first = paddle.nn.Linear(2, 2, weight_attr=attr, bias_attr=False)
    second = paddle.nn.Linear(2, 2, weight_attr=paddle.ParamAttr(name="shared.w"), bias_attr=False)
    print("parameters of the program:", len(paddle.static.default_main_program().all_parameters()))
    loss = second(first(paddle.ones([1, 2]))).sum()
    paddle.optimizer.Adam(0.1).minimize(loss)
    exe = paddle.static.Executor()
    exe.run(paddle.static.default_startup_program())
    gradient, = exe.run(fetch_list=["shared.w@GRAD"])
    print("its gradient is the sum over both uses:", gradient.round(4).tolist())
    print("one Adam step at rate 0.1 moves it by", round(0.5 - first.weight.numpy()[0, 0].item(), 4))


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
