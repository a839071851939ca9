"""The main process's side of a DataLoader with workers: start them, deal tasks, keep the order, notice what goes wrong.

Worker k gets tasks k, k + n, k + 2n, ...: with the same number of workers a run repeats. Workers are started by
forkserver (spawn where there is none) and never by fork, which kills a child once OpenMP has run in the parent.
"""
import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import time
import weakref
from multiprocessing import connection

import cloudpickle

from gpuflow.errors import explain
from gpuflow.io import worker
from gpuflow.io.transport import Receiver

GUARD = """put what starts the training under a guard, since a worker process imports the script:

    if __name__ == "__main__":
        main()

or use num_workers=0"""


class WorkerError(RuntimeError):
    """A worker raised an exception that cannot be rebuilt here, or died."""


class WorkerTimeout(WorkerError, TimeoutError):
    """A worker gave no batch within DataLoader's timeout."""


def start_method() -> str:
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def pickled(name: str, value) -> bytes:
    """The pickle of a part of the loader; TypeError with advice where there is none.

    What a worker cannot import (a class of a notebook or a function, a lambda) goes along by value.
    """
    try:
        if hasattr(sys.modules["__main__"], "__file__"):   # else what is defined there is in no file
            with contextlib.suppress(Exception):
                return pickle.dumps(value, protocol=5)
        return cloudpickle.dumps(value, protocol=5)
    except Exception as error:
        raise TypeError(explain(
            "DataLoader(num_workers > 0)", f"a {name} that can be pickled, since workers are processes of their own",
            f"{type(value).__qualname__}: {type(error).__name__}: {error}",
            "open files, locks and the like in the worker, on first use, or num_workers=0")) from error


class Pool:
    """n worker processes, each with a pipe for tasks and a socket for results."""

    def __init__(self, count: int, setup: dict, share: bool):
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise RuntimeError(f"DataLoader: a worker process was about to start workers of its own. Try: {GUARD}")
        self.pid, self.epoch = os.getpid(), 0
        self.processes, self.tasks, self.receivers = [], [], []
        self.ready: set[int] = set()
        self.closed = False
        pickles = {name: pickled(name, value) for name, value in setup.items()}
        context = multiprocessing.get_context(start_method())
        try:
            for index in range(count):
                self._start(context, index, count, share)
            for index in range(count):
                self.send(index, ("setup", pickles))
        except BaseException:
            self.shutdown(0)
            raise

    def _start(self, context, index, count, share):
        task_reader, task_writer = context.Pipe(duplex=False)
        ours, theirs = context.Pipe(duplex=True)   # a socket: it can carry the handle of a block
        self.tasks.append(task_writer)
        self.receivers.append(Receiver(ours))
        process = context.Process(target=worker.main, args=(task_reader, theirs, index, count, share),
                                  name=f"gpuflow-worker-{index}", daemon=True)
        try:
            process.start()
        except (EOFError, ConnectionError) as error:   # the fork server died while it imported the script
            raise RuntimeError(f"DataLoader: worker {index} could not be started, because importing the main script in "
                               f"the new process failed (its output says why). Try: {GUARD}") from error
        finally:
            task_reader.close()
            theirs.close()
        self.processes.append(process)

    def send(self, index: int, message) -> None:
        # A dead worker is reported by receive(), after the results that it sent before.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.tasks[index].send(message)

    def begin_epoch(self, seed: int) -> int:
        self.epoch += 1
        for index in range(len(self.processes)):
            self.send(index, ("epoch", self.epoch, seed))
        return self.epoch

    def receive(self, timeout: float | None):
        """The next messages of this epoch, as (worker, message) with the batch unpacked; [] when time is up.

        Raises WorkerError for a dead worker.
        """
        sockets = {receiver.connection: index for index, receiver in enumerate(self.receivers)}
        sentinels = {process.sentinel: index for index, process in enumerate(self.processes)}
        found = connection.wait([*sockets, *sentinels], timeout)
        messages = []
        for item in found:
            if item in sockets:
                self._read(sockets[item], messages)
        if not messages:
            for item in found:
                if item in sentinels and not self.receivers[sentinels[item]].connection.poll():
                    raise self._death(sentinels[item])
        return messages

    def _read(self, index, messages):
        receiver = self.receivers[index]
        try:
            message = receiver.connection.recv()
            if receiver.handle(message):
                return
        except (EOFError, ConnectionResetError):
            raise self._death(index) from None
        kind, *rest = message
        if kind == "ready":
            self.ready.add(index)
        elif kind == "data":
            epoch, sequence, packed, block = rest
            if epoch == self.epoch:
                messages.append((index, ("data", sequence, receiver.unpack(packed, block))))
            if block is not None:
                self.send(index, ("free", block))
        elif rest[0] in (None, self.epoch):
            messages.append((index, (kind, *rest[1:])))

    def _death(self, index: int) -> WorkerError:
        process = self.processes[index]
        process.join(1)
        code = process.exitcode
        how = f"exit code {code}"
        if code is not None and code < 0:
            how = f"signal {-code} ({signal.strsignal(-code)})"
        text = f"DataLoader: worker {index} (pid {process.pid}) died with {how}"
        if index not in self.ready:
            return WorkerError(f"{text} before it was ready; its output says why. If the script has no guard: {GUARD}")
        if code == -signal.SIGKILL:
            text += "; the system kills processes when memory runs out: fewer workers or smaller batches need less"
        return WorkerError(text)

    def shutdown(self, grace: float = worker.GRACE + 1) -> None:
        """Ends the workers: politely, then after `grace` seconds not. May be called twice."""
        if self.closed or os.getpid() != self.pid:   # a forked copy of this process must not end our workers
            return
        self.closed = True
        for item in [*self.tasks, *(receiver.connection for receiver in self.receivers)]:
            item.close()
        until = time.monotonic() + grace
        for process in self.processes:
            process.join(max(0, until - time.monotonic()))
        for end in ("terminate", "kill"):
            for process in self.processes:
                if process.is_alive():
                    getattr(process, end)()
            for process in self.processes:
                process.join(1)
        for process in self.processes:
            with contextlib.suppress(ValueError):
                process.close()
        self.processes = []


class WorkerIterator:
    """One pass over the data. tasks: an iterator of tasks for Fetcher; depth: tasks a worker has at once.

    finish: turns a batch into what the user gets. keep: leave the pool running at the end (persistent workers).
    """

    def __init__(self, pool: Pool, tasks, depth: int, timeout: float, seed: int, finish, keep: bool, length):
        self.pool, self.tasks, self.timeout, self.finish, self.keep = pool, iter(tasks), timeout, finish, keep
        self.most = depth * len(pool.processes)
        self.count = len(pool.processes)
        self.length = length
        self.epoch = pool.begin_epoch(seed)
        self.owner: dict[int, int] = {}     # sequence number -> worker, for tasks that are not consumed yet
        self.arrived: dict[int, tuple] = {}
        self.ended: set[int] = set()        # workers whose iterable dataset has nothing left
        self.sent = self.taken = self.turn = 0
        self.exhausted = False
        if not keep:
            self._finalizer = weakref.finalize(self, pool.shutdown)
        self._guarded(self._deal)

    def __iter__(self):
        return self

    def __len__(self):
        return self.length()

    def __next__(self):
        return self._guarded(self._next)

    def _guarded(self, step):
        """Ends the workers when anything goes wrong, Ctrl-C included."""
        try:
            return step()
        except StopIteration:
            if not self.keep:
                self.pool.shutdown()
            raise
        except BaseException as error:
            self.pool.shutdown(0 if isinstance(error, WorkerError) else worker.GRACE + 1)
            raise

    def _deal(self):
        while not self.exhausted and self.sent - self.taken < self.most and len(self.ended) < self.count:
            try:
                task = next(self.tasks)
            except StopIteration:
                self.exhausted = True
                return
            while self.turn % self.count in self.ended:
                self.turn += 1
            index = self.turn % self.count
            self.owner[self.sent] = index
            self.pool.send(index, ("batch", self.epoch, self.sent, task))
            self.turn += 1
            self.sent += 1

    def _next(self):
        if self.pool.closed or self.epoch != self.pool.epoch:
            raise StopIteration   # a pass that was ended, by an error or by the next pass over a persistent loader
        while True:
            if self.taken == self.sent:
                raise StopIteration
            kind, *rest = self._await(self.taken)
            index = self.owner.pop(self.taken)
            self.taken += 1
            if kind == "end":
                self.ended.add(index)
            self._deal()
            if kind == "data":
                return self.finish(rest[0])

    def _await(self, sequence: int):
        until = time.monotonic() + self.timeout if self.timeout else None
        while sequence not in self.arrived:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                index = self.owner[sequence]
                raise WorkerTimeout(
                    f"DataLoader: worker {index} (pid {self.pool.processes[index].pid}) gave no batch {sequence} "
                    f"within timeout={self.timeout} s. Try: a larger timeout, or find what the dataset waits for")
            for index, (kind, number, *rest) in self.pool.receive(left):
                if kind == "error":
                    raise _rebuilt(index, number, *rest)
                self.arrived[number] = (kind, *rest)
        return self.arrived.pop(sequence)


def _rebuilt(index: int, sequence, kind, text: str) -> BaseException:
    """The worker's exception, of its own type where that takes a text, with the worker's traceback in the message."""
    when = "at its start" if sequence is None else f"in batch {sequence}"
    message = f"DataLoader worker {index} raised {when}. Its traceback:\n{text}"
    try:
        error = kind(message)
        if isinstance(error, Exception) and message in map(str, error.args):
            return error
    except Exception:
        pass   # a constructor with other arguments
    return WorkerError(message)
