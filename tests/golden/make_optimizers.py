"""Writes optimizers.npz: twenty steps of every case of optimizer_cases.py, as PaddlePaddle 3.3.1 takes them on a CPU.

Run in an environment with paddlepaddle 3.3.1:  python tests/golden/make_optimizers.py
"""

from pathlib import Path

import numpy as np
import paddle
from optimizer_cases import CASES, SHAPES, STEPS, replay

assert paddle.__version__ == "3.3.1", paddle.__version__
paddle.set_device("cpu")


def make_inputs():
    """Fixed values; the gradients' size varies so that every clip bites in some steps and leaves others alone.

    With seed 2024 a weight under L1Decay lands within a rounding of zero, where its sign is anybody's guess.
    """
    rng = np.random.default_rng(2025)
    size_of_step = np.resize([0.2, 1.0, 0.1, 2.0, 0.6, 0.05, 0.3], STEPS)
    inputs = {name: rng.uniform(-1, 1, shape) for name, shape in SHAPES.items()}
    for name, shape in SHAPES.items():
        sizes = size_of_step.reshape(STEPS, *[1] * len(shape))
        inputs[f"{name}_grad"] = rng.normal(size=(STEPS, *shape)) * sizes
    return {name: value.astype(np.float32) for name, value in inputs.items()}


def check_gradient(inputs):
    """The loss is linear, so what the optimizer sees is exactly the recorded gradient."""
    w = paddle.to_tensor(inputs["w"], stop_gradient=False)
    paddle.sum(w * paddle.to_tensor(inputs["w_grad"][1])).backward()
    assert np.array_equal(w.grad.numpy(), inputs["w_grad"][1])


inputs = make_inputs()
check_gradient(inputs)
arrays = {f"inputs/{name}": value for name, value in inputs.items()}
for case_name, case in CASES.items():
    for name, values in replay(paddle, case, inputs).items():
        assert values.dtype == np.float32 and np.isfinite(values).all(), case_name
        arrays[f"{case_name}/{name}"] = values
target = Path(__file__).with_name("optimizers.npz")
np.savez_compressed(target, **arrays)
print(f"{len(CASES)} cases, {target.stat().st_size} bytes")
