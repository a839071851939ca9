"""What a user did wrong is named: the op or layer, what was expected, what came, and the likely fix where there is one.

A table of calls and what the message must say; errors that belong to one file's subject are tested beside it.
"""
import warnings

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import io, nn
from gpuflow.nn import functional as F


def ones(*shape, dtype="float32"):
    return paddle.ones(list(shape), dtype)


CASES = {   # call: (error, what its text must hold)
    "matmul": (lambda: ones(32, 784) @ ones(10, 784), ValueError, ["matmul", "784", "[32, 784]", "[10, 784]",
                                                                   "transpose_y=True"]),
    "shapes": (lambda: ones(2, 3) + ones(4), ValueError, ["add", "[2, 3]", "[4]"]),
    "dtypes": (lambda: paddle.to_tensor([1]) + ones(1), TypeError, ["add", "int64", "float32", "astype"]),
    "text": (lambda: ones(2) + "a", TypeError, ["add", "str"]),
    "none": (lambda: ones(2) + None, TypeError, ["add", "tensor", "None"]),
    "a list": (lambda: nn.Linear(2, 4)([1.0, 2.0]), TypeError, ["linear", "x", "list", "to_tensor"]),
    "no input": (lambda: F.relu(None), TypeError, ["relu", "x", "None"]),
    "text to gelu": (lambda: F.gelu("a"), TypeError, ["gelu", "str"]),
    "sizes of a layer": (lambda: nn.Linear(3.5, 3), TypeError, ["linear", "3.5"]),
    "conv channels": (lambda: nn.Conv2D(3, 4, 3)(ones(1, 2, 8, 8)), ValueError, ["conv2d", "3 channels", "got 2"]),
    "ids in a layer norm": (lambda: nn.LayerNorm(4)(ones(1, 4, dtype="int64")), TypeError, ["layer_norm", "int64",
                                                                                           "astype"]),
    "ids in a batch norm": (lambda: nn.BatchNorm1D(4)(ones(1, 4, dtype="int64")), TypeError, ["batch_norm", "int64"]),
    "dropout p": (lambda: nn.Dropout(1.5), ValueError, ["Dropout", "[0, 1]", "1.5"]),
    "dropout text": (lambda: nn.Dropout("a"), TypeError, ["Dropout", "'a'"]),
    "dropout mode": (lambda: nn.Dropout(mode="x"), ValueError, ["Dropout", "upscale_in_train", "'x'"]),
    "deviation": (lambda: nn.initializer.Normal(std=-1.0), ValueError, ["Normal", "std", "-1"]),
    "mse": (lambda: F.mse_loss(ones(3, 3), ones(2, 3)), ValueError, ["mse_loss", "[3, 3]", "[2, 3]"]),
    "l1": (lambda: F.l1_loss(ones(3, 3), ones(2, 3)), ValueError, ["l1_loss", "[3, 3]", "[2, 3]"]),
    "bce": (lambda: F.binary_cross_entropy(ones(1), ones(2)), ValueError, ["binary_cross_entropy", "[1]", "[2]"]),
    "bce logits": (lambda: F.binary_cross_entropy_with_logits(ones(2, 1), ones(2)), ValueError,
                   ["binary_cross_entropy_with_logits", "[2, 1]", "[2]"]),
    "stack": (lambda: paddle.stack([ones(2), ones(3)]), ValueError, ["stack", "[2], [3]"]),
    "index": (lambda: ones(3)[40], IndexError, ["getitem", "40", "3"]),
    "indices": (lambda: ones(3)[0, 0], IndexError, ["getitem", "[3]"]),
    "axis": (lambda: ones(2, 3).argmax(7), ValueError, ["argmax", "7"]),
    "gather by floats": (lambda: paddle.gather(ones(3), ones(1)), TypeError, ["gather", "float32", "int64"]),
    "gather too far": (lambda: paddle.gather(ones(3), paddle.to_tensor([9])), IndexError, ["9", "3"]),
    "condition": (lambda: paddle.where(ones(2), ones(2), ones(2)), TypeError, ["where", "bool", "float32"]),
    "class": (lambda: F.one_hot(paddle.to_tensor([5]), 3), ValueError, ["one_hot", "[0, 3)", "5"]),
    "integers' limits": (lambda: paddle.iinfo("float32"), ValueError, ["iinfo", "float32"]),
    "a dataset": (lambda: io.DataLoader(3), TypeError, ["DataLoader", "dataset", "int"]),
    "a device": (lambda: paddle.set_device("tpu"), ValueError, ["'tpu'", "'gpu'"]),
    "to a device": (lambda: ones(2).cuda(63), ValueError, ["gpu:63"]),
    "at a device": (lambda: paddle.to_tensor([1.0], place="gpu:63"), ValueError, ["gpu:63"]),
    "an argument": (lambda: nn.Conv2D(3, 4, 3, pading=1), TypeError, ["Conv2D", "pading"]),
    "no scalar": (lambda: (leaf() * 2).backward(), UserWarning, ["backward", "one element", "[2]", "grad_tensor"]),
    "no gradient": (lambda: ones(1).backward(), RuntimeError, ["backward", "stop_gradient=False"]),
    "backward twice": (lambda: back_twice(), RuntimeError, ["second time", "retain_graph=True"]),
    "a freed graph": (lambda: back_through_freed(), RuntimeError, ["another result", "retain_graph=True"]),
}


def leaf():
    x = ones(2)
    x.stop_gradient = False
    return x


def back_twice():
    loss = (leaf() * 2).sum()
    loss.backward()
    loss.backward()


def back_through_freed():
    shared = leaf().exp()
    shared.sum().backward()
    (shared * 3).sum().backward()


@pytest.mark.parametrize("name", CASES)
def test_the_error_says_what_was_wrong(name):
    call, kind, parts = CASES[name]
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    for part in parts:
        assert part in text, text
    assert "Size(" not in text, text


def test_shapes_in_messages_are_plain_lists():
    with pytest.raises(ValueError, match=r"shape \[2, 3\]"):
        bool(ones(2, 3))
    with pytest.raises(ValueError, match=r"got \[3, 2\]"):
        F.cross_entropy(ones(3, 3), ones(3, 2), soft_label=True)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_batch_passes_through_a_network(rows):
    net = nn.Sequential(nn.Conv2D(1, 4, 3, padding=1), nn.BatchNorm2D(4), nn.ReLU(), nn.MaxPool2D(2), nn.Flatten(),
                        nn.Linear(64, 8), nn.LayerNorm(8), nn.Dropout(0.5), nn.Linear(8, 3))
    net.eval()
    out = net(ones(rows, 1, 8, 8))
    assert out.shape == [rows, 3]
    out.sum().backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in net.parameters() if p.grad is not None)


def test_a_mean_of_nothing_is_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(ones(0, 3).mean().item())
        assert np.isnan(F.mse_loss(ones(0, 3), ones(0, 3)).item())


def test_sixteen_bit_numbers_print_as_paddle_prints_them():
    for dtype, third in (("bfloat16", "0.33398438"), ("float16", "0.33325195")):
        assert f"[1.        , {third}]" in repr(paddle.to_tensor([1, 1 / 3]).astype(dtype))
