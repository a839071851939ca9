"""Datasets and functions for the tests of DataLoader's workers: at module top level, where a worker finds them."""
import os
import signal
import sys
import time

import numpy as np

from gpuflow.io import Dataset, IterableDataset, get_worker_info


class Squares(Dataset):
    def __init__(self, n=20):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return np.full(3, i, np.float32), i * i


class Nested(Squares):
    def __getitem__(self, i):
        return {"x": np.full((2, 2), i, np.float32), "pair": (i, f"name{i}"), "flag": i % 2 == 0}


class Large(Squares):
    """Four samples make an array of 320 kB and one of 640 kB: they travel in shared memory."""

    def __getitem__(self, i):
        return np.full(20_000, i, np.float32), np.full(20_000, -i, np.int64)


class Growing(Squares):
    """Each sample larger than the one before: blocks must be replaced."""

    def __getitem__(self, i):
        return np.full(60_000 * (i + 1), i, np.float32)


class Sleepy(Squares):
    """Early samples take longest: results arrive out of order."""

    def __getitem__(self, i):
        time.sleep(0.05 if i < 2 else 0)
        return i


class Failing(Squares):
    def __getitem__(self, i):
        if i == 5:
            raise KeyError("no sample five")
        return i


class Unusual(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)


class FailingUnusually(Squares):
    def __getitem__(self, i):
        raise Unusual(3, "custom")


class Suicidal(Squares):
    def __getitem__(self, i):
        if i == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return i


class Stuck(Squares):
    def __getitem__(self, i):
        if i == 1:
            time.sleep(60)
        return i


class Facts(Squares):
    """What the worker is: its number, its random numbers, and whether heavy modules were imported."""

    def __getitem__(self, i):
        info = get_worker_info()
        return {"worker": -1 if info is None else info.id, "random": np.random.rand(), "pid": os.getpid(),
                "heavy": sum(name in sys.modules for name in ("cupy", "numba"))}


class Counting(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.n, step))


class Uneven(IterableDataset):
    """Worker k yields k + 1 samples."""

    def __iter__(self):
        k = get_worker_info().id
        return iter([10 * k + i for i in range(k + 1)])


class Unbuildable(Squares):
    def __setstate__(self, state):
        raise ImportError("this class lives elsewhere")


def largest_first(samples):
    return np.array(samples[::-1])


def unpicklable(samples):
    return lambda: samples


def note_start(worker_id):
    np.random.seed(1000 + worker_id)


class Noisy(Dataset):
    """Samples of which part is drawn anew each time: (float32 [4], float32 [1])."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        noise = np.random.default_rng(np.random.randint(1 << 31)).normal(size=4)
        return (index + noise).astype(np.float32), np.array([index], np.float32)
