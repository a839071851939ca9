"""The command `gpuflow`: what it prints, writes and refuses; errors are one line on stderr and exit code 2."""
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import cli, nn
from gpuflow.cli import checkpoints
from gpuflow.io.checkpoint import load, save

GOLDEN = Path(__file__).parent / "golden" / "checkpoints"


def model():
    return nn.Sequential(("body", nn.Sequential(("fc1", nn.Linear(4, 3)), ("fc10", nn.Linear(3, 3)))),
                         ("head", nn.Linear(3, 2, bias_attr=False)))


@pytest.fixture(params=["net.pdparams", "net.safetensors"])
def file(request, tmp_path):
    path = tmp_path / request.param
    save(model().state_dict(), path)
    return str(path)


def fails(capsys, *arguments) -> str:
    assert cli.main(list(arguments)) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.startswith(f"gpuflow {arguments[0]}: ")
    return error


def test_inspect_lists_everything_with_totals(file, capsys):
    assert cli.main(["inspect", file]) == 0
    head, *rows, last = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["name", "shape", "dtype", "bytes"]
    assert sorted(rows) == sorted([
        ["body.fc1.weight", "[4,", "3]", "float32", "48"], ["body.fc1.bias", "[3]", "float32", "12"],
        ["body.fc10.weight", "[3,", "3]", "float32", "36"], ["body.fc10.bias", "[3]", "float32", "12"],
        ["head.weight", "[3,", "2]", "float32", "24"]])
    assert " ".join(last) == "5 tensors, 33 elements, 132 bytes"


@pytest.mark.parametrize("name", [path.name for path in sorted(GOLDEN.glob("*.*")) if path.suffix != ".py"])
def test_inspect_json_says_what_load_gives(name, capsys):
    assert cli.main(["inspect", str(GOLDEN / name), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    arrays = {key: value for key, value in checkpoints._leaves(load(GOLDEN / name, return_numpy=True))
              if isinstance(value, np.ndarray)}
    assert {t["name"]: (t["shape"], t["dtype"], t["bytes"]) for t in said["tensors"]} == {
        key: (list(a.shape), a.dtype.name, a.nbytes) for key, a in arrays.items()}
    assert said["total"]["tensors"] == len(arrays)
    assert said["total"]["bytes"] == sum(a.nbytes for a in {id(a): a for a in arrays.values()}.values())


def test_inspect_reads_only_the_header_of_safetensors(tmp_path, capsys, monkeypatch):
    import gpuflow.io.checkpoint as checkpoint

    path = tmp_path / "net"   # recognised without the suffix
    save({"w": np.zeros((5, 2), np.float16), "flags": np.zeros(3, bool), "c": np.zeros(2, np.complex64)}, path,
         safetensors=True)
    monkeypatch.setattr(checkpoint, "load", lambda *a, **k: pytest.fail("loaded the contents"))
    assert cli.main(["inspect", str(path), "--json"]) == 0
    tensors = json.loads(capsys.readouterr().out)["tensors"]
    assert {t["name"]: (t["shape"], t["dtype"], t["bytes"]) for t in tensors} == {
        "w": ([5, 2], "float16", 20), "flags": ([3], "bool", 3), "c": ([2], "complex64", 16)}


def test_inspect_counts_tied_tensors_once_and_shows_other_values(tmp_path, capsys):
    w = gpuflow.ones([2, 2])
    save({"a": w, "b": w, "epoch": 3, "line\nbreak": 1}, tmp_path / "x.pdparams")
    assert cli.main(["inspect", str(tmp_path / "x.pdparams")]) == 0
    out = capsys.readouterr().out
    assert "tied to a" in out and "epoch: 3" in out and r"'line\nbreak': 1" in out
    assert out.endswith("2 tensors, 4 elements, 16 bytes\n")


@pytest.mark.parametrize("out", ["fc.pdparams", "fc.safetensors"])
@pytest.mark.parametrize("prefix", ["body.fc1", "body.fc1."])
def test_export_layer_gives_weights_that_the_layer_takes(file, tmp_path, out, prefix, capsys):
    out = str(tmp_path / out)
    assert cli.main(["export-layer", file, prefix, out]) == 0
    assert "weight [4, 3] float32" in capsys.readouterr().out
    layer = nn.Linear(4, 3)
    assert layer.set_state_dict(load(out)) == ([], [])
    whole = load(file)
    assert (layer.weight.numpy() == whole["body.fc1.weight"].numpy()).all()
    assert (layer.bias.numpy() == whole["body.fc1.bias"].numpy()).all()
    assert set(load(out)) == {"weight", "bias"}   # fc10 is another layer


def test_export_layer_from_a_nested_checkpoint(tmp_path, capsys):
    whole, out = str(tmp_path / "all.pdparams"), str(tmp_path / "body.pdparams")
    save({"model": model().state_dict(), "epoch": 1}, whole)
    assert cli.main(["export-layer", whole, "model.body", out]) == 0
    assert set(load(out)) == {"fc1.weight", "fc1.bias", "fc10.weight", "fc10.bias"}


def test_export_layer_overwrites_only_when_told(file, tmp_path, capsys):
    out = tmp_path / "fc.pdparams"
    out.write_bytes(b"precious")
    assert "--force" in fails(capsys, "export-layer", file, "head", str(out))
    assert out.read_bytes() == b"precious"
    assert cli.main(["export-layer", file, "head", str(out), "--force"]) == 0
    assert list(load(out)) == ["weight"]


@pytest.mark.parametrize("prefix, near", [("fc1", "body.fc1"), ("body.fc2", "body.fc1"), ("heads", "head"),
                                          ("nothing", "body.fc1, body.fc10, head")])
def test_export_layer_names_near_prefixes(file, tmp_path, capsys, prefix, near):
    said = fails(capsys, "export-layer", file, prefix, str(tmp_path / "out.pdparams")).split("Try: ")[1]
    assert set(near.split(", ")) <= set(said.replace("(", ",").replace(".\n", "").replace(" ", "").split(","))
    assert not (tmp_path / "out.pdparams").exists()


def test_errors_are_one_line(tmp_path, capsys):
    assert "not there" in fails(capsys, "inspect", str(tmp_path / "none.pdparams"))
    assert "a folder" in fails(capsys, "inspect", str(tmp_path))
    save({"w": np.zeros(9, np.float32)}, tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(data[:-1])
    assert "cannot be read" in fails(capsys, "inspect", str(tmp_path / "x.safetensors"))
    (tmp_path / "x.pdparams").write_bytes(b"\x80\x04cos\nsystem\n.")
    assert "cannot be read" in fails(capsys, "inspect", str(tmp_path / "x.pdparams"))


@pytest.mark.parametrize("arguments", [[], ["inspect"], ["unknown"], ["inspect", "a", "--wrong"]])
def test_wrong_usage_is_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_output_cut_short_by_the_reader_is_no_error():
    command = [sys.executable, "-m", "gpuflow", "inspect", str(GOLDEN / "state.pdparams")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0


def test_module_and_installed_command_are_the_same(tmp_path):
    done = subprocess.run([sys.executable, "-m", "gpuflow", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"gpuflow {gpuflow.__version__}\n")
    failed = subprocess.run([sys.executable, "-m", "gpuflow", "inspect", "none"], capture_output=True, text=True,
                            cwd=tmp_path)
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"gpuflow": "gpuflow.cli:main"}


def test_importing_the_command_leaves_the_rooms_alone():
    done = subprocess.run([sys.executable, "-c", "import sys, gpuflow.cli; print(*sys.modules)"], capture_output=True,
                          text=True)
    loaded = set(done.stdout.split())
    assert "gpuflow.cli" in loaded and not loaded & {"gpuflow.io", "gpuflow.nn", "safetensors", "difflib"}
