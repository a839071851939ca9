"""Turns a task of the loader (indices, or "the next n") into a batch, in the main process and in workers alike."""
from gpuflow.io.collate import default_collate_fn, default_convert_fn, take_batch
from gpuflow.io.dataset import IterableDataset


class Exhausted(Exception):
    """An iterable dataset has nothing left, or (while shutting down) nobody wants more."""


class Fetcher:
    """fetch(task) gives a batch.

    task: for a map-style dataset a list of indices, or one index where batching is off; for an iterable dataset the
        number of samples wanted, or None where batching is off.
    stopped: asked before each sample; True ends the batch early with Exhausted.
    """

    def __init__(self, dataset, collate_fn, batched: bool, drop_last: bool, stopped=lambda: False):
        self.dataset, self.batched, self.drop_last, self.stopped = dataset, batched, drop_last, stopped
        self.collate = collate_fn or (default_collate_fn if batched else default_convert_fn)
        self.fast = collate_fn is None or collate_fn is default_collate_fn
        self.iterator = iter(dataset) if isinstance(dataset, IterableDataset) else None

    def fetch(self, task):
        if self.iterator is not None:
            return self.collate(self._next(task))
        if not self.batched:
            return self.collate(self.dataset[task])
        if self.fast:
            batch = take_batch(self.dataset, task)
            if batch is not None:
                return batch
            self.fast = False   # what the dataset is does not change
        return self.collate([self._sample(index) for index in task])

    def _sample(self, index):
        if self.stopped():
            raise Exhausted
        return self.dataset[index]

    def _next(self, count):
        samples = []
        try:
            for _ in range(1 if count is None else count):
                if self.stopped():
                    raise Exhausted
                samples.append(next(self.iterator))
        except StopIteration:
            if not samples or self.drop_last:
                raise Exhausted from None
        return samples[0] if count is None else samples
