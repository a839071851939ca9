"""ParamAttr says how one parameter begins and how fast it learns; learning_rate=0 takes it out of training."""
import gpuflow as paddle

paddle.seed(0)
attr = paddle.ParamAttr(initializer=paddle.nn.initializer.Normal(0.0, 0.02), learning_rate=2.0)
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
print("the bias after three steps with weight decay:", layer.bias.numpy().min().item(), layer.bias.numpy().max().item())

layer.bias.optimize_attr["learning_rate"] = 1.0      # it may change its mind
layer(paddle.ones([1, 400])).sum().backward()
optimizer.step()
print("let go, after a step the bias is", round(layer.bias.numpy()[0].item(), 4))
