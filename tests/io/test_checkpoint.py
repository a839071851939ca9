"""save and load: what comes back, what Paddle wrote, and what stays whole when writing fails."""
import io
import os
import pathlib
import stat
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

import gpuflow
from gpuflow.io import pickle_writer
from gpuflow.io.checkpoint import CheckpointError, load, save
from gpuflow.tensor import Tensor
from tests.io.checkpoint_cases import BASE, tensors

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "checkpoints"
SUFFIXES = (".pdparams", ".safetensors")


def same(found, expected):
    """Equal in structure, types, dtypes, shapes and bits."""
    if isinstance(expected, Tensor):
        assert isinstance(found, Tensor), type(found)
        found, expected = found._array, expected._array
    assert type(found) is type(expected), (type(found), type(expected))
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()
        assert found.flags.c_contiguous and found.flags.writeable
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for a, b in zip(found, expected):
            same(a, b)
    else:
        assert found == expected or (found != found and expected != expected)


def through(obj, path, **options):
    save(obj, str(path))
    return load(str(path), **options)


# ---- round trips -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state, "s": [1, 2.5, None, "x", ()]}])
def test_every_dtype_and_layout(tmp_path, suffix, wrap):
    obj = wrap(tensors())
    same(through(obj, tmp_path / f"a{suffix}"), obj)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_protocols(tmp_path, protocol):
    for obj in (tensors(), [tensors(), b"bytes", 1 << 80, {1, 2}, 2 + 3j, True]):
        save(obj, tmp_path / "x.pdparams", protocol=protocol)
        same(load(tmp_path / "x.pdparams"), obj)


def test_names_come_back_from_both_shapes_of_pickle(tmp_path):
    tensor = gpuflow.to_tensor([1.0])
    tensor.name = "my_weight"
    assert through({"w": tensor}, tmp_path / "a")["w"].name == "my_weight"
    assert through([tensor], tmp_path / "a")[0].name == "my_weight"
    save({"w": tensor}, tmp_path / "a")
    assert load(tmp_path / "a", keep_name_table=True)["StructuredToParameterName@@"] == {"w": "my_weight"}


def test_return_numpy(tmp_path):
    for suffix in SUFFIXES:
        found = through({"w": tensors()["bfloat16"], "v": tensors()["transposed"]}, tmp_path / f"a{suffix}",
                        return_numpy=True)
        assert found["w"].dtype == ml_dtypes.bfloat16 and type(found["v"]) is np.ndarray
        assert (found["v"] == BASE.T).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tied_tensors_are_stored_once_and_come_back_tied(tmp_path, suffix):
    weight = gpuflow.to_tensor(np.arange(10_000, dtype=np.float32))
    obj = {"embed": weight, "head": weight, "view": Tensor(weight._array), "other": Tensor(weight._array.copy())}
    path = tmp_path / f"tied{suffix}"
    found = through(obj, path)
    assert path.stat().st_size < 2.1 * 40_000
    assert found["embed"] is found["head"] is found["view"] and found["other"] is not found["embed"]
    assert set(found) == set(obj) and (found["head"].numpy() == weight.numpy()).all()


def test_safetensors_keeps_containers_only_when_nothing_is_lost(tmp_path):
    path = tmp_path / "a.safetensors"
    x, y = tensors()["float32"], tensors()["float64"]
    obj = {"model": OrderedDict(w=x), "groups": [{"lr": 0.1, 3: (x, None)}], "nan": float("nan")}
    same(through(obj, path), obj)
    for wrong in ({"a": {"b": x}, "a.b": y}, {"\ud800": x}, {"a": {1, 2}}, {"a": b"x"},
                  {"a": np.float32(1)}, {(1, 2): x}, x, [x], {"__metadata__": x}):
        with pytest.raises(CheckpointError, match=r"safetensors"):
            save(wrong, path)
    same(load(path), obj)   # refused files left the old one alone


def test_float8_and_arrays_in_any_layout(tmp_path):
    """The package writes the memory of a transposed or strided array as if it were in C order."""
    cube = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    obj = {"fortran": np.asfortranarray(cube), "moved": np.moveaxis(cube, 0, 2), "strided": cube[:, ::2, ::-1],
           "big": cube.astype(">f4"), "repeated": np.broadcast_to(cube[0, 0], (3, 4)), "0-d": np.array(2.5)}
    obj |= {name: np.arange(4).astype(getattr(ml_dtypes, name)) for name in ("float8_e4m3fn", "float8_e5m2")}
    found = through(obj, tmp_path / "a.safetensors", return_numpy=True)
    assert list(found) == list(obj)
    for name, array in obj.items():
        same(found[name], np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def test_a_header_too_large_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="too large"):
        save({"text": "x" * 100_000_000}, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_library_of_the_format_reads_ours_and_we_read_its(tmp_path):
    flat = tensors()
    save(flat, tmp_path / "ours.safetensors")
    theirs = safetensors.numpy.load_file(tmp_path / "ours.safetensors")
    assert set(theirs) == set(flat)
    for name, tensor in flat.items():
        assert theirs[name].dtype == tensor._array.dtype and (theirs[name] == tensor._array).all(), name
    plain = {name: np.ascontiguousarray(tensor._array).reshape(tensor._array.shape) for name, tensor in flat.items()}
    safetensors.numpy.save_file(plain, tmp_path / "theirs.safetensors", metadata={"format": "np"})
    found = load(tmp_path / "theirs.safetensors", return_numpy=True)
    same({name: found[name] for name in plain}, plain)


def test_file_objects(tmp_path):
    buffer = io.BytesIO()
    save({"w": tensors()["float32"]}, buffer)
    save(tensors()["bfloat16"], buffer)
    buffer.seek(0)
    same(load(buffer), {"w": tensors()["float32"]})
    same(load(buffer), tensors()["bfloat16"])
    safe = io.BytesIO()
    save({"w": tensors()["float32"]}, safe, safetensors=True)
    safe.seek(0)
    same(load(safe), {"w": tensors()["float32"]})
    with open(tmp_path / "text", "w") as file, pytest.raises(TypeError):
        save({"w": 1}, file)


def test_large_arrays_are_cut_in_old_protocols(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle_writer, "LARGEST_SLICE", 16)
    obj = {"small": gpuflow.to_tensor([1.0]), "large": gpuflow.to_tensor(np.arange(15.0).reshape(3, 5))}
    save(obj, tmp_path / "a", protocol=2)
    found = load(tmp_path / "a")
    same({key: found[key] for key in obj}, obj)
    assert set(found) == set(obj)


def test_loaded_tensors_do_not_share_memory_with_the_file(tmp_path):
    found = through({"w": tensors()["float32"]}, tmp_path / "a.pdparams")
    found["w"]._array[...] = 7
    same(load(tmp_path / "a.pdparams"), {"w": tensors()["float32"]})


def test_arrays_on_the_device(device, tmp_path):
    for suffix in SUFFIXES:
        found = through({"w": gpuflow.to_tensor(BASE)}, tmp_path / f"a{suffix}")
        assert str(found["w"].place) == device and (found["w"].numpy() == BASE).all()


@settings(max_examples=40, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | arrays.arrays(st.sampled_from([np.float32, np.int64, np.bool_, np.complex64, np.float16]),
                    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)).map(Tensor),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3)
    | st.tuples(inner, inner, inner), max_leaves=8))
def test_any_nest_comes_back(obj):
    for options, value in (({}, obj), ({"safetensors": True}, {"root": obj})):
        buffer = io.BytesIO()
        save(value, buffer, **options)
        buffer.seek(0)
        same(load(buffer), value)


# ---- what Paddle wrote -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["state.pdparams", "state_protocol2.pdparams"])
def test_paddle_state_dict(name):
    same(load(GOLDEN / name), tensors())


def test_paddle_nested():
    found = load(GOLDEN / "nested.pdparams")
    same(found["model"], tensors())
    same(found["list"], [tensors()["bfloat16"], (1, "two")])
    assert (found["epoch"], found["rate"], found["none"], found["text"]) == (3, 0.5, None, "ü")
    assert found["numpy"] == 2.5 and isinstance(found["numpy"], np.float32)
    same(load(GOLDEN / "tensor.pdtensor"), gpuflow.to_tensor([1.0, 2.0]))
    assert all(isinstance(item, Tensor) for item in load(GOLDEN / "arrays.pdparams")["arrays"])


def test_paddle_layer_and_optimizer():
    layer = load(GOLDEN / "linear.pdparams")
    assert (layer["weight"].numpy() == BASE).all() and layer["weight"].name == "linear_0.w_0"
    state = load(GOLDEN / "adamw.pdopt")
    assert state["LR_Scheduler"]["last_epoch"] == 3
    assert state["linear_0.w_0_moment1_0"].shape == [2, 3]
    master = load(GOLDEN / "adamw_master.pdopt")
    assert isinstance(master["master_weights"]["linear_0.w_0"], Tensor)
    same(master["linear_0.w_0_moment1_0"], state["linear_0.w_0_moment1_0"])


def test_paddle_safetensors():
    found = load(GOLDEN / "state.safetensors")
    expected = {name: tensor for name, tensor in tensors().items() if name != "complex64"}
    same({name: found[name] for name in expected}, expected)


# ---- what is refused when saving -------------------------------------------------------------------------------------

class Layer:
    def state_dict(self):
        return {}


@pytest.mark.parametrize("obj, says", [
    (Layer(), r"state_dict\(\)"), ({"a": [print]}, r"obj\['a'\]\[0\]"), ({"a": np.zeros(2, np.uint16)}, "bfloat16"),
    ({"a": np.array([None])}, "object"), ({"a": ("name", np.zeros(2))}, "named tensor"),
    ({(1,): 2}, "keys"), ({"a": np.zeros(2, ml_dtypes.float8_e4m3fn)}, "safetensors")])
def test_what_the_format_cannot_hold(tmp_path, obj, says):
    with pytest.raises(CheckpointError, match=says):
        save(obj, tmp_path / "a.pdparams")
    assert not list(tmp_path.iterdir())


def test_containers_inside_themselves(tmp_path):
    loop = []
    loop.append(loop)
    for suffix in SUFFIXES:
        with pytest.raises(CheckpointError, match="deep"):
            save({"a": loop}, tmp_path / f"a{suffix}")


def test_arguments_that_do_nothing_are_refused(tmp_path):
    with pytest.raises(TypeError, match="unknown"):
        save({}, tmp_path / "a", compress=True)
    with pytest.raises(TypeError, match="unknown"):
        load(tmp_path / "a", map_location="cpu")
    with pytest.raises(ValueError, match="protocol"):
        save({}, tmp_path / "a", protocol=5)
    with pytest.raises(ValueError, match="use_binary_format"):
        save({}, tmp_path / "a", use_binary_format=True)
    with pytest.raises(TypeError, match="path"):
        save({}, 3)


# ---- files -----------------------------------------------------------------------------------------------------------

def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.pdparams"
    save({"w": tensors()["float32"]}, path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    for where, what in (("gpuflow.io.atomic.os.fsync", full), ("gpuflow.io.pickle_writer.pickle.dump", full)):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(where, what)
            save({"w": tensors()["float64"]}, path)
        assert path.read_bytes() == before and [item.name for item in tmp_path.iterdir()] == ["a.pdparams"]


def test_the_new_file_is_flushed_before_it_gets_its_name(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("replace"), replace(a, b)))
    save({}, tmp_path / "a")
    assert steps == ["fsync", "replace", "fsync"]   # the last one is the folder's


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_folders_permissions_and_links(tmp_path, suffix):
    path = tmp_path / "new" / "folder" / f"a{suffix}"
    save({}, str(path))
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode   # as the umask has it
    link = tmp_path / f"link{suffix}"
    link.symlink_to(path)
    for mode in (0o640, 0o444):
        path.chmod(mode)
        save({"w": tensors()["scalar"]}, link)
        assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == mode
    same(load(path), {"w": tensors()["scalar"]})
    with pytest.raises(ValueError, match="file name"):
        save({}, str(tmp_path) + "/")
    with pytest.raises(IsADirectoryError):
        save({}, str(tmp_path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pipe_is_written_and_stays_a_pipe(tmp_path, suffix):
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)   # a few hundred bytes fit into the pipe's buffer
    try:
        save({"w": tensors()["float32"]}, path)
        same(load(io.BytesIO(os.read(reader, 65536))), {"w": tensors()["float32"]})
        assert stat.S_ISFIFO(path.stat().st_mode) and [item.name for item in tmp_path.iterdir()] == [path.name]
    finally:
        os.close(reader)


def test_a_disk_error_of_the_package_is_an_oserror(tmp_path, monkeypatch):
    def full(*args):
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    path = tmp_path / "a.safetensors"
    save({"w": tensors()["float32"]}, path)
    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        save({"w": tensors()["float64"]}, path)
    monkeypatch.undo()
    same(load(path), {"w": tensors()["float32"]})
    assert [item.name for item in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_missing_file_says_what_is_near(tmp_path):
    save({}, tmp_path / "model.pdparams")
    with pytest.raises(FileNotFoundError, match=r"model\.pdparams"):
        load(tmp_path / "model")
    (tmp_path / "traced.pdmodel").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"jit\.load\(.*traced'\)\.state_dict\(\)"):
        load(tmp_path / "traced")
