"""An optimizer of one's own: the rule as a formula (fused, both devices), or an update in Python as for Paddle."""
import sys

import numpy as np

import gpuflow as paddle
from gpuflow.optimizer import Optimizer, UpdateRule


class SignMomentum(Optimizer):
    """p = p - lr · sign(v),  v = 0.9 v + g"""

    rule = UpdateRule("faq_sign_momentum", state=("v",), numbers=("mu",), formula="""
        v = mu * v + g
        p = p - lr * sign(v)
    """)

    def numbers(self, step):
        return {"mu": 0.9}


class ByHand(Optimizer):
    """The same, written as code for Paddle writes it."""

    def _create_accumulators(self, block, parameters):
        for p in parameters:
            self._add_accumulator("v", p)

    def _append_optimize_op(self, block, param_and_grad):
        p, g = param_and_grad
        v = self._get_accumulator("v", p)
        v.set_value(0.9 * v + g)
        paddle.assign(p - self._create_param_lr(param_and_grad) * v.sign(), p)


def train(cls):
    paddle.seed(5)
    model = paddle.nn.Sequential(paddle.nn.Linear(8, 16), paddle.nn.Tanh(), paddle.nn.Linear(16, 1))
    optimizer = cls(0.003, model.parameters(), weight_decay=0.01, grad_clip=paddle.nn.ClipGradByGlobalNorm(1.0))
    x = paddle.randn([64, 8])
    losses = []
    for _ in range(60):
        loss = (model(x) - x.sum(axis=1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(loss.item())
    return losses, optimizer


def eager():
    rule, optimizer = train(SignMomentum)
    hand, _ = train(ByHand)
    print("the loss falls below a fifth:", rule[-1] < rule[0] / 5)
    # A sign may turn one step earlier or later where v is near zero, hence no smaller bound.
    print("both ways agree:", max(abs(a - b) for a, b in zip(rule, hand)) < 1e-2 * rule[0])
    print("states in the checkpoint:", sum(key.endswith("_v_0") for key in optimizer.state_dict()))


def static():
    paddle.enable_static()
    found = {}
    for cls in (SignMomentum, ByHand):
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            x = paddle.static.data("x", [None, 8])
            model = paddle.nn.Sequential(paddle.nn.Linear(8, 16), paddle.nn.Tanh(), paddle.nn.Linear(16, 1))
            loss = (model(x) - x.sum(axis=1, keepdim=True)).square().mean()
            cls(0.003, weight_decay=0.01, grad_clip=paddle.nn.ClipGradByGlobalNorm(1.0)).minimize(loss)
        exe = paddle.static.Executor()
        paddle.seed(5)
        exe.run(startup)
        rows = np.random.default_rng(0).standard_normal((64, 8)).astype("float32")
        found[cls] = [exe.run(main, feed={"x": rows}, fetch_list=[loss])[0].item() for _ in range(60)]
    rule, hand = found.values()
    print("the loss falls below a fifth:", rule[-1] < rule[0] / 5)
    print("both ways agree:", max(abs(a - b) for a, b in zip(rule, hand)) < 1e-2 * rule[0])


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
