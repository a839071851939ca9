"""One optimizer.step() is one update, from whatever gradients have been added up since clear_grad()."""
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


whole, _, count = train(1)
parts, optimizer, _ = train(4)
print("updates so far:", count)
print("four backwards and one step equal one large batch:", np.allclose(whole.weight.numpy(), parts.weight.numpy(),
                                                                        atol=1e-6))
before = parts.weight.numpy()
optimizer.step()
print("a step without gradients moves nothing:", bool((parts.weight.numpy() == before).all()))
