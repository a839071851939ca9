"""Samplers: which samples come, in which order, and how they are grouped into batches.

Random ones draw from `gpuflow.random.host_rng()`, so that `gpuflow.seed(n)` makes an epoch's order repeat.
"""
import math
from collections.abc import Iterable

import numpy as np

from gpuflow import random
from gpuflow.errors import explain
from gpuflow.io.arrays import host_array
from gpuflow.io.dataset import IterableDataset
from gpuflow.tensor import is_tensor


def _positive(where: str, name: str, value) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value <= 0:
        raise ValueError(explain(where, f"{name} to be an integer > 0", repr(value)))
    return int(value)


def _flag(where: str, name: str, value) -> bool:
    if not isinstance(value, bool):
        raise TypeError(explain(where, f"{name} to be True or False", repr(value)))
    return value


class Sampler:
    """Yields indices of samples. A subclass defines `__iter__`, and `__len__` where it is known."""

    def __init__(self, data_source=None):
        self.data_source = data_source

    def __iter__(self):
        raise NotImplementedError(explain(type(self).__name__, "a method __iter__(self)", "none"))


class SequenceSampler(Sampler):
    """0, 1, ..., len(data_source) - 1."""

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """Indices in random order.

    replacement: False draws each index at most once; True draws `num_samples` times from all.
    num_samples: how many; default len(data_source).
    generator: an iterator of indices to use instead of drawing (Paddle's meaning of the word), or a
        numpy.random.Generator to draw from.
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        super().__init__(data_source)
        self.replacement = _flag("RandomSampler", "replacement", replacement)
        self._num_samples = None if num_samples is None else _positive("RandomSampler", "num_samples", num_samples)
        self.generator = generator
        if not len(data_source):
            raise ValueError(explain("RandomSampler", "data with at least one sample", "an empty data_source"))
        if not replacement and self.num_samples > len(data_source):
            raise ValueError(explain("RandomSampler", f"num_samples <= {len(data_source)} without replacement",
                                     str(num_samples), "replacement=True"))

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        if self.generator is not None and not isinstance(self.generator, np.random.Generator):
            for _, index in zip(range(self.num_samples), self.generator):
                yield index
            return
        rng = random.host_rng() if self.generator is None else self.generator
        n = len(self.data_source)
        drawn = rng.integers(0, n, self.num_samples) if self.replacement else rng.permutation(n)[:self.num_samples]
        yield from drawn.tolist()

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in random order."""

    def __init__(self, indices):
        super().__init__()
        if not len(indices):
            raise ValueError(explain("SubsetRandomSampler", "at least one index", "none"))
        self.indices = indices

    def __iter__(self):
        return (self.indices[i] for i in random.host_rng().permutation(len(self.indices)).tolist())

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Indices drawn with probabilities proportional to `weights`.

    weights: [N] numbers >= 0, not all zero (tensor, array or list), or [K, N] for K draws of `num_samples`, one after
        the other.
    replacement: False draws each index at most once per row; then a row needs `num_samples` weights above zero.
    """

    def __init__(self, weights, num_samples, replacement=True):
        super().__init__()
        self.num_samples = _positive("WeightedRandomSampler", "num_samples", num_samples)
        self.replacement = _flag("WeightedRandomSampler", "replacement", replacement)
        self.weights = np.asarray(host_array(weights) if is_tensor(weights) else weights, dtype=np.float64)
        if self.weights.ndim not in (1, 2) or not self.weights.size:
            raise ValueError(explain("WeightedRandomSampler", "weights with one or two axes",
                                     f"shape {list(self.weights.shape)}"))
        if not np.all(np.isfinite(self.weights)) or np.any(self.weights < 0):
            raise ValueError(explain("WeightedRandomSampler", "finite weights >= 0", f"{weights!r}"[:80]))
        positive = (self._rows() > 0).sum(axis=1).min()
        needed = 1 if replacement else self.num_samples
        if positive < needed:
            raise ValueError(explain("WeightedRandomSampler", f"at least {needed} weights above zero in each row",
                                     str(positive), None if replacement else "replacement=True"))

    def _rows(self) -> np.ndarray:
        return self.weights.reshape(-1, self.weights.shape[-1])

    def __iter__(self):
        rng = random.host_rng()
        for row in self._rows():
            yield from rng.choice(len(row), self.num_samples, self.replacement, row / row.sum()).tolist()

    def __len__(self):
        return self.num_samples * len(self._rows())


class BatchSampler(Sampler):
    """Lists of `batch_size` indices, from a dataset (in order, or shuffled) or from another sampler.

    drop_last: leave out a last batch that is not full.
    """

    def __init__(self, dataset=None, sampler=None, shuffle=False, batch_size=1, drop_last=False):
        super().__init__(dataset)
        if (dataset is None) == (sampler is None):
            raise ValueError(explain("BatchSampler", "either dataset or sampler",
                                     "neither" if dataset is None else "both"))
        self.shuffle = _flag("BatchSampler", "shuffle", shuffle)
        self.drop_last = _flag("BatchSampler", "drop_last", drop_last)
        self.batch_size = _positive("BatchSampler", "batch_size", batch_size)
        if sampler is not None:
            if not isinstance(sampler, Sampler | Iterable):
                raise TypeError(explain("BatchSampler", "a sampler or an iterable of indices", type(sampler).__name__))
            if shuffle:
                raise ValueError(explain("BatchSampler", "shuffle=False beside a sampler", "shuffle=True",
                                         "a RandomSampler"))
            self.sampler = sampler
        elif isinstance(dataset, IterableDataset):
            raise TypeError(explain("BatchSampler", "a dataset with indices", "an IterableDataset"))
        else:
            self.sampler = RandomSampler(dataset) if shuffle and len(dataset) else SequenceSampler(dataset)

    def __iter__(self):
        batch = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self):
        return _batches(len(self.sampler), self.batch_size, self.drop_last)


def _batches(samples: int, batch_size: int, drop_last: bool) -> int:
    return samples // batch_size if drop_last else math.ceil(samples / batch_size)


class DistributedBatchSampler(BatchSampler):
    """The batches of one of several processes; together they cover the dataset once.

    Samples are dealt in blocks of `batch_size`, first block to rank 0 and so on; where they do not divide evenly, the
    first samples come twice, so that all ranks have the same number. Shuffling depends on the epoch alone
    (`set_epoch`), hence all ranks agree without talking to each other.

    num_replicas, rank: number of processes and which one this is; default: 1 process.
    """

    def __init__(self, dataset, batch_size, num_replicas=None, rank=None, shuffle=False, drop_last=False):
        super().__init__(dataset, batch_size=batch_size, drop_last=drop_last)
        where = "DistributedBatchSampler"
        self.dataset = dataset
        self.shuffle = _flag(where, "shuffle", shuffle)
        self.nranks = 1 if num_replicas is None else _positive(where, "num_replicas", num_replicas)
        self.local_rank = 0 if rank is None else rank
        if isinstance(rank, bool) or not isinstance(self.local_rank, int) or not 0 <= self.local_rank < self.nranks:
            raise ValueError(explain(where, f"rank in [0, {self.nranks})", repr(rank), "num_replicas=<processes>"))
        self.epoch = 0
        self.num_samples = math.ceil(len(dataset) / self.nranks)
        self.total_size = self.num_samples * self.nranks

    def __iter__(self):
        n = len(self.dataset)
        order = np.resize(np.arange(n), self.total_size) if n else np.arange(0)   # resize begins again at the start
        if self.shuffle:
            np.random.RandomState(self.epoch).shuffle(order)
            self.epoch += 1
        # Full rounds of one block per rank, then what is left in equal, smaller blocks.
        left = self.total_size % (self.batch_size * self.nranks)
        full = order[:self.total_size - left].reshape(-1, self.nranks, self.batch_size)[:, self.local_rank].reshape(-1)
        rest = order[self.total_size - left:].reshape(self.nranks, -1)[self.local_rank] if left else order[:0]
        mine = np.concatenate([full, rest]).tolist()
        for start in range(0, len(mine), self.batch_size):
            batch = mine[start:start + self.batch_size]
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self):
        return _batches(self.num_samples, self.batch_size, self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """The number that seeds the next shuffle; iterating counts it up."""
        self.epoch = epoch
