"""How a batch travels from a worker to the main process: small arrays in the message, large ones in shared memory.

The shared memory is anonymous (memfd): no name can be left behind when a process is killed, and the size of /dev/shm
does not matter. A worker keeps a few blocks and uses them again; the main process copies a batch out on arrival and
hands the block back. Where the system has no memfd, everything goes through the message.
"""
import mmap
import os
from multiprocessing import reduction

import numpy as np

from gpuflow.io.arrays import host_array
from gpuflow.tensor import Tensor, is_tensor

# Bytes of one array from which shared memory wins. Microseconds per batch of one array, by block and by message (2 CPU
# cores, Python 3.11): 128 kB 182, 87; 256 kB 147, 442; 1 MB 237, 1225; 16 MB 2288, 32966.
LARGE = 3 << 16
_ALIGN = 64


class InBlock:
    """Stands for an array that lies in the batch's block."""

    __slots__ = ("dtype", "offset", "shape", "tensor")

    def __init__(self, offset, dtype, shape, tensor):
        self.offset, self.dtype, self.shape, self.tensor = offset, dtype, shape, tensor


class InMessage:
    """Stands for a tensor whose numbers travel in the message."""

    __slots__ = ("array",)

    def __init__(self, array):
        self.array = array


def can_share() -> bool:
    return hasattr(os, "memfd_create") and hasattr(os, "posix_fallocate")


def _map_parts(value, change):
    """The containers of a batch with `change` applied to what they hold."""
    if isinstance(value, dict):
        return {key: _map_parts(part, change) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_map_parts(part, change) for part in value))
    if type(value) in (list, tuple):
        return type(value)(_map_parts(part, change) for part in value)
    return change(value)


class Sender:
    """The worker's side. connection: a socket to the main process; share: whether large arrays go through blocks."""

    def __init__(self, connection, share: bool):
        self.connection, self.share = connection, share and can_share()
        self.blocks: dict[int, mmap.mmap] = {}
        self.free: list[int] = []
        self.count = 0

    def pack(self, batch):
        """(batch with its arrays replaced where that is faster, block number or None)."""
        large: list = []
        end = 0

        def change(part):
            nonlocal end
            tensor = is_tensor(part)
            if not tensor and not isinstance(part, np.ndarray):
                return part
            array = host_array(part)
            if not self.share or array.nbytes < LARGE or array.dtype.hasobject:
                return InMessage(array) if tensor else part
            stand_in = InBlock(end, array.dtype, array.shape, tensor)
            large.append((stand_in, array))
            end += -(-array.nbytes // _ALIGN) * _ALIGN
            return stand_in

        packed = _map_parts(batch, change)
        if not large:
            return packed, None
        number = self._block(end)
        if number is None:   # no memory for a block: the message carries everything, now and later
            self.share = False
            return self.pack(batch)
        for stand_in, array in large:
            _view(self.blocks[number], stand_in)[...] = array
        return packed, number

    def _block(self, size: int) -> int | None:
        """The number of a free block of at least `size` bytes. A new one is announced to the main process."""
        for number in self.free:
            if len(self.blocks[number]) >= size:
                self.free.remove(number)
                return number
        if self.free:   # too small for these batches
            number = self.free.pop()
            self.blocks.pop(number).close()
            self.connection.send(("drop", number))
        handle = os.memfd_create("gpuflow-loader")
        try:
            os.posix_fallocate(handle, 0, size)   # reserves the memory now: writing later cannot fail with SIGBUS
            number, self.count = self.count, self.count + 1
            self.blocks[number] = mmap.mmap(handle, size)
            self.connection.send(("block", number, size))
            reduction.send_handle(self.connection, handle, os.getppid())
            return number
        except OSError:
            return None
        finally:
            os.close(handle)


class Receiver:
    """The main process's side for one worker."""

    def __init__(self, connection):
        self.connection, self.blocks = connection, {}

    def handle(self, message) -> bool:
        """True when the message was about blocks and is dealt with."""
        if message[0] == "block":
            handle = reduction.recv_handle(self.connection)
            try:
                self.blocks[message[1]] = mmap.mmap(handle, message[2])
            finally:
                os.close(handle)
            return True
        if message[0] == "drop":
            self.blocks.pop(message[1]).close()
            return True
        return False

    def unpack(self, packed, number: int | None):
        """The batch with arrays of its own memory; afterwards the block is free again."""
        def change(part):
            if isinstance(part, InMessage):
                return Tensor(part.array)
            if isinstance(part, InBlock):
                array = _view(self.blocks[number], part).copy()
                return Tensor(array) if part.tensor else array
            return part

        return _map_parts(packed, change)


def _view(block, stand_in: InBlock) -> np.ndarray:
    size = stand_in.dtype.itemsize * int(np.prod(stand_in.shape, dtype=np.int64))
    raw = np.frombuffer(block, np.uint8, size, stand_in.offset)
    return raw.view(stand_in.dtype).reshape(stand_in.shape)
