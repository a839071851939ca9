"""What runs in a worker process of DataLoader: receive tasks, fetch batches, send them back.

Messages in:  ("setup", dict of pickles), ("epoch", number, seed), ("batch", epoch, sequence, task), ("free", block)
Messages out: ("ready",), ("data", epoch, sequence, batch, block), ("end", epoch, sequence),
              ("error", epoch, sequence, exception type or None, text), and the two about blocks (transport.py)
"""
import contextlib
import dataclasses
import os
import pickle
import queue
import random as python_random
import signal
import threading
import traceback

import numpy as np

from gpuflow import device, random
from gpuflow.io.fetch import Exhausted, Fetcher
from gpuflow.io.transport import Sender

GRACE = 1.0   # seconds that a busy worker gets to finish its sample when the loader has gone away


@dataclasses.dataclass(frozen=True)
class WorkerInfo:
    """Which worker this process is. id: 0 .. num_workers - 1; dataset: this process's copy; seed: its own."""

    id: int
    num_workers: int
    dataset: object
    seed: int


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader: its WorkerInfo. Elsewhere: None."""
    return _info


class _Inbox:
    """Reads the tasks in a thread, so that the main process never waits to hand one over, and notices its end."""

    def __init__(self, connection):
        self.connection, self.messages, self.closed = connection, queue.SimpleQueue(), threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        try:
            while True:
                try:
                    self.messages.put(self.connection.recv())
                except (EOFError, OSError):
                    raise
                except Exception as error:   # indices of a type that cannot be built here
                    self.messages.put(("failed", error))
        except (EOFError, OSError):
            self.closed.set()
            self.messages.put(None)
        threading.Event().wait(GRACE)
        os._exit(0)   # still busy with a sample that nobody will read


def main(tasks, results, index: int, count: int, share: bool) -> None:
    """The life of worker `index` of `count`. tasks, results: connections; share: use shared memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)   # Ctrl-C is the main process's; it then closes `tasks`
    device.set_device("cpu")                       # tensors of the dataset live on the host here
    inbox = _Inbox(tasks)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):   # the loader is gone
        _serve(inbox, results, index, count, share)


def _serve(inbox, results, index, count, share):
    sender = Sender(results, share)
    setup, fetcher = None, None
    while (message := inbox.messages.get()) is not None:
        kind, *rest = message
        if kind == "free":
            sender.free.append(rest[0])
            continue
        epoch, sequence = (rest[0], rest[1]) if kind == "batch" else (None, None)
        try:
            if kind == "failed":
                raise rest[0]
            if kind == "setup":
                setup = _unpack_setup(rest[0])
                results.send(("ready",))
            elif kind == "epoch":
                fetcher = _begin_epoch(setup, rest[1], index, count, inbox.closed.is_set)
            else:
                packed, block = sender.pack(fetcher.fetch(rest[2]))
                results.send(("data", epoch, sequence, packed, block))
        except Exhausted:
            results.send(("end", epoch, sequence))
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            results.send(("error", epoch, sequence, _sendable(type(error)), text))


def _unpack_setup(pickles: dict) -> dict:
    setup = {}
    for name, data in pickles.items():
        try:
            setup[name] = pickle.loads(data)
        except Exception as error:
            raise RuntimeError(
                f"The {name} cannot be built again in a worker process ({type(error).__name__}: {error}). Its class or "
                "function must be found by import there. Try: define it at the top level of a module, or "
                "num_workers=0.") from error
    return setup


def _begin_epoch(setup, seed: int, index: int, count: int, stopped) -> Fetcher:
    global _info
    words = np.random.SeedSequence([seed, index]).generate_state(2, np.uint64)
    own = int(words[0] >> np.uint64(1))
    python_random.seed(own)
    np.random.seed(int(words[1] & np.uint64(0xFFFFFFFF)))
    random.seed(own)
    dataset = setup["dataset"]
    first, _info = _info is None, WorkerInfo(index, count, dataset, own)
    if first and setup["worker_init_fn"] is not None:
        setup["worker_init_fn"](index)
    return Fetcher(dataset, setup["collate_fn"], setup["batched"], setup["drop_last"], stopped)


def _sendable(kind: type):
    """The exception's type, where the main process can find it as well; else None."""
    try:
        pickle.dumps(kind)
    except Exception:
        return None
    return kind
