"""Several strategies in one optimizer: by name, by ParamAttr and by group; explain() says what each parameter gets."""
import sys

import gpuflow as paddle
from gpuflow.optimizer import AdamW, groups_by_name


class Net(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.backbone = paddle.nn.Linear(4, 4)
        self.norm = paddle.nn.LayerNorm(4)
        self.head = paddle.nn.Linear(4, 2, weight_attr=paddle.ParamAttr(learning_rate=10.0))

    def forward(self, x):
        return self.head(self.norm(self.backbone(x)))


def eager():
    with paddle.utils.unique_name.guard():
        model = Net()

    # 1. a function of the parameter's name: no decay of biases
    optimizer = AdamW(1e-3, parameters=model.parameters(), weight_decay=0.05,
                      apply_decay_param_fun=lambda name: ".b_" not in name)
    print("decay by function:", {row["parameter"]: row["decay"] for row in optimizer.explain()})

    # 2. groups, here made from patterns: the first that matches decides, the rest comes last
    schedule = paddle.optimizer.lr.StepDecay(0.1, step_size=1, gamma=0.5)      # a factor that changes over time
    groups = groups_by_name(model, {("*.bias", "norm.*"): {"weight_decay": 0.0},
                                    "backbone.*": {"learning_rate": schedule, "beta1": 0.8}})
    optimizer = AdamW(1e-3, parameters=groups, weight_decay=0.05)
    print(optimizer.explain())
    schedule.step()
    print("backbone's rate after the schedule's step:", optimizer.explain()[4]["rate"])


def static():
    paddle.enable_static()
    with paddle.utils.unique_name.guard():
        model = Net()
        loss = model(paddle.static.data("x", [None, 4])).square().mean()
    groups = groups_by_name(model, {("*.bias", "norm.*"): {"weight_decay": 0.0}, "backbone.*": {"learning_rate": 0.1}})
    optimizer = AdamW(1e-3, parameters=groups, weight_decay=0.05)
    optimizer.minimize(loss)
    print(optimizer.explain())


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
