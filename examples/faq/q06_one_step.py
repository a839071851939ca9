"""One optimizer.step() is one update, from whatever gradients have been added up since clear_grad()."""
import sys

import numpy as np

import gpuflow as paddle

rng = np.random.default_rng(0)
x, y = rng.normal(size=(12, 3)).astype("float32"), rng.normal(size=(12, 1)).astype("float32")


def train(pieces):
    """One step over 12 rows, in `pieces` equal parts."""
    paddle.seed(3)
    model = paddle.nn.Linear(3, 1)
    optimizer = paddle.optimizer.Momentum(0.1, 0.9, parameters=model.parameters(), weight_decay=0.01,
                                          grad_clip=paddle.nn.ClipGradByGlobalNorm(0.5))
    for rows in np.split(np.arange(12), pieces):
        loss = paddle.nn.functional.mse_loss(model(paddle.to_tensor(x[rows])), paddle.to_tensor(y[rows])) / pieces
        loss.backward()                      # adds to what is there
    optimizer.step()                         # clips the sum, decays and moves once
    count = set(optimizer.state_dict()["steps"].values())
    optimizer.clear_grad()
    return model, optimizer, count


def eager():
    whole, _, count = train(1)
    parts, optimizer, _ = train(4)
    print("updates so far:", count)
    print("four backwards and one step equal one large batch:", np.allclose(whole.weight.numpy(), parts.weight.numpy(),
                                                                            atol=1e-6))
    before = parts.weight.numpy()
    optimizer.step()
    print("a step without gradients moves nothing:", bool((parts.weight.numpy() == before).all()))


def static():
    paddle.enable_static()
    inputs, targets = paddle.static.data("x", [None, 3]), paddle.static.data("y", [None, 1])
    model = paddle.nn.Linear(3, 1)
    loss = paddle.nn.functional.mse_loss(model(inputs), targets)
    optimizer = paddle.optimizer.Momentum(0.1, 0.9)
    optimizer.minimize(loss)
    exe = paddle.static.Executor()
    exe.run(paddle.static.default_startup_program())
    weights = [exe.run(feed={"x": x, "y": y}, fetch_list=[model.weight])[0] for _ in range(5)]
    print("updates after five runs:", set(optimizer.state_dict()["steps"].values()))
    print("different weights after each:", len({w.tobytes() for w in weights}))
    test = paddle.static.default_main_program().clone(for_test=True)
    exe.run(test, feed={"x": x, "y": y}, fetch_list=[loss])
    print("a run of the program for testing moves nothing:", bool((model.weight.numpy() == weights[-1]).all()))


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
