"""`import paddle` gives gpuflow: under `as_paddle`, and in a script that `gpuflow run` runs, its workers included."""
import subprocess
import sys

import pytest

import gpuflow
from gpuflow.utils import as_paddle

SCRIPT = """
import sys
import paddle
import paddle.nn.functional as F
from paddle.io import DataLoader, TensorDataset

if __name__ == "__main__":
    rows, = next(iter(DataLoader(TensorDataset([paddle.arange(4)]), batch_size=4, num_workers=1)))
    print(sys.argv[1:], F.relu(rows - 2).tolist(), paddle.__name__)
    paddle.nn.NoSuchLayer
"""


def test_the_modules_are_gpuflow_s_own():
    with as_paddle():
        import paddle
        import paddle.nn.functional as F
        import paddle.optimizer.lr as lr
        from paddle.nn import Layer, Linear

        assert paddle is gpuflow and F is gpuflow.nn.functional and lr is gpuflow.optimizer.lr
        assert isinstance(gpuflow.nn.Linear(2, 2), Layer) and Linear is gpuflow.nn.Linear
    assert not [name for name in sys.modules if name.partition(".")[0] == "paddle"]
    assert gpuflow.__spec__.name == "gpuflow" and gpuflow.__name__ == "gpuflow"


@pytest.mark.parametrize(("line", "error"), [
    ("import paddle.fluid", ImportError), ("from paddle.nn import Fluid", ImportError),
    ("import paddle; paddle.fluid", AttributeError), ("import paddle; paddle.ones([1]).fluid", AttributeError)])
def test_what_is_not_there_is_said_and_where_to_look(line, error):
    with pytest.raises(error) as raised, as_paddle():
        exec(line)
    assert "docs/differences.md" in "".join([str(raised.value), *getattr(raised.value, "__notes__", [])])


def test_errors_of_other_things_stay_as_they_are():
    with pytest.raises(AttributeError) as raised, as_paddle():
        [].fluid   # noqa: B018
    assert not hasattr(raised.value, "__notes__")


def test_a_module_does_not_cover_a_function_of_its_name():
    with as_paddle():
        from paddle.amp.auto_cast import auto_cast
    assert gpuflow.amp.auto_cast is auto_cast


def test_the_inner_of_two_ends_nothing():
    with as_paddle():
        with as_paddle():
            pass
        import paddle
    assert paddle is gpuflow


def test_the_real_paddle_is_not_mixed_in(monkeypatch):
    monkeypatch.setitem(sys.modules, "paddle", sys)
    with pytest.raises(ImportError, match="before"):
        as_paddle()


def test_a_script_runs_with_its_arguments_and_workers(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "-m", "gpuflow", "run", "script.py", "--rate", "1"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.stdout == "['--rate', '1'] [0, 0, 0, 1] gpuflow\n"
    assert done.returncode == 1 and "line 10" in done.stderr and "docs/differences.md" in done.stderr


def test_a_module_runs(tmp_path):
    (tmp_path / "trainer.py").write_text("import sys, paddle\nprint(sys.argv[1:], paddle.__name__)\n")
    done = subprocess.run([sys.executable, "-m", "gpuflow", "run", "-m", "trainer", "-x"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("['-x'] gpuflow\n", "", 0)


def test_a_missing_script_is_one_line(capsys):
    from gpuflow import cli

    assert cli.main(["run", "absent.py"]) == 2
    assert capsys.readouterr().err == "gpuflow run: no file absent.py\n"
