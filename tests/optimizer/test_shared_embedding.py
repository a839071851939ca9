"""One weight, shared by name, looked up with sparse gradients and used whole: it trains as if all were dense."""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow.ops.rows import SparseRows
from gpuflow.utils import unique_name
from tests.optimizer.helpers import CLOSE

IDS = np.array([[1, 5, 1], [6, 0, 5], [2, 2, 2], [5, 1, 0]])
GOALS = np.array([[2, 1, 0], [0, 6, 6], [3, 2, 1], [4, 4, 5]])


class Tied(nn.Layer):
    """The table is the embedding of two inputs and, turned, the output projection."""

    def __init__(self, sparse, second_sparse):
        super().__init__()
        attr = gpuflow.ParamAttr(name="table", initializer=nn.initializer.Assign(
            np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)))
        self.first = nn.Embedding(7, 3, sparse=sparse, weight_attr=attr)
        self.second = nn.Embedding(7, 3, sparse=second_sparse, weight_attr=attr)
        self.mix = nn.Linear(3, 3, weight_attr=nn.initializer.Assign(np.eye(3, dtype=np.float32) + 0.1))
        self.table = self.create_parameter([7, 3], attr)

    def loss(self, k, uses):
        """uses: among "first", "second" and "head", in the order of computation."""
        ids, goals = gpuflow.to_tensor(IDS[k % 4]), gpuflow.to_tensor(GOALS[k % 4])
        parts = []
        for use in uses:
            if use == "head":
                hidden = self.mix(sum(parts[1:], parts[0]) if parts else gpuflow.ones([3, 3]))
                parts.append(gpuflow.matmul(hidden, self.table, transpose_y=True).sum(-1, keepdim=True) * 0.1)
                parts.append(nn.functional.cross_entropy(gpuflow.matmul(hidden, self.table, transpose_y=True), goals))
            else:
                parts.append(self.mix(getattr(self, use)(ids)))
        return sum([part.mean() for part in parts[1:]], parts[0].mean())


def trained(cls, sparse, second_sparse, uses, accumulate=1, **options):
    with unique_name.guard():
        model = Tied(sparse, second_sparse)
    assert model.first.weight is model.second.weight is model.table and len(model.parameters()) == 3
    opt = cls(0.1, parameters=model.parameters(), **options)
    kinds, norms = [], []
    for k in range(6):
        for j in range(accumulate):
            model.loss(k + j, uses[k % len(uses)]).backward()
        kinds.append(type(model.table._grad))
        opt.step()
        norms.append(float(opt.last_grad_norm) if "grad_clip" in options else 0.0)
        opt.clear_grad()
    return [p.numpy() for p in model.parameters()], norms, kinds


ORDERS = {"lookup, then whole": [("first", "head")], "whole, then lookup": [("head", "first")],
          "lookups on both sides": [("first", "head", "second")], "lookups alone": [("first", "second")],
          "by turns": [("first",), ("first", "head"), ("head",), ("second", "first"), ("second", "head", "first")]}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(("cls", "options"), [
    (optimizer.SGD, {}), (optimizer.Adam, {}), (optimizer.AdamW, {"weight_decay": 0.1}),
    (optimizer.SGD, {"grad_clip": nn.ClipGradByGlobalNorm(0.3)}),
    (optimizer.Adam, {"grad_clip": nn.ClipGradByGlobalNorm(0.3), "weight_decay": 0.1}),
    (optimizer.AdamW, {"grad_clip": nn.ClipGradByGlobalNorm(0.3)})])
def test_sparse_in_one_use_and_dense_in_another(cls, options, accumulate, order):
    uses = ORDERS[order]
    dense, norms, kinds = trained(cls, False, False, uses, accumulate, **options)
    assert SparseRows not in kinds
    for second in (False, True):
        found, found_norms, kinds = trained(cls, True, second, uses, accumulate, **options)
        for a, b in zip(found, dense):   # Adam divides by what may be small: roundings of sums in another order grow
            np.testing.assert_allclose(a, b, rtol=CLOSE["rtol"], atol=2e-6 if cls is not optimizer.SGD else 2e-7)
        np.testing.assert_allclose(found_norms, norms, rtol=1e-5)
    assert (SparseRows in kinds) == (order in ("lookups alone", "by turns"))   # where nothing used it whole
    assert not np.allclose(dense[0], Tied(False, False).table.numpy(), atol=0.01)   # it moved
