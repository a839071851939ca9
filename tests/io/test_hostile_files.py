"""Files that mean harm or are damaged: refused with CheckpointError, nothing run, no memory taken for empty claims."""
import contextlib
import io
import json
import os
import pickle
import resource
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gpuflow.io.checkpoint import CheckpointError, load, save
from tests.io.checkpoint_cases import tensors
from tests.io.test_checkpoint import GOLDEN


class Calls:
    def __init__(self, function, *arguments):
        self.how = (function, arguments)

    def __reduce__(self):
        return self.how


class Stateful:
    pass


def refused(data: bytes, says: str):
    with pytest.raises(CheckpointError, match=says):
        load(io.BytesIO(data))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("function, arguments, name", [
    (os.system, ("touch HERE",), r"(posix|nt)\.system"), (eval, ("open('HERE', 'w')",), r"builtins\.eval"),
    (exec, ("open('HERE', 'w')",), r"builtins\.exec"), (getattr, (os, "system"), r"builtins\.getattr|import_module"),
    (open, ("HERE", "w"), r"(io|_io)\.open"), (bytearray, (1 << 40,), "bytearray"), (np.zeros, (1 << 40,), "zeros"),
    (np.load, ("HERE",), "load"), (range, (1 << 40,), "range")])
def test_calls_are_named_and_not_made(tmp_path, monkeypatch, protocol, function, arguments, name):
    monkeypatch.chdir(tmp_path)
    if arguments[0] is os:
        arguments = (3, "real")
    data = pickle.dumps({"w": np.zeros(2), "x": [Calls(function, *arguments)]}, protocol)
    refused(data, f"refused: the file asks for '.*({name})'")
    assert not list(tmp_path.iterdir())


def test_objects_and_their_state_are_refused():
    refused(pickle.dumps(Stateful()), "Stateful")
    refused(pickle.dumps(np.array([1, None], dtype=object)), "dtype 'O8'")
    refused(pickle.dumps(np.zeros(2, dtype=[("a", "i4")])), "dtype 'V4'")
    refused(pickle.dumps(np.array(["text"])), "dtype 'U4'")
    refused(pickle.dumps(np.dtype("f4")), "numpy.dtype")
    refused(pickle.dumps(np.ndarray), "numpy.ndarray")
    refused(pickle.dumps(np.longdouble(1)), "dtype")


def test_refusal_comes_before_anything_is_built(tmp_path):
    data = pickle.dumps([tensors()["float32"].numpy(), Calls(print, "never printed")])
    path = tmp_path / "a.pdparams"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"a\.pdparams.*builtins\.print"):
        load(path)


def test_empty_claims_reserve_nothing():
    """Lengths and shapes of petabytes in tiny files."""
    claim = struct.pack("<Q", 1 << 50)
    array = pickle.dumps(np.zeros(3, np.float32), 4)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(b"\x80\x04\x8e" + claim + b"abc.", "ends early")
    refused(b"\x80\x04\x8d" + claim + b"abc.", "ends early")
    refused(b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.", "ends early")
    refused(b"\x80\x04\x8b" + struct.pack("<i", -5) + b"abc.", "negative")
    assert array.count(b"K\x03\x85") == 1
    refused(array.replace(b"K\x03\x85", b"\x8a\x07" + (1 << 50).to_bytes(7, "little") + b"\x85"), "needs")
    refused(array.replace(b"K\x03\x85", b"J" + struct.pack("<i", -3) + b"\x85"), "sizes >= 0")
    refused(b"\x80\x04Nr\xff\xff\xff\xff0.", "stack|damaged")
    assert load(io.BytesIO(b"\x80\x04Nr\xff\xff\xff\xff.")) is None   # a large memo index takes one entry
    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000   # kB


def test_references_that_double_end_quickly():
    level = b"\x80\x04]q\x00" + b"".join(b"0]q" + bytes([i]) + b"(h" + bytes([i - 1]) + b"h" + bytes([i - 1]) + b"e"
                                         for i in range(1, 150)) + b"."
    began = time.monotonic()
    obj = load(io.BytesIO(level))
    assert obj[0] is obj[1]
    key = b"".join(b"0h" + bytes([i - 1]) + b"h" + bytes([i - 1]) + b"\x86q" + bytes([i]) for i in range(1, 60))
    refused(b"\x80\x04})q\x00" + key + b"K\x01s.", "dict's key")
    assert time.monotonic() - began < 5


def test_loops_and_depth():
    loop = []
    loop.append(loop)
    refused(pickle.dumps(loop), "inside itself")
    refused(b"\x80\x04" + b"]" * 5000 + b"a" * 4999 + b".", "deep")
    refused(b"\x80\x04" + b"N" + b"\x85" * 100_000 + b".", "deep")


def test_other_kinds_of_file(tmp_path):
    for name, content, says in (("a.pdparams", b"", "empty"), ("b.pdparams", b"PK\x03\x04....", "zip"),
                                ("c.pdparams", b"hello world", "begins like"),
                                ("d.safetensors", b"\x80\x04N.", "header too small"),
                                ("e.pdparams", pickle.dumps(1) + b"rest", "4 bytes follow"),
                                ("f.pdparams", b"\x80\x01N.", "protocol 1"), ("g.pdparams", b"\x80\x04", "ends early")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=says):
            load(tmp_path / name)


@pytest.mark.parametrize("name", ["nested.pdparams", "adamw.pdopt", "state_protocol2.pdparams", "state.safetensors"])
def test_every_truncation_is_refused(name):
    data = (GOLDEN / name).read_bytes()
    for size in range(len(data)):
        with pytest.raises(CheckpointError):
            load(io.BytesIO(data[:size]), safetensors=name.endswith("safetensors"))


# ---- safetensors -----------------------------------------------------------------------------------------------------

def safe(header, body=b"", length=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(first, last, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [first, last]}


# What the package refuses itself is named in its words; the rest are checks of our own.
@pytest.mark.parametrize("data, says", [
    (b"", "too small"), (safe({}, length=1 << 60), "too large"), (safe({}, length=200_000_000), "too large"),
    (safe(b"[]"), "JSON"), (safe(b"{"), "JSON"), (safe(b'{"a":' + b"[" * 100_000), "recursion"),
    (safe({"a": entry(0, 4), "b": entry(0, 4)}, b"1234"), "invalid offset"),
    (safe({"a": entry(0, 8, (2,)), "b": entry(4, 8)}, b"12345678"), "invalid offset"),
    (safe({"a": entry(0, 4), "b": entry(8, 12)}, b"123456789012"), "invalid offset"),
    (safe({"a": entry(4, 0)}, b"1234"), "invalid offset"),
    (safe({"a": entry(0, 4)}, b"12345678"), "not fully covered"),
    (safe({"a": entry(0, 8, (2,))}, b"1234"), "not fully covered"),
    (safe({"a": entry(0, 4, (1 << 50,))}, b"1234"), "invalid shape"),
    (safe({"a": entry(0, 4, (2,))}, b"1234"), "invalid shape"),
    (safe({"a": entry(0, 0, (1 << 32, 1 << 32))}), "overflow"),
    (safe({"a": entry(0, 0, (0, 1 << 32, 1 << 32))}), "too big"),
    (safe({"a": entry(0, 4, (1,) * 70)}, b"1234"), "dimension"),
    (safe({"a": entry(0, 4, dtype="O")}, b"1234"), "unknown variant `O`"),
    (safe({"a": entry(0, 4, dtype=[])}, b"1234"), "JSON"),
    (safe({"a": entry(0, 1, (2,), dtype="F4")}, b"1"), "type F4"),
    (safe({"a": entry(0, 4, (-1, -1))}, b"1234"), "integer `-1`"),
    (safe({"a": entry(0, 4, (1.0,))}, b"1234"), "floating point"),
    (safe({"a": entry(0, 4, (True,))}, b"1234"), "boolean"), (safe({"a": 3}), "JSON"),
    (safe({"a": {"dtype": "F32", "data_offsets": [0, 0]}}), "missing field `shape`"),
    (safe(b'{"a":%s,"a":%s}' % ((json.dumps(entry(0, 4)).encode(),) * 2), b"1234"), "twice"),
    (safe(b'{"__metadata__":{"k":"1","k":"2"}}'), "twice"),
    (safe({"a": entry(0, 1, dtype="BOOL")}, b"\x07"), "bool"),
    (safe({"__metadata__": {"gpuflow.structure": '{"x": 1}'}}), "unknown kind"),
    (safe({"__metadata__": {"gpuflow.structure": '{"t": "missing"}'}}), "damaged"),
    (safe({"__metadata__": {"gpuflow.structure": '{"l":[' * 300 + '{"v":1}' + "]}" * 300}}), "deep"),
    (safe({"__metadata__": {"gpuflow.structure": "[" * 100_000}}), "damaged"),
    (safe({"__metadata__": {"a": 1}}), "JSON")])
def test_hostile_safetensors(data, says):
    with pytest.raises(CheckpointError, match=says):
        load(io.BytesIO(data), safetensors=True)


# ---- mutations -------------------------------------------------------------------------------------------------------

def seeds() -> list:
    made = [(GOLDEN / name).read_bytes() for name in ("nested.pdparams", "linear.pdparams", "state_protocol2.pdparams")]
    buffer = io.BytesIO()
    save({"a": {"b": tensors()["bfloat16"]}, "c": [1, tensors()["bool"]]}, buffer, safetensors=True)
    return [*made, buffer.getvalue()]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutated_files_load_or_are_refused(data):
    """Any change of bytes gives a value or a CheckpointError; anything else fails the test."""
    original = data.draw(st.sampled_from(seeds()))
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete", "copy"])):
            case "set":
                changed[at] = data.draw(st.integers(0, 255))
            case "insert":
                changed[at:at] = data.draw(st.binary(min_size=1, max_size=6))
            case "delete":
                del changed[at:at + data.draw(st.integers(1, 8))]
            case "copy":
                start = data.draw(st.integers(0, len(original) - 1))
                changed[at:at] = original[start:start + 12]
        if not changed:
            return
    for options in ({}, {"safetensors": True}, {"return_numpy": True}):
        with contextlib.suppress(CheckpointError):
            load(io.BytesIO(bytes(changed)), **options)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(
    [bytes([code]) for code in b"N()}]0\x85\x86\x87taeusRb\x94\x88\x8f\x90\x91\x93\x81"]
    + [b"\x8c\x01a", b"\x8c\x08builtins", b"\x8c\x05tuple", b"\x8c\x03set", b"C\x01x", b"q\x00", b"h\x00", b"K\x00"]),
    max_size=40))
def test_random_programs(parts):
    with contextlib.suppress(CheckpointError):
        load(io.BytesIO(b"\x80\x04" + b"".join(parts) + b"."))
