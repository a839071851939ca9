"""Datasets, samplers, collating, and the DataLoader without workers."""
import itertools

import numpy as np
import pytest

import gpuflow
from gpuflow import io
from gpuflow.io import (
    BatchSampler,
    ChainDataset,
    ComposeDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedBatchSampler,
    IterableDataset,
    RandomSampler,
    SequenceSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate_fn,
    random_split,
)
from gpuflow.io.collate import take_batch
from gpuflow.tensor import Tensor


class Items(Dataset):
    def __init__(self, items):
        self.items = list(items)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Stream(IterableDataset):
    def __init__(self, items):
        self.items = list(items)

    def __iter__(self):
        return iter(self.items)


PADDLE = ["Dataset", "IterableDataset", "TensorDataset", "ComposeDataset", "ChainDataset", "BatchSampler",
          "DistributedBatchSampler", "DataLoader", "get_worker_info", "Sampler", "SequenceSampler", "RandomSampler",
          "WeightedRandomSampler", "random_split", "Subset", "SubsetRandomSampler", "ConcatDataset"]


def test_all_of_paddle_io_is_here():
    assert set(PADDLE) <= set(io.__all__) and all(hasattr(io, name) for name in io.__all__)


# ---- datasets --------------------------------------------------------------------------------------------------------

def test_combinations():
    a, b = Items(range(3)), Items("xyz")
    assert [ComposeDataset([a, b])[i] for i in range(3)] == [(0, "x"), (1, "y"), (2, "z")]
    assert ComposeDataset([Items([(1, 2)]), Items([3])])[0] == (1, 2, 3)
    both = ConcatDataset([a, Items([]), b])
    assert [both[i] for i in range(-6, 6)] == [0, 1, 2, "x", "y", "z"] * 2
    for outside in (6, -7):
        with pytest.raises(IndexError):
            both[outside]
    assert list(ChainDataset([Stream([1, 2]), Stream([3])])) == [1, 2, 3]
    assert [Subset(b, [2, 0, 2])[i] for i in range(3)] == ["z", "x", "z"]
    with pytest.raises(ValueError, match="one length"):
        ComposeDataset([a, Items([1])])
    with pytest.raises(TypeError):
        ConcatDataset([Stream([1])])
    with pytest.raises(TypeError):
        ChainDataset([a])
    with pytest.raises(ValueError, match="first sizes"):
        TensorDataset([np.zeros(3), np.zeros(2)])


def test_an_iterable_dataset_has_no_length_and_still_makes_a_list():
    assert list(Stream([1, 2])) == [1, 2]
    loader = DataLoader(Stream([1, 2, 3]), batch_size=2)
    assert [batch.numpy().tolist() for batch in list(loader)] == [[1, 2], [3]]
    for kind in (TypeError, ValueError):
        with pytest.raises(kind):
            len(loader)


def test_random_split():
    gpuflow.seed(1)
    parts = random_split(Items(range(10)), [3, 7])
    assert [len(part) for part in parts] == [3, 7]
    assert sorted(itertools.chain(*([part[i] for i in range(len(part))] for part in parts))) == list(range(10))
    gpuflow.seed(1)
    assert random_split(Items(range(10)), [3, 7])[0].indices == parts[0].indices
    assert [len(part) for part in random_split(Items(range(11)), [0.5, 0.25, 0.25])] == [6, 3, 2]
    assert [len(part) for part in random_split(Items(range(10)), [0.3, 0.7])] == [3, 7]
    for wrong in ([3, 6], [-1, 11], [0.5, 0.4]):
        with pytest.raises(ValueError, match="add up"):
            random_split(Items(range(10)), wrong)
    with pytest.warns(UserWarning, match="empty"):
        random_split(Items([1]), [0.5, 0.5])


# ---- samplers --------------------------------------------------------------------------------------------------------

def test_random_samplers_repeat_with_the_seed_and_differ_between_passes():
    sampler = RandomSampler(range(50))
    gpuflow.seed(4)
    first, second = list(sampler), list(sampler)
    gpuflow.seed(4)
    assert list(sampler) == first != second
    assert sorted(first) == list(range(50)) == list(SequenceSampler(range(50)))
    assert len(list(RandomSampler(range(3), replacement=True, num_samples=9))) == 9
    assert list(RandomSampler(range(3), generator=iter([2, 2, 1]))) == [2, 2, 1]
    assert sorted(SubsetRandomSampler([5, 7, 9])) == [5, 7, 9]
    with pytest.raises(ValueError):
        RandomSampler(range(3), num_samples=4)
    with pytest.raises(ValueError):
        SubsetRandomSampler([])


def test_weights():
    drawn = list(WeightedRandomSampler([0, 1, 3], 4000))
    assert 0 not in drawn and 0.7 < drawn.count(2) / 4000 < 0.8
    assert sorted(WeightedRandomSampler(gpuflow.to_tensor([0.1, 5.0, 0.0]), 2, replacement=False)) == [0, 1]
    rows = WeightedRandomSampler([[1, 0], [0, 1]], 3)
    assert list(rows) == [0, 0, 0, 1, 1, 1] and len(rows) == 6
    for wrong in ([0, 0], [-1, 2], [float("nan"), 1], [float("inf"), 1]):
        with pytest.raises(ValueError):
            WeightedRandomSampler(wrong, 1)
    with pytest.raises(ValueError, match="above zero"):
        WeightedRandomSampler([1, 0], 2, replacement=False)


def test_batch_sampler():
    assert list(BatchSampler(range(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(sampler=[4, 3, 2], batch_size=2, drop_last=True)) == [[4, 3]]
    assert [len(BatchSampler(range(5), batch_size=2, drop_last=drop)) for drop in (True, False)] == [2, 3]
    for wrong in ({}, {"dataset": range(3), "sampler": [1]}, {"dataset": range(3), "batch_size": 0},
                  {"sampler": [1], "shuffle": True}):
        with pytest.raises(ValueError):
            BatchSampler(**wrong)


def test_distributed_batches_follow_paddle():
    """Expected lists: paddle.io.DistributedBatchSampler 3.3.1."""
    ranks = [list(DistributedBatchSampler(range(11), 3, num_replicas=2, rank=rank)) for rank in (0, 1)]
    assert ranks == [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 0]]]
    ranks = [list(DistributedBatchSampler(range(9), 3, num_replicas=2, rank=rank)) for rank in (0, 1)]
    assert ranks == [[[0, 1, 2], [6, 7]], [[3, 4, 5], [8, 0]]]
    ranks = [DistributedBatchSampler(range(10), 2, num_replicas=4, rank=rank, shuffle=True) for rank in range(4)]
    assert [list(sampler) for sampler in ranks] == [[[6, 1], [9]], [[4, 0], [3]], [[2, 8], [0]], [[1, 7], [5]]]
    for sampler in ranks:
        sampler.set_epoch(5)
    assert [list(sampler) for sampler in ranks] == [[[7, 5], [0]], [[2, 9], [0]], [[1, 4], [6]], [[8, 1], [3]]]
    assert [list(sampler) for sampler in ranks] == [[[8, 1], [4]], [[1, 6], [3]], [[0, 7], [9]], [[5, 2], [0]]]
    for samples, batch_size, length, batches in ((10, 2, 1, [[4, 5]]), (10, 3, 1, [[6, 7, 8]]), (7, 3, 0, [])):
        sampler = DistributedBatchSampler(range(samples), batch_size, num_replicas=4, rank=2, drop_last=True)
        assert list(sampler) == batches and len(sampler) == length
    sampler = DistributedBatchSampler(range(5), 2, shuffle=True, drop_last=True)
    order = np.arange(5)
    np.random.RandomState(3).shuffle(order)
    sampler.set_epoch(3)
    assert list(sampler) == [order[:2].tolist(), order[2:4].tolist()] and sampler.epoch == 4 and len(sampler) == 2
    assert list(DistributedBatchSampler(range(1), 1, num_replicas=3, rank=2)) == [[0]]
    with pytest.raises(ValueError, match="rank"):
        DistributedBatchSampler(range(5), 2, num_replicas=2, rank=2)


# ---- batches ---------------------------------------------------------------------------------------------------------

def test_collate_by_structure():
    samples = [{"x": np.full(2, i, np.float32), "n": (i, 0.5), "s": f"t{i}", "t": gpuflow.to_tensor([i])}
               for i in range(3)]
    batch = default_collate_fn(samples)
    assert batch["x"].dtype == np.float32 and batch["x"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert batch["n"][0].dtype == np.int64 and batch["n"][1].dtype == np.float64 and batch["s"] == ["t0", "t1", "t2"]
    assert isinstance(batch["t"], Tensor) and batch["t"].shape == [3, 1]
    assert default_collate_fn([np.float32(1), np.float32(2)]).dtype == np.float32
    assert default_collate_fn([np.zeros(1, np.float32), np.zeros(1)]).dtype == np.float64
    assert default_collate_fn([True, False]).dtype == bool
    assert default_collate_fn([np.array(1.0), np.array(2.0)]).tolist() == [1, 2]
    for wrong, says in (([np.zeros(2), np.zeros(3)], r"\[3\] in sample 1"), ([(1, 2), (1,)], "2 fields"),
                        ([{"a": 1}, {"b": 1}], "keys of sample 0"), ([None, None], "NoneType")):
        with pytest.raises((ValueError, TypeError), match=says):
            default_collate_fn(wrong)


def test_batches_are_tensors_of_the_right_kind():
    loader = DataLoader(Items([(np.zeros(2, np.float32), i, f"s{i}") for i in range(5)]), batch_size=2)
    batch = next(iter(loader))
    assert type(batch) is list and [type(field) for field in batch] == [Tensor, Tensor, list]
    assert batch[0].stop_gradient and batch[1].dtype == "int64"
    assert len(loader) == 3 and len(list(loader())) == 3
    assert isinstance(next(iter(DataLoader(Items([1, 2])))), Tensor)
    assert next(iter(DataLoader(Items(["a", "b"]), batch_size=2))) == ["a", "b"]
    off = next(iter(DataLoader(Items([(np.ones(2), 3)]), batch_size=None)))
    assert type(off) is list and isinstance(off[0], Tensor) and off[1] == 3
    own = DataLoader(Items(range(4)), batch_size=2, collate_fn=lambda samples: {"k": 3, "a": (np.array(samples), None)})
    assert next(iter(own))["k"] == 3 and isinstance(next(iter(own))["a"][0], Tensor)


def test_batches_by_name():
    """A list of one dict, as paddle.io.DataLoader 3.3.1 gives in static mode, which asks for feed_list as well."""
    batches = list(DataLoader(Items([(1, 2.0)] * 3), feed_list=["x", "y"], return_list=False, batch_size=2))
    assert [len(batch) for batch in batches] == [1, 1] and list(batches[0][0]) == ["x", "y"]
    assert batches[0][0]["x"].numpy().tolist() == [1, 1] and batches[1][0]["y"].numpy().tolist() == [2.0]
    with pytest.raises(ValueError, match="got 3"):
        next(iter(DataLoader(Items([(1, 2, 3)]), feed_list=["x", "y"], return_list=False)))


def test_a_batch_never_shares_memory_with_the_dataset():
    array = np.zeros((4, 3), np.float32)
    tensor = gpuflow.to_tensor(array)
    for loader in (DataLoader(Items(array), batch_size=None), DataLoader(TensorDataset([array, tensor]), batch_size=2),
                   DataLoader(Items(array), batch_size=2, collate_fn=lambda samples: array[:2])):
        for batch in loader:
            for field in batch if isinstance(batch, list) else [batch]:
                field._array[...] = 9
    assert not array.any() and not tensor.numpy().any()


def test_the_fast_path_gives_what_collating_gives():
    x, y = np.arange(24.0).reshape(6, 2, 2), gpuflow.to_tensor(np.arange(6))
    flags = np.array([True, False] * 3)
    for dataset in (TensorDataset([x, y, flags]), Subset(TensorDataset([x, y]), [5, 3, 3, 0]),
                    ComposeDataset([TensorDataset([x]), TensorDataset([y])])):
        rows = [3, 0, 1]
        fast, slow = take_batch(dataset, rows), default_collate_fn([dataset[i] for i in rows])
        assert len(fast) == len(slow)
        for a, b in zip(fast, slow):
            assert type(a) is type(b)
            a, b = (a._array, b._array) if isinstance(a, Tensor) else (a, b)
            assert a.dtype == b.dtype and (a == b).all() and a.shape == b.shape
    with pytest.raises(IndexError):
        take_batch(TensorDataset([x]), [6])

    class Doubled(TensorDataset):
        def __getitem__(self, i):
            return tuple(2 * field for field in super().__getitem__(i))

    assert take_batch(Doubled([x]), [1]) is None   # a subclass means what it says
    assert (next(iter(DataLoader(Doubled([x]), batch_size=6)))[0].numpy() == 2 * x).all()
    trained = gpuflow.to_tensor(x, stop_gradient=False)
    assert take_batch(TensorDataset([trained]), [1]) is None


def test_shuffling_does_not_depend_on_workers_and_repeats():
    def order():
        return [int(i) for _ in range(2) for batch in DataLoader(Items(range(9)), batch_size=4, shuffle=True)
                for i in batch.numpy()]

    gpuflow.seed(2)
    first = order()
    gpuflow.seed(2)
    assert order() == first and sorted(first[:9]) == list(range(9)) and first[:9] != first[9:]


def test_batches_live_on_the_device(device):
    for dataset in (TensorDataset([gpuflow.to_tensor(np.eye(4, dtype=np.float32))]), Items(np.eye(4))):
        for batch in DataLoader(dataset, batch_size=2, shuffle=True):
            assert str((batch[0] if isinstance(batch, list) else batch).place) == device
    assert str(next(iter(DataLoader(Items([1]), places="cpu"))).place) == "cpu"


@pytest.mark.parametrize("options, says", [
    ({"num_workers": -1}, "num_workers"), ({"batch_size": 0}, "batch_size"), ({"prefetch_factor": 0}, "prefetch_f"),
    ({"timeout": 3}, "num_workers > 0"), ({"persistent_workers": True}, "num_workers > 0"),
    ({"worker_init_fn": print}, "num_workers > 0"), ({"prefetch_factor": 4}, "num_workers > 0"),
    ({"timeout": -1}, "timeout"), ({"reader_buffer_size": 3}, "no effect"), ({"return_list": False}, "feed_list"),
    ({"batch_sampler": [[0]], "shuffle": True}, "batch_sampler"), ({"batch_size": None, "drop_last": True}, "drop_l"),
    ({"places": ["cpu", "cpu"]}, "one place"), ({"collate_fn": 3}, "function")])
def test_arguments_that_make_no_sense_or_do_nothing_are_refused(options, says):
    with pytest.raises((ValueError, TypeError), match=says):
        DataLoader(Items([1, 2]), **options)


def test_iterable_datasets_refuse_what_needs_indices():
    for options in ({"shuffle": True}, {"batch_sampler": [[0]]}):
        with pytest.raises(ValueError, match="IterableDataset"):
            DataLoader(Stream([1]), **options)
