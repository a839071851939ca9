"""paddle.distributed in one process, and recompute."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import amp, distributed as dist, nn
from gpuflow.distributed import fleet
from gpuflow.distributed.fleet.utils import recompute


def test_this_process_is_the_first_of_one(monkeypatch):
    monkeypatch.setattr("gpuflow.distributed.parallel._initialized", False)
    assert not dist.is_initialized()
    environment = dist.init_parallel_env()
    assert dist.is_initialized()
    assert (dist.get_rank(), dist.get_world_size(), environment.nranks, environment.dev_id) == (0, 1, 1, 0)
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    with pytest.raises(RuntimeError, match="PADDLE_TRAINERS_NUM=2"):
        dist.init_parallel_env()


def test_operations_of_a_group_of_one():
    x, out = paddle.to_tensor([1.0, 2.0]), paddle.zeros([2])
    dist.all_reduce(x, op=dist.ReduceOp.MAX).wait()
    dist.broadcast(x, 0)
    gathered, objects, exchanged = [], [], []
    dist.all_gather(gathered, x)
    dist.all_gather_object(objects, {"a": 1})
    dist.alltoall(exchanged, [x])
    dist.scatter(out, [x])
    for got in (x, gathered[0], exchanged[0], out):
        assert got.tolist() == [1.0, 2.0]
    assert objects == [{"a": 1}] and dist.new_group([0]).nranks == 1


@pytest.mark.parametrize("call", [lambda x: dist.broadcast(x, 1), lambda x: dist.new_group([0, 1]),
                                  lambda x: dist.scatter(x, [x, x])])
def test_what_needs_other_processes_is_refused(call):
    with pytest.raises(ValueError, match="one"):
        call(paddle.ones([2]))


def test_data_parallel_trains_the_layer_and_has_its_keys():
    net = nn.Linear(3, 2)
    parallel = paddle.DataParallel(net)
    with parallel.no_sync():
        parallel.scale_loss(parallel(paddle.ones([1, 3])).sum()).backward()
    assert net.weight.grad is not None
    assert list(parallel.state_dict()) == ["weight", "bias"]
    parallel.set_state_dict({"weight": np.zeros((3, 2), "float32"), "bias": np.ones(2, "float32")})
    assert net.bias.tolist() == [1.0, 1.0]
    assert fleet.distributed_model(net) is net


def gradients(net, x, call):
    x = x.detach()
    x.stop_gradient = False
    paddle.seed(3)
    net.clear_gradients()
    out = call(net, x)
    (out * out).sum().backward()
    return [out.numpy(), x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]


def test_recompute_gives_the_same_gradients():
    net, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)), paddle.randn([3, 4])
    plain = gradients(net, x, lambda f, x: f(f(x)))
    again = gradients(net, x, lambda f, x: f(recompute(f, x)))   # the same parameters outside as well
    for a, b in zip(plain, again, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)


def test_recompute_repeats_random_numbers_and_auto_cast():
    seen = []

    def part(x, scale):
        y = nn.functional.dropout(x, 0.5) @ scale["by"]
        seen.append(y)
        return y, None

    x, by = paddle.ones([8, 8]), paddle.ones([8, 8])
    x.stop_gradient = False
    with amp.auto_cast(dtype="bfloat16"):
        out, none = recompute(part, x, scale={"by": by})
    assert none is None and out.dtype == paddle.bfloat16
    paddle.seed(5)
    out.astype("float32").sum().backward()
    assert paddle.rand([]).item() == [paddle.seed(5), paddle.rand([]).item()][1]   # as if nothing had been drawn
    assert seen[1].dtype == paddle.bfloat16 and (seen[0] == seen[1]).all()
    kept = (x.grad.numpy() != 0).sum(1)
    np.testing.assert_array_equal(out.astype("float32").numpy()[:, 0], 2 * kept)


def test_recompute_where_only_parameters_need_a_gradient():
    net = nn.Linear(2, 2)
    recompute(net, paddle.ones([1, 2])).sum().backward()
    assert net.weight.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_layers_that_paddle_spreads_are_whole():
    parallel = fleet.meta_parallel
    column, row = parallel.ColumnParallelLinear(3, 4), parallel.RowParallelLinear(4, 2, has_bias=True)
    embedding = parallel.VocabParallelEmbedding(5, 3)
    with parallel.get_rng_state_tracker().rng_state("global_seed"):
        logits = row(column(embedding(paddle.to_tensor([1, 4]))))
    assert parallel.get_rng_state_tracker().states_ == {}
    assert column.bias is None and row.bias is not None and logits.shape == [2, 2]
    losses = parallel.ParallelCrossEntropy(ignore_index=1)(logits, paddle.to_tensor([0, 1]))
    assert losses.shape == [2, 1] and losses[1].item() == 0


def test_sequences_that_paddle_cuts_are_whole():
    from gpuflow.distributed.fleet.utils import sequence_parallel_utils as sequences

    layer = sequences.ColumnSequenceParallelLinear(2, 2, has_bias=True)
    sequences.mark_as_sequence_parallel_parameter(layer.bias)
    x = paddle.ones([3, 2])
    assert (sequences.GatherOp.apply(sequences.ScatterOp.apply(x)) == x).all() and layer(x).shape == [3, 2]
    assert sequences.register_sequence_parallel_allreduce_hooks(layer) is None


@pytest.mark.parametrize("interval", [0, 2])
def test_a_pipeline_in_one_process_runs_its_stages_in_order(interval):
    from gpuflow.distributed.fleet.meta_parallel import LayerDesc, PipelineLayer, SharedLayerDesc

    def decode(layer, x):
        return x @ layer.weight.T

    net = PipelineLayer([SharedLayerDesc("embedding", nn.Embedding, None, "weight", 5, 3), LayerDesc(nn.Linear, 3, 3),
                         nn.functional.relu, SharedLayerDesc("embedding", nn.Embedding, decode, "weight", 5, 3)],
                        num_stages=1, recompute_interval=interval)
    assert len(net.parameters()) == 3
    ids = paddle.to_tensor([0, 3])
    net(ids).sum().backward()
    table, linear = net.shared_layers["embedding"].weight, net._own[0]
    np.testing.assert_allclose(net(ids).numpy(), nn.functional.relu(linear(table[ids])).numpy() @ table.numpy().T,
                               rtol=1e-5, atol=1e-6)
    assert table.grad is not None and linear.weight.grad is not None


def test_groups_and_the_fleet_where_code_for_paddle_looks():
    from gpuflow.distributed.communication.group import _get_global_group
    from gpuflow.distributed.fleet import fleet as inner

    assert _get_global_group().nranks == 1 and inner.worker_num() == 1
