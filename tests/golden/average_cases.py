"""Runs of ModelAverage and LookAhead beside SGD, for any framework that has Paddle's API; knows no framework itself."""

import numpy as np

START = np.array([1.0, -2.0], np.float32)
WINDOWS = {"small": (0.15, 2, 4), "half": (0.5, 1, 3), "open": (1.0, 3, 10000)}
LOOKS = {"every third": (0.5, 3), "every second": (0.2, 2), "always": (0.8, 1)}


def results(paddle):
    """{name: array [steps, 2]}: the averages after each step; the parameters after each step."""
    out = {}
    for name, (rate, smallest, largest) in WINDOWS.items():
        p, sgd = _sgd(paddle)
        average = paddle.incubate.ModelAverage(rate, parameters=[p], min_average_window=smallest,
                                               max_average_window=largest)
        rows = []
        for k in range(9):
            _backward(paddle, p, k)
            sgd.step()
            average.step()
            sgd.clear_grad()
            with average.apply():
                rows.append(np.array(p.numpy()))
        out[f"ModelAverage/{name}"] = np.stack(rows)
    for name, (alpha, k) in LOOKS.items():
        p, sgd = _sgd(paddle)
        ahead = paddle.incubate.LookAhead(sgd, alpha=alpha, k=k)
        rows = []
        for step in range(7):
            _backward(paddle, p, step)
            ahead.step()
            ahead.clear_grad()
            rows.append(np.array(p.numpy()))
        out[f"LookAhead/{name}"] = np.stack(rows)
    return out


def _sgd(paddle):
    p = paddle.create_parameter([2], "float32")
    p.set_value(START)
    return p, paddle.optimizer.SGD(0.1, parameters=[p])


def _backward(paddle, p, step):
    (p * paddle.to_tensor(np.array([step + 1, -0.5 * step], np.float32))).sum().backward()
