"""Writes trajectories.json: ten steps of every optimizer as PaddlePaddle 3.3.1 takes them, in float64 on the CPU.

Run in an environment of its own, since Paddle is no dependency:   pip install paddlepaddle==3.3.1; python
make_golden.py The tests need only the JSON file.
"""

import json
from pathlib import Path

import numpy as np
import paddle

STEPS, RATE = 10, 0.05

# our rule -> (Paddle's class, its options, options of the rule's `at`, decoupled decay)
ROWS = {
    "sgd": ("SGD", {}, {}, 0),
    "momentum": ("Momentum", {"momentum": 0.8}, {"momentum": 0.8}, 0),
    "nesterov": ("Momentum", {"momentum": 0.8, "use_nesterov": True}, {"momentum": 0.8}, 0),
    "adagrad": ("Adagrad", {"epsilon": 1e-3}, {"epsilon": 1e-3}, 0),
    "adadelta": ("Adadelta", {"rho": 0.9, "epsilon": 1e-3}, {"rho": 0.9, "epsilon": 1e-3}, 0),
    "rmsprop": ("RMSProp", {"rho": 0.9, "epsilon": 1e-3}, {"rho": 0.9, "epsilon": 1e-3}, 0),
    "rmsprop_centered": ("RMSProp", {"rho": 0.9, "epsilon": 1e-3, "centered": True}, {"rho": 0.9, "epsilon": 1e-3}, 0),
    "rmsprop_momentum": ("RMSProp", {"rho": 0.9, "epsilon": 1e-3, "momentum": 0.7},
                         {"rho": 0.9, "epsilon": 1e-3, "momentum": 0.7}, 0),
    "rmsprop_centered_momentum": ("RMSProp", {"rho": 0.9, "epsilon": 1e-3, "momentum": 0.7, "centered": True},
                                  {"rho": 0.9, "epsilon": 1e-3, "momentum": 0.7}, 0),
    "rprop": ("Rprop", {"learning_rate_range": (0.01, 0.1), "etas": (0.5, 1.2)},
              {"learning_rate_range": (0.01, 0.1), "etas": (0.5, 1.2)}, 0),
    "asgd": ("ASGD", {"batch_num": 3}, {"batch_num": 3}, 0),
    "adam": ("Adam", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2}, {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2}, 0),
    "adam_amsgrad": ("Adam", {"beta1": 0.8, "beta2": 0.9, "amsgrad": True}, {"beta1": 0.8, "beta2": 0.9}, 0),
    "adamw": ("AdamW", {"beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1}, {"beta1": 0.8, "beta2": 0.95}, 0.1),
    "adamw_amsgrad": ("AdamW", {"beta2": 0.9, "weight_decay": 0.1, "amsgrad": True}, {"beta2": 0.9}, 0.1),
    "adamax": ("Adamax", {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-2}, {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-2},
               0),
    "nadam": ("NAdam", {"beta1": 0.8, "beta2": 0.95, "momentum_decay": 0.1},
              {"beta1": 0.8, "beta2": 0.95, "momentum_decay": 0.1}, 0),
    "radam": ("RAdam", {"beta1": 0.8, "beta2": 0.95}, {"beta1": 0.8, "beta2": 0.95}, 0),
    "lamb": ("Lamb", {"lamb_weight_decay": 0.1, "beta1": 0.8, "beta2": 0.95}, {"beta1": 0.8, "beta2": 0.95}, 0.1),
    "lamb_excluded": ("Lamb", {"lamb_weight_decay": 0.0, "beta1": 0.8, "beta2": 0.95}, {"beta1": 0.8, "beta2": 0.95},
                      0),
    "lamb_always": ("Lamb", {"lamb_weight_decay": 0.0, "beta1": 0.8, "beta2": 0.95, "always_adapt": True},
                    {"beta1": 0.8, "beta2": 0.95, "always_adapt": True}, 0),
}


def trajectory(kind, options, start, gradients):
    p = paddle.create_parameter(list(start.shape), "float64", default_initializer=paddle.nn.initializer.Assign(start))
    optimizer = getattr(paddle.optimizer, kind)(learning_rate=RATE, parameters=[p], **options)
    points = []
    for g in gradients:
        (p * paddle.to_tensor(g)).sum().backward()
        optimizer.step()
        optimizer.clear_grad()
        points.append(p.numpy().ravel().tolist())
    return points


def main():
    paddle.set_device("cpu")
    rng = np.random.default_rng(3)
    start = rng.standard_normal((2, 3))
    gradients = rng.standard_normal((STEPS, 2, 3))
    gradients[4, 0, 0] = 0.0  # Rprop and sign() have a case of their own at zero
    rows = {
        name: {"at": at, "decay": decay, "points": trajectory(kind, options, start, gradients)}
        for name, (kind, options, at, decay) in ROWS.items()
    }
    golden = {
        "paddle": paddle.__version__,
        "rate": RATE,
        "start": start.ravel().tolist(),
        "gradients": gradients.reshape(STEPS, -1).tolist(),
        "rows": rows,
    }
    (Path(__file__).parent / "trajectories.json").write_text(json.dumps(golden, indent=0).replace(",\n", ", ") + "\n")


if __name__ == "__main__":
    main()
