"""The keywords that functions share: out, device, requires_grad, alpha, rounding_mode; side and sorter."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow.functional.keywords import MAKE, TAKE_OUT

A, B = [5.0, -3.0], [2.0, 2.0]


def test_out_takes_the_result_its_dtype_and_its_gradient():
    x, out = paddle.to_tensor(A, stop_gradient=False), paddle.zeros([2], "float64")
    assert paddle.multiply(x, paddle.to_tensor(B), out=out) is out
    assert out.dtype == "float64" and out.tolist() == [10, -6]
    out.sum().backward()
    assert x.grad.tolist() == B
    total = paddle.zeros([])
    assert paddle.sum(paddle.to_tensor(A), out=total) is total and total.item() == 2
    values, places = paddle.zeros([1]), paddle.zeros([1], "int64")
    paddle.topk(paddle.to_tensor(A), 1, out=(values, places))
    assert (values.item(), places.item()) == (5, 0)
    with pytest.raises(ValueError, match="2 tensors"):
        paddle.topk(paddle.to_tensor(A), 1, out=values)


def test_out_in_a_program():
    paddle.enable_static()
    x = paddle.static.data("x", [2])
    out = paddle.zeros([2])
    paddle.exp(x, out=out)
    found, = paddle.static.Executor().run(feed={"x": np.array(A, "float32")}, fetch_list=[out])
    paddle.disable_static()
    np.testing.assert_allclose(found, np.exp(A), rtol=1e-6)


def test_each_name_of_the_tables_is_a_function():
    assert all(callable(getattr(paddle, name)) for name in (*TAKE_OUT, *MAKE))


@pytest.mark.parametrize("name", ["zeros", "rand", "empty"])
def test_new_tensors_where_and_how(name):
    made = getattr(paddle, name)([2], requires_grad=True, device="cpu")
    assert made.shape == [2] and not made.stop_gradient and made.place.is_cpu_place()
    assert paddle.arange(3).stop_gradient


def test_alpha_weighs_the_second_operand():
    x, y = paddle.to_tensor(A), paddle.to_tensor(B)
    assert paddle.add(x, y, alpha=2).tolist() == [9, 1] and paddle.sub(x, y, alpha=2).tolist() == [1, -7]
    assert paddle.index_add(x, paddle.to_tensor([0]), 0, paddle.to_tensor([1.0]), 3).tolist() == [8, -3]


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_quotients_made_whole(dtype):
    x, y = paddle.to_tensor([5, -3, -4]).astype(dtype), paddle.to_tensor([2, 2, -3]).astype(dtype)
    assert paddle.divide(x, y, rounding_mode="trunc").tolist() == [2, -1, 1]
    assert paddle.div(x, y, rounding_mode="floor").tolist() == [2, -2, 1]
    assert paddle.divide(x, y, rounding_mode="trunc").dtype == dtype
    with pytest.raises(ValueError, match="rounding_mode"):
        paddle.divide(x, y, rounding_mode="up")


def test_searchsorted_by_side_and_by_an_order():
    rising = paddle.to_tensor([1.0, 3, 5])
    three = paddle.to_tensor([3.0])
    assert paddle.searchsorted(rising, three, side="right").tolist() == [2]
    assert paddle.searchsorted(rising.flip(0), three, sorter=paddle.to_tensor([2, 1, 0])).tolist() == [1]
    with pytest.raises(ValueError, match="side"):
        paddle.searchsorted(rising, three, right=True, side="left")
