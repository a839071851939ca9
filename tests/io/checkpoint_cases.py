"""The tensors in tests/golden/checkpoints, as gpuflow makes them. Run as a module with a folder, it writes the files
that tests/golden/checkpoints/make.py FOLDER then reads with Paddle."""
import sys

import numpy as np

import gpuflow
from gpuflow.io.checkpoint import save

BASE = np.arange(6, dtype=np.float32).reshape(2, 3)


def tensors() -> dict:
    def of(array, dtype=None):
        return gpuflow.to_tensor(array, dtype=dtype)

    made = {name: of(BASE, name) for name in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8")}
    made |= {"bool": of(BASE > 2), "complex64": of(BASE, "complex64"), "scalar": of(np.float32(3.5)),
             "empty": of(np.zeros((0, 3), np.float32)), "transposed": of(BASE)}
    made["transposed"]._array = made["transposed"]._array.T   # Fortran order, as a view of another array
    return made


def write(folder: str) -> None:
    save(tensors(), f"{folder}/state.pdparams")
    save(tensors(), f"{folder}/state_protocol2.pdparams", protocol=2)
    named = tensors()["bfloat16"]
    named.name = "a_name"
    save({"model": tensors(), "list": [named, (1, "two")], "epoch": 3, "none": None}, f"{folder}/nested.pdparams")
    save({"w_moment1": tensors()["float32"], "master_weights": {"w": tensors()["float32"]},
          "LR_Scheduler": {"last_epoch": 3, "last_lr": 0.05}}, f"{folder}/optimizer.pdopt")
    save({name: tensor for name, tensor in tensors().items() if name not in ("complex64", "empty")},
         f"{folder}/state.safetensors")


if __name__ == "__main__":
    write(sys.argv[1])
