"""CUDA devices: counting, waiting, memory figures, streams. Everything here needs a GPU, but for counting them.

Memory figures speak of CuPy's memory pool, where all of gpuflow's arrays come from: "allocated" is what live arrays
hold, "reserved" what the pool has taken from the driver. The peaks are those seen at calls of this module, and within
`track_peak_memory` those of every allocation.
"""
import contextlib
from typing import NamedTuple

from gpuflow import device as _device
from gpuflow.errors import explain

device_count = _device.device_count
synchronize = _device.synchronize
_peak: dict[tuple[int, str], int] = {}


def _id(device) -> int:
    """The number of a GPU given as None (the current one), a number, "gpu:1" or a Place."""
    if device is None:
        place = _device.current_place()
    else:
        place = _device.CUDAPlace(device) if isinstance(device, int) else _device.parse(device)
    if not place.is_gpu_place():
        raise ValueError(explain("device.cuda", "a GPU", repr(str(place)), "gpuflow.set_device('gpu:0') first"))
    if place.gpu_device_id() >= device_count():
        raise ValueError(explain("device.cuda", f"one of the {device_count()} GPUs here", str(place)))
    return place.gpu_device_id()


def _pool_figures(device) -> tuple[int, int]:
    number = _id(device)
    with _device.cupy().cuda.Device(number):
        pool = _device.cupy().get_default_memory_pool()
        allocated, reserved = pool.used_bytes(), pool.total_bytes()
    for kind, now in (("allocated", allocated), ("reserved", reserved)):
        _peak[number, kind] = max(_peak.get((number, kind), 0), now)
    return allocated, reserved


def memory_allocated(device=None) -> int:
    """Bytes that live arrays hold on the device."""
    return _pool_figures(device)[0]


def memory_reserved(device=None) -> int:
    """Bytes that the memory pool has taken from the driver, in use or kept for the next array."""
    return _pool_figures(device)[1]


def max_memory_allocated(device=None) -> int:
    """The largest `memory_allocated` seen since the start or the last reset."""
    _pool_figures(device)
    return _peak[_id(device), "allocated"]


def max_memory_reserved(device=None) -> int:
    """The largest `memory_reserved` seen since the start or the last reset."""
    _pool_figures(device)
    return _peak[_id(device), "reserved"]


def reset_max_memory_allocated(device=None) -> None:
    """Forgets the peak of allocated memory."""
    _peak.pop((_id(device), "allocated"), None)


def reset_max_memory_reserved(device=None) -> None:
    """Forgets the peak of reserved memory."""
    _peak.pop((_id(device), "reserved"), None)


@contextlib.contextmanager
def track_peak_memory():
    """Looks at the pool after every allocation inside the with-block, so that the peaks are exact. Costs host time."""
    class Watch(_device.cupy().cuda.MemoryHook):
        name = "gpuflow peak memory"

        def malloc_postprocess(self, **kwargs):
            _pool_figures(kwargs["device_id"])

    with Watch():
        yield


def empty_cache() -> None:
    """Gives memory that the pool keeps for later back to the driver."""
    if _device.loaded_cupy() is not None and _device.cuda_available():
        _device.cupy().get_default_memory_pool().free_all_blocks()
        _device.cupy().get_default_pinned_memory_pool().free_all_blocks()


class DeviceProperties(NamedTuple):
    """name; major and minor of the compute capability; total_memory in bytes; multi_processor_count."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int


def get_device_properties(device=None) -> DeviceProperties:
    """What the device is."""
    told = _device.cupy().cuda.runtime.getDeviceProperties(_id(device))
    name = told["name"]
    return DeviceProperties(name.decode() if isinstance(name, bytes) else name, told["major"], told["minor"],
                            told["totalGlobalMem"], told["multiProcessorCount"])


def get_device_name(device=None) -> str:
    """The device's product name."""
    return get_device_properties(device).name


def get_device_capability(device=None) -> tuple[int, int]:
    """The compute capability, (9, 0) for Hopper."""
    properties = get_device_properties(device)
    return properties.major, properties.minor


class Stream:
    """A queue of device work. Ops go to the stream that `stream_guard` made current."""

    def __init__(self, device=None, priority=None, *, _cupy_stream=None):
        self._number = _id(device)
        if _cupy_stream is None:
            with _device.cupy().cuda.Device(self._number):
                _cupy_stream = _device.cupy().cuda.Stream(non_blocking=True, priority=priority)
        self.cupy_stream = _cupy_stream

    def synchronize(self) -> None:
        """Waits until the queue is empty."""
        self.cupy_stream.synchronize()

    def query(self) -> bool:
        """True when the queue is empty."""
        return self.cupy_stream.done

    def wait_event(self, event: "Event") -> None:
        """Work queued from now on waits for the event."""
        self.cupy_stream.wait_event(event.cupy_event)

    def wait_stream(self, stream: "Stream") -> None:
        """Work queued from now on waits for what `stream` holds now."""
        self.wait_event(stream.record_event())

    def record_event(self, event: "Event | None" = None) -> "Event":
        """An event that is reached when the work queued so far is done."""
        event = Event() if event is None else event
        event.record(self)
        return event


class Event:
    """A mark in a stream. enable_timing: keep the time, for `elapsed_time`."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False):
        if interprocess:
            raise ValueError(explain("cuda.Event", "interprocess=False", "True"))
        self.cupy_event = _device.cupy().cuda.Event(block=blocking, disable_timing=not enable_timing)

    def record(self, stream: Stream | None = None) -> None:
        self.cupy_event.record(None if stream is None else stream.cupy_stream)

    def query(self) -> bool:
        """True when the stream has reached it."""
        return self.cupy_event.done

    def synchronize(self) -> None:
        """Waits until the stream has reached it."""
        self.cupy_event.synchronize()

    def elapsed_time(self, end: "Event") -> float:
        """Milliseconds from this event to `end`."""
        return _device.cupy().cuda.get_elapsed_time(self.cupy_event, end.cupy_event)


def current_stream(device=None) -> Stream:
    """The stream that ops go to at present."""
    return Stream(device, _cupy_stream=_device.cupy().cuda.get_current_stream(_id(device)))


@contextlib.contextmanager
def stream_guard(stream: Stream | None):
    """Ops inside go to `stream`; None changes nothing."""
    if stream is None:
        yield
        return
    with _device.cupy().cuda.Device(stream._number), stream.cupy_stream:
        yield
