"""DataLoader: batches of tensors from a dataset, in this process or from worker processes."""
import itertools
import weakref

from gpuflow import device, random
from gpuflow.errors import explain
from gpuflow.io.collate import default_collate_fn, to_tensors
from gpuflow.io.dataset import IterableDataset, NoLength
from gpuflow.io.fetch import Exhausted, Fetcher
from gpuflow.io.sampler import BatchSampler
from gpuflow.io.workers import Pool, WorkerIterator


class DataLoader:
    """Iterates over batches of a dataset, as tensors on the current device (or `places`).

    dataset: a Dataset (anything with `__getitem__` and `__len__`) or an IterableDataset.
    feed_list, return_list: with return_list=False each batch is `[{name: tensor}]`, names from feed_list (variables
        of a static program, or text).
    places: one place ("cpu", "gpu:0", a Place, or a list of one); default: the current device.
    batch_sampler: yields lists of indices; else batch_size, shuffle and drop_last make one. batch_size=None turns
        batching off: the dataset's samples come as they are, arrays as tensors.
    collate_fn: makes a batch of a list of samples; default stacks arrays and numbers field by field.
    num_workers: processes that fetch batches; 0 fetches here when the batch is asked for. Batches keep their order.
        Dataset, collate_fn and worker_init_fn go there (by value if they are a notebook's, local or a lambda; open
        files and locks cannot), and a script needs the guard `if __name__ == "__main__":`. Where workers run, tensors
        are on the CPU.
    use_buffer_reader, prefetch_factor: with workers, how many batches each prepares ahead: prefetch_factor, or only the
        one in work where use_buffer_reader is False.
    use_shared_memory: large arrays come from workers through shared memory.
    timeout: seconds to wait for a worker's batch before WorkerTimeout; 0 waits as long as it lives.
    worker_init_fn: called with the worker's number in each worker when it starts.
    persistent_workers: keep the workers for the next pass instead of starting them for each.

    `gpuflow.seed(n)` makes shuffles repeat, and the random numbers of the workers for the same num_workers. An
    exception in a worker is raised here with its traceback and the worker's number; a dead worker raises WorkerError.
    """

    def __init__(self, dataset, feed_list=None, places=None, return_list=True, batch_sampler=None, batch_size=1,
                 shuffle=False, drop_last=False, collate_fn=None, num_workers=0, use_buffer_reader=True,
                 reader_buffer_size=2, prefetch_factor=2, use_shared_memory=True, timeout=0, worker_init_fn=None,
                 persistent_workers=False):
        iterable = isinstance(dataset, IterableDataset)
        if not (iterable or hasattr(dataset, "__getitem__")):
            raise TypeError(explain("DataLoader", "a dataset with __getitem__ and __len__, or an IterableDataset",
                                    type(dataset).__name__))
        self.dataset, self.collate_fn, self.worker_init_fn = dataset, collate_fn, worker_init_fn
        self.num_workers = _at_least("num_workers", num_workers, 0)
        self.prefetch_factor = _at_least("prefetch_factor", prefetch_factor, 1)
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
            raise ValueError(explain("DataLoader", "timeout >= 0 seconds", repr(timeout)))
        for name, function in (("collate_fn", collate_fn), ("worker_init_fn", worker_init_fn)):
            if function is not None and not callable(function):
                raise TypeError(explain("DataLoader", f"a function as {name}", type(function).__name__))
        if reader_buffer_size != 2:
            raise ValueError(explain("DataLoader", "reader_buffer_size left alone: it has no effect here",
                                     repr(reader_buffer_size), "prefetch_factor with num_workers > 0"))
        without = [name for name, given in (("timeout", timeout), ("worker_init_fn", worker_init_fn is not None),
                                            ("persistent_workers", persistent_workers),
                                            ("prefetch_factor", prefetch_factor != 2)) if given]
        if not num_workers and without:
            raise ValueError(explain("DataLoader", "num_workers > 0 for " + ", ".join(without), "num_workers=0",
                                     "leave them out, or num_workers=1"))
        self.timeout, self.use_buffer_reader = timeout, use_buffer_reader
        self.use_shared_memory = bool(use_shared_memory) and self.num_workers > 0
        self.persistent_workers = bool(persistent_workers)
        self.return_list, self.feed_list, self._place = return_list, feed_list, _one_place(places)
        if not return_list and not feed_list:
            raise ValueError(explain("DataLoader", "feed_list beside return_list=False", "none"))
        if iterable and (shuffle or batch_sampler is not None):
            raise ValueError(explain("DataLoader", "neither shuffle nor batch_sampler for an IterableDataset",
                                     "shuffle=True" if shuffle else "a batch_sampler", "let its __iter__ decide"))
        if batch_sampler is not None and (batch_size != 1 or shuffle or drop_last):
            raise ValueError(explain("DataLoader", "batch_size, shuffle and drop_last left alone beside batch_sampler",
                                     f"batch_size={batch_size}, shuffle={shuffle}, drop_last={drop_last}"))
        if batch_size is None and (shuffle or drop_last):
            raise ValueError(explain("DataLoader", "neither shuffle nor drop_last with batch_size=None",
                                     f"shuffle={shuffle}, drop_last={drop_last}"))
        self.drop_last = drop_last
        self.batch_size = None if batch_sampler is not None or batch_size is None else _at_least(
            "batch_size", batch_size, 1)
        self.batch_sampler = batch_sampler
        if batch_sampler is None and batch_size is not None and not iterable:
            self.batch_sampler = BatchSampler(dataset, batch_size=batch_size, shuffle=shuffle, drop_last=drop_last)
        self._batched = batch_sampler is not None or batch_size is not None
        self._pool = None

    def __len__(self) -> int:
        """Batches in one pass; TypeError (and ValueError, as in Paddle) for an IterableDataset."""
        if isinstance(self.dataset, IterableDataset):
            raise NoLength(explain("len(DataLoader)", "a dataset with a length", "an IterableDataset"))
        return len(self.batch_sampler if self._batched else self.dataset)

    def __iter__(self):
        seed = int(random.host_rng().integers(1 << 63))   # drawn without workers too: shuffles do not depend on them
        place = device.current_place() if self._place is None else self._place
        if not self.num_workers:
            return _Here(self, place)
        fresh_pool = self._pool is None or self._pool.closed
        pool = self._new_pool() if fresh_pool else self._pool
        if self.persistent_workers and fresh_pool:
            self._pool = pool
            weakref.finalize(self, pool.shutdown)
        return WorkerIterator(
            pool, self._tasks(), self.prefetch_factor if self.use_buffer_reader else 1, self.timeout, seed,
            _Finish(place, None if self.return_list else _names(self.feed_list), True), self.persistent_workers,
            self.__len__)

    __call__ = __iter__

    def _new_pool(self) -> Pool:
        setup = {"dataset": self.dataset, "collate_fn": self.collate_fn, "worker_init_fn": self.worker_init_fn,
                 "batched": self._batched, "drop_last": self.drop_last}
        return Pool(self.num_workers, setup, self.use_shared_memory)

    def _tasks(self):
        if isinstance(self.dataset, IterableDataset):
            return itertools.repeat(self.batch_size)
        return iter(self.batch_sampler if self._batched else range(len(self.dataset)))


class _Here:
    """One pass over the data in this process: a batch is fetched when it is asked for."""

    def __init__(self, loader: DataLoader, place):
        self._length = loader.__len__
        self._tasks = loader._tasks()
        self._fetcher = Fetcher(loader.dataset, loader.collate_fn, loader._batched, loader.drop_last)
        fresh = loader._batched and loader.collate_fn in (None, default_collate_fn)
        self._finish = _Finish(place, None if loader.return_list else _names(loader.feed_list), fresh)

    def __iter__(self):
        return self

    def __len__(self):
        return self._length()

    def __next__(self):
        task = next(self._tasks)
        try:
            return self._finish(self._fetcher.fetch(task))
        except Exhausted:
            self._tasks = iter(())
            raise StopIteration from None


class _Finish:
    """What happens to a batch last: arrays become tensors, and get names where return_list=False."""

    def __init__(self, place, names, fresh: bool):
        self.place, self.names, self.fresh = place, names, fresh

    def __call__(self, batch):
        batch = to_tensors(batch, self.place, self.fresh)
        if self.names is None:
            return batch
        fields = batch if isinstance(batch, list | tuple) else [batch]
        if len(fields) != len(self.names):
            raise ValueError(explain("DataLoader", f"{len(self.names)} fields for feed_list {self.names}",
                                     f"{len(fields)} in a batch"))
        return [dict(zip(self.names, fields))]


def _names(feed_list) -> list[str]:
    return [item if isinstance(item, str) else item.name for item in feed_list]


def _one_place(places):
    if isinstance(places, list | tuple):
        if len(places) != 1:
            raise ValueError(explain("DataLoader", "one place", f"{len(places)}",
                                     "a process per device, with DistributedBatchSampler"))
        places = places[0]
    return None if places is None else device.parse(places)


def _at_least(name: str, value, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(explain("DataLoader", f"{name} >= {least}", repr(value)))
    return value
