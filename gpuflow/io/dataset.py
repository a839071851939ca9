"""Datasets: map-style (an index gives a sample), iterable (samples come one after the other), and how they combine."""
import bisect
import itertools
import math
import warnings

from gpuflow import random
from gpuflow.errors import explain


class NoLength(TypeError, RuntimeError, ValueError):
    """Asked for the length of what has none. A TypeError, so that list(...) works; the others are Paddle's types."""


class Dataset:
    """Map-style data: a subclass defines `__getitem__(index)`, which gives a sample, and `__len__`."""

    def __getitem__(self, idx):
        raise NotImplementedError(explain(type(self).__name__, "a method __getitem__(self, idx)", "none"))

    def __len__(self):
        raise NotImplementedError(explain(type(self).__name__, "a method __len__(self)", "none"))


class IterableDataset(Dataset):
    """Streamed data: a subclass defines `__iter__`, which yields samples.

    Each worker of a DataLoader has its own copy and would yield everything again: `get_worker_info()` inside `__iter__`
    says which part is this worker's.
    """

    def __iter__(self):
        raise NotImplementedError(explain(type(self).__name__, "a method __iter__(self)", "none"))

    def __getitem__(self, idx):
        raise NoLength(explain(type(self).__name__, "iteration over an IterableDataset", f"the index {idx!r}"))

    def __len__(self):
        raise NoLength(explain(type(self).__name__, "iteration over an IterableDataset", "len()"))


class TensorDataset(Dataset):
    """Sample i is the tuple of row i of each tensor.

    tensors: a list or tuple of tensors or arrays with the same first size. A DataLoader takes whole batches from them
    by one indexing operation.
    """

    def __init__(self, tensors):
        self.tensors = list(tensors) if isinstance(tensors, list | tuple) else None
        if not self.tensors or any(not len(tensor.shape) for tensor in self.tensors):
            raise ValueError(explain("TensorDataset", "a list of tensors with at least one axis each",
                                     repr(tensors)[:80]))
        sizes = [tensor.shape[0] for tensor in self.tensors]
        if len(set(sizes)) > 1:
            raise ValueError(explain("TensorDataset", "tensors of one first size", f"first sizes {sizes}"))

    def __getitem__(self, index):
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self):
        return int(self.tensors[0].shape[0])


def _of_kind(where: str, datasets, kind, other=()) -> list:
    datasets = list(datasets)
    if not datasets:
        raise ValueError(explain(where, "at least one dataset", "none"))
    for i, dataset in enumerate(datasets):
        if not isinstance(dataset, kind) or isinstance(dataset, other):
            raise TypeError(explain(where, f"a list of {kind.__name__} (map-style ones, where indices are needed)",
                                    f"{type(dataset).__name__} at position {i}"))
    return datasets


class ComposeDataset(Dataset):
    """Sample i is the fields of sample i of each dataset, one after the other. All datasets have the same length."""

    def __init__(self, datasets):
        self.datasets = _of_kind("ComposeDataset", datasets, Dataset, IterableDataset)
        lengths = [len(dataset) for dataset in self.datasets]
        if len(set(lengths)) > 1:
            raise ValueError(explain("ComposeDataset", "datasets of one length", f"lengths {lengths}"))

    def __len__(self):
        return len(self.datasets[0])

    def __getitem__(self, idx):
        fields = []
        for dataset in self.datasets:
            sample = dataset[idx]
            fields.extend(sample if isinstance(sample, list | tuple) else () if sample is None else (sample,))
        return tuple(fields)


class ChainDataset(IterableDataset):
    """The samples of several iterable datasets, one dataset after the other."""

    def __init__(self, datasets):
        self.datasets = _of_kind("ChainDataset", datasets, IterableDataset)

    def __iter__(self):
        return itertools.chain.from_iterable(self.datasets)


class ConcatDataset(Dataset):
    """Several map-style datasets behind each other: indices go on where the dataset before ends."""

    def __init__(self, datasets):
        self.datasets = _of_kind("ConcatDataset", datasets, object, IterableDataset)
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self):
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx):
        position = idx + len(self) if idx < 0 else idx
        if not 0 <= position < len(self):
            raise IndexError(explain("ConcatDataset", f"an index in [-{len(self)}, {len(self)})", str(idx)))
        which = bisect.bisect_right(self.cumulative_sizes, position)
        return self.datasets[which][position - (self.cumulative_sizes[which - 1] if which else 0)]


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in that order; an index may come twice."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, idx):
        return self.dataset[self.indices[idx]]

    def __len__(self):
        return len(self.indices)


def random_split(dataset, lengths, generator=None) -> list:
    """Subsets of `dataset` that share no sample, drawn at random; `gpuflow.seed` makes the draw repeat.

    lengths: sizes that add up to len(dataset), or fractions that add up to 1 (what rounding leaves over goes to the
        subsets in turn, from the first).
    generator: a numpy.random.Generator to draw from instead of the global one.
    """
    total = len(dataset)
    lengths = list(lengths)
    if lengths and math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        if any(not 0 <= part <= 1 for part in lengths):
            raise ValueError(explain("random_split", "fractions between 0 and 1", str(lengths)))
        sizes = [math.floor(total * part) for part in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
        lengths = sizes
        if 0 in lengths:
            warnings.warn(f"random_split: sizes {lengths}; an empty subset has no batches", stacklevel=2)
    if any(not isinstance(part, int) or part < 0 for part in lengths) or sum(lengths) != total:
        raise ValueError(explain("random_split", f"sizes that add up to {total}, or fractions that add up to 1",
                                 str(lengths)))
    order = (random.host_rng() if generator is None else generator).permutation(total).tolist()
    ends = list(itertools.accumulate(lengths))
    return [Subset(dataset, order[end - size:end]) for end, size in zip(ends, lengths)]
