"""Embedding: gradients dense and sparse, padding, ids out of range, shared tables."""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn
from gpuflow.nn import functional as F
from gpuflow.ops.rows import SparseRows

IDS = np.array([[0, 2, 2], [4, 0, 2]])


def table(sparse=False, **kwargs):
    gpuflow.seed(0)
    return nn.Embedding(5, 3, sparse=sparse, **kwargs)


def test_sparse_and_dense_gradients_agree():
    dense, sparse = table(), table(sparse=True)
    for layer in (dense, sparse):
        (layer(gpuflow.to_tensor(IDS)) ** 2).sum().backward()
    assert isinstance(sparse.weight.grad, SparseRows) and len(sparse.weight.grad.rows) == 6
    np.testing.assert_allclose(sparse.weight.grad.numpy(), dense.weight.grad.numpy(), rtol=1e-6)
    counts = np.bincount(IDS.reshape(-1), minlength=5)[:, None]
    np.testing.assert_allclose(dense.weight.grad.numpy(), 2 * counts * dense.weight.numpy(), rtol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_padding_row_is_zero_and_stays_out_of_the_gradient(sparse):
    layer = table(sparse, padding_idx=-3)
    assert not layer.weight.numpy()[2].any()
    layer.weight.set_value(np.ones((5, 3), np.float32))   # zeros come from the id, not from the row
    out = layer(gpuflow.to_tensor(IDS))
    assert not out.numpy()[IDS == 2].any() and (out.numpy()[IDS != 2] == 1).all()
    out.sum().backward()
    grad = layer.weight.grad.numpy()
    assert not grad[2].any() and grad[0].tolist() == [2, 2, 2]


def test_the_gradient_goes_into_the_range_an_optimizer_keeps():
    layer = table(padding_idx=2)
    slot = np.full((5, 3), 7, np.float32)
    layer.weight._grad_slot = slot
    layer(gpuflow.to_tensor(IDS)).sum().backward()
    assert layer.weight.grad._array is slot and slot[:, 0].tolist() == [2, 0, 0, 0, 1]


@pytest.mark.parametrize("bad", [5, -1])
def test_an_id_out_of_range_is_named(bad):
    with pytest.raises(IndexError, match=rf"embedding: expected ids in \[0, 5\), got {bad}"):
        table()(gpuflow.to_tensor([0, bad]))


def test_other_errors():
    with pytest.raises(TypeError, match="integer ids"):
        table()(gpuflow.to_tensor([0.0]))
    for bad in ({"num_embeddings": 0, "embedding_dim": 3}, {"num_embeddings": 3, "embedding_dim": -1},
                {"num_embeddings": 3, "embedding_dim": 1, "padding_idx": 3}):
        with pytest.raises(ValueError, match=r"expected .* got"):
            nn.Embedding(**bad)
    with pytest.raises(ValueError, match="scale_grad_by_freq or sparse"):
        F.embedding(gpuflow.to_tensor([0]), table().weight, sparse=True, scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match="sparse=False"):
        layer = table(sparse=True)
        gpuflow.grad((layer(gpuflow.to_tensor([1])) ** 2).sum(), [layer.weight], create_graph=True)


def test_given_and_frozen_weights():
    w = gpuflow.to_tensor(np.arange(6, dtype=np.float32).reshape(3, 2))
    layer = nn.Embedding(3, 2, _weight=w, _freeze=True)
    assert layer.weight.stop_gradient and layer(gpuflow.to_tensor([2])).numpy().tolist() == [[4, 5]]
    with pytest.raises(ValueError, match="_weight"):
        nn.Embedding(4, 2, _weight=w)


def test_max_norm_shortens_the_rows_used_in_place():
    layer = nn.Embedding(3, 2, max_norm=1.0, weight_attr=nn.initializer.Constant(3.0))
    layer(gpuflow.to_tensor([0, 2, 0]))
    lengths = np.linalg.norm(layer.weight.numpy(), axis=1)
    np.testing.assert_allclose(lengths, [1, 3 * np.sqrt(2), 1], rtol=1e-6)


def test_one_table_sparse_here_and_dense_there():
    attr = gpuflow.ParamAttr(name="shared table")
    a, b = nn.Embedding(5, 3, sparse=True, weight_attr=attr), nn.Embedding(5, 3, weight_attr=attr)
    assert a.weight is b.weight
    (a(gpuflow.to_tensor([1])).sum() + b(gpuflow.to_tensor([1, 2])).sum()).backward()
    assert a.weight.grad.numpy()[:, 0].tolist() == [0, 2, 1, 0, 0]


def test_ids_of_any_integer_dtype_and_shape(device):
    layer = table()
    for dtype in ("int32", "int64", "uint8", "int16"):
        for shape in ((), (0,), (2, 1, 3)):
            ids = gpuflow.to_tensor(np.zeros(shape), dtype=dtype)
            assert layer(ids).shape == [*shape, 3]
