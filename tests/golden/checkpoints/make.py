"""Makes the checkpoints beside this file with PaddlePaddle 3.3.1 (CPU), to be read in tests/io.

Run in an environment of its own: `pip install paddlepaddle==3.3.1 safetensors`, then `python make.py`.
With a folder as argument it instead reads the files that gpuflow wrote there (`python -m tests.io.checkpoint_cases
FOLDER`) and checks that Paddle finds in them what it should.
"""
import pathlib
import sys

import numpy as np
import paddle

HERE = pathlib.Path(__file__).parent


def tensors():
    """Small tensors of every kind, all with values that float16 and bfloat16 hold exactly."""
    base = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {
        "float32": paddle.to_tensor(base), "float64": paddle.to_tensor(base.astype("float64")),
        "float16": paddle.to_tensor(base.astype("float16")), "bfloat16": paddle.to_tensor(base).astype("bfloat16"),
        "int64": paddle.to_tensor(base.astype("int64")), "int32": paddle.to_tensor(base.astype("int32")),
        "uint8": paddle.to_tensor(base.astype("uint8")), "bool": paddle.to_tensor(base > 2),
        "complex64": paddle.to_tensor(base.astype("complex64")),
        "scalar": paddle.to_tensor(3.5), "empty": paddle.zeros([0, 3]),
        "transposed": paddle.to_tensor(base).t(),
    }


def make():
    paddle.seed(0)
    save = lambda obj, name, **more: paddle.save(obj, str(HERE / name), **more)  # noqa: E731
    save(tensors(), "state.pdparams")
    save(tensors(), "state_protocol2.pdparams", protocol=2)
    save(paddle.to_tensor([1.0, 2.0]), "tensor.pdtensor")
    save({"model": tensors(), "list": [tensors()["bfloat16"], (1, "two")], "epoch": 3, "rate": 0.5, "none": None,
          "numpy": np.float32(2.5), "text": "ü"}, "nested.pdparams")
    save({"arrays": [np.arange(3), np.ones((2, 2), order="F")]}, "arrays.pdparams")
    layer = paddle.nn.Linear(2, 3)
    layer.weight.set_value(np.arange(6, dtype=np.float32).reshape(2, 3))
    save(layer.state_dict(), "linear.pdparams")
    schedule = paddle.optimizer.lr.StepDecay(0.1, step_size=2)
    adam = paddle.optimizer.AdamW(schedule, parameters=layer.parameters())
    for _ in range(3):
        layer(paddle.ones([1, 2])).sum().backward()
        adam.step()
        adam.clear_grad()
        schedule.step()
    state = adam.state_dict()
    # Paddle's CPU kernels make no master weights; this is the entry that its GPU optimizers add.
    save({**state, "master_weights": {"linear_0.w_0": layer.weight}}, "adamw_master.pdopt")
    save(state, "adamw.pdopt")
    flat = {name: tensor.contiguous() for name, tensor in tensors().items() if name != "complex64"}
    save(flat, "state.safetensors", safetensors=True)


def check(folder):
    """Reads what gpuflow wrote; the expected values are those of tensors()."""
    for name in ("state.pdparams", "state_protocol2.pdparams"):
        same(paddle.load(f"{folder}/{name}"), tensors())
    nested = paddle.load(f"{folder}/nested.pdparams")
    same(nested["model"], tensors())
    same({"x": nested["list"][0]}, {"x": tensors()["bfloat16"]})
    assert nested["list"][1] == (1, "two") and nested["epoch"] == 3 and nested["none"] is None
    assert nested["list"][0].name == "a_name"
    optimizer = paddle.load(f"{folder}/optimizer.pdopt")
    same(optimizer["master_weights"], {"w": tensors()["float32"]})
    assert optimizer["LR_Scheduler"] == {"last_epoch": 3, "last_lr": 0.05}
    # Paddle 3.3.1 cannot read an empty tensor from safetensors, not even from its own file.
    flat = {name: tensor for name, tensor in tensors().items() if name not in ("complex64", "empty")}
    same(paddle.load(f"{folder}/state.safetensors", safetensors=True), flat)
    print("Paddle reads all of gpuflow's files")


def same(found, expected):
    assert set(found) == set(expected), (set(found), set(expected))
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and list(found[name].shape) == list(tensor.shape), name
        assert np.array_equal(found[name].numpy(), tensor.numpy()), name


if __name__ == "__main__":
    check(sys.argv[1]) if len(sys.argv) > 1 else make()
