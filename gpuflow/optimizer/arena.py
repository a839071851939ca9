"""The arena: one flat buffer per dtype for parameters, one for gradients, one per state; parameters hold views of it.

Values move in bit for bit. Each parameter's range starts at a multiple of 64 elements and its padding stays zero. An
arena is rebuilt (`carry`) when parameters join or change dtype or device; what was learned so far comes along.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from gpuflow import device, dtypes
from gpuflow.errors import explain
from gpuflow.optimizer.strategy import Strategy
from gpuflow.tensor import Tensor
from gpuflow_kernels import memory

ALIGN = 64    # elements: what the kernels ask for at the start of a range
TWO_BYTES = (dtypes.float16, dtypes.bfloat16)


class Home:
    """One parameter's place.

    view, slot: its range of the parameter and of the gradient buffer, shaped like it. state: {name: range}.
    master: the float32 truth of a two-byte parameter, or None; seen: the parameter's version when it last agreed.
    ema: its range of the running average, where one is attached, or None.
    steps: updates so far. strategy: its row of the strategy table; said: what the parameter said when it was resolved;
    role: what the row does, by that, where the parameter has a gradient.
    """

    __slots__ = ("begin", "ema", "end", "master", "param", "role", "said", "seen", "slot", "state", "steps", "strategy",
                 "view")
    view: Any
    slot: Any
    state: dict

    def __init__(self, param: Tensor, begin: int, strategy: Strategy):
        self.param, self.begin, self.end = param, begin, begin + param._array.size
        self.strategy, self.said, self.role = strategy, None, None
        self.steps, self.seen, self.master, self.ema = 0, None, None, None

    def adopt(self) -> None:
        """Takes in a parameter whose array lives elsewhere: copies its values and makes it hold this range."""
        p = self.param
        if p._array is not self.view:
            self.view[...] = p._array
            p._array = self.view
        p._grad_slot = self.slot
        if self.master is not None:
            self.trust_parameter()

    def trust_parameter(self) -> None:
        """Brings master up to a parameter that somebody wrote to; where it only is the rounded master, master stays."""
        same = self.master.astype(self.view.dtype) == self.view
        self.master[...] = device.module_of(self.view).where(same, self.master, self.view.astype(self.master.dtype))
        self.seen = self.param._counted()[0]


class Flat:
    """The buffers of one dtype and the homes in them, in their order. state: {name: buffer}."""

    def __init__(self, dtype: dtypes.DType, homes: list[Home], states, with_master: bool, with_ema: bool, xp):
        self.dtype, self.homes = dtype, homes
        size = sum(padded(home.param._array.size) for home in homes)
        real = np.dtype(np.float64 if dtype is dtypes.float64 else np.float32)
        self.param = zeros(xp, size, dtype.dtype)
        self.grad = zeros(xp, size, real if any(map(_has_wide_gradient, homes)) else dtype.dtype)
        self.state = {name: zeros(xp, size, real) for name in states}
        self.master = zeros(xp, size, real) if with_master and dtype in TWO_BYTES else None
        self.ema = zeros(xp, size, real) if with_ema else None
        for home in homes:
            place, shape = slice(home.begin, home.end), home.param._array.shape
            home.view, home.slot = self.param[place].reshape(shape), self.grad[place].reshape(shape)
            home.state = {name: buffer[place].reshape(shape) for name, buffer in self.state.items()}
            home.master = None if self.master is None else self.master[place].reshape(shape)
            home.ema = None if self.ema is None else self.ema[place].reshape(shape)


class Arena:
    """The homes of an optimizer's parameters, bucket by bucket; `homes` has the order of the kernels' rows.

    strategies: [(param, Strategy)]. states: names. first: called as first(strategy), gives {state: first value} for
    states that do not start at zero. averaged: a running average goes along. carry: the arena whose states, master
    weights, averages and step counts go on here.
    """

    def __init__(self, owner: str, strategies, states, multi_precision: bool, first, averaged: bool = False,
                 carry: Arena | None = None):
        place = common_place(owner, [p for p, _ in strategies])
        kinds: dict[dtypes.DType, list[Home]] = {}
        ends: dict[dtypes.DType, int] = {}
        for p, strategy in strategies:
            begin = ends.get(p.dtype, 0)
            kinds.setdefault(p.dtype, []).append(Home(p, begin, strategy))
            ends[p.dtype] = begin + padded(p._array.size)
        xp = device.module_for(place)
        self.place, self.first = place, first
        self.flats = [Flat(kind, homes, states, multi_precision, averaged, xp) for kind, homes in kinds.items()]
        self.homes = [home for flat in self.flats for home in flat.homes]
        self.of = {id(home.param): home for home in self.homes}
        for home in self.homes:
            before = None if carry is None else carry.of.get(id(home.param))
            self._move_in(owner, home, before)

    def _move_in(self, owner: str, home: Home, before: Home | None) -> None:
        p = home.param
        if before is None:
            self.reset(home)
        elif before.view.shape != home.view.shape:
            raise ValueError(explain(owner, f"{p.name} of shape {list(before.view.shape)}, as in its earlier steps",
                                     str(list(home.view.shape)), "a new optimizer for a parameter of another shape"))
        else:
            self.reset(home)      # states that the optimizer did not ask for until now
            home.steps = before.steps
            for name in home.state.keys() & before.state.keys():
                home.state[name][...] = device.move(before.state[name], self.place)
            for ours, theirs in ((home.master, before.master), (home.ema, before.ema)):
                if ours is not None and theirs is not None:
                    ours[...] = device.move(theirs, self.place)
        home.adopt()

    def reset(self, home: Home) -> None:
        """The states of a parameter that was never updated."""
        home.steps = 0
        first = self.first(home.strategy)
        for name, state in home.state.items():
            state[...] = first.get(name, 0)

    def fits(self, home: Home) -> bool:
        """True while the parameter's array, wherever it lives, could be copied into its range."""
        array, view = home.param._array, home.view
        return array is view or (array.shape == view.shape and array.dtype == view.dtype
                                 and device.place_of(array) == self.place)


def _has_wide_gradient(home: Home) -> bool:
    """True for a two-byte parameter whose gradient was given a wider place, as amp.decorate(master_grad=True) does."""
    slot = home.param._grad_slot
    return slot is not None and slot.dtype.itemsize > home.param._array.dtype.itemsize == 2


def padded(size: int) -> int:
    """size rounded up to whole ranges."""
    return -(-size // ALIGN) * ALIGN


def zeros(xp, size: int, dtype):
    """A flat zero buffer as the kernels like it. CuPy's memory lies on 256 bytes by itself."""
    return memory.zeros(size, dtype) if xp is np else xp.zeros(size, dtype)


def common_place(owner: str, params) -> device.Place:
    """The device that all parameters are on; RuntimeError naming two of them when they are on several."""
    place = device.place_of(params[0]._array) if params else device.CPU
    for p in params:
        if device.place_of(p._array) != place:
            raise RuntimeError(explain(owner, "parameters on one device",
                                       f"{params[0].name} on {place} and {p.name} on {device.place_of(p._array)}",
                                       "model.to(device) before the step, or one optimizer per device"))
    return place
