"""The examples run as a user runs them, shortened, and leave what their READMEs promise."""
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(example, *arguments, cwd):
    done = subprocess.run([sys.executable, str(EXAMPLES / example / "main.py"), *arguments], cwd=cwd,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_digits(tmp_path):
    said = run("digits", "--epochs", "6", "--device", "cpu", cwd=tmp_path)
    assert "device: cpu" in said and "linear_0.w_0" in said   # the strategy table comes first
    reached = float(re.search(r"test accuracy: ([\d.]+)", said)[1])
    restored = float(re.search(r"fresh network, reads ([\d.]+)", said)[1])
    assert reached == restored
    assert reached > 0.95   # make demo trains four times as long and passes 0.98
    out = tmp_path / "out" / "digits"
    for name in ("curves.png", "misread.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG") and f"out/digits/{name}" in said
    assert (out / "model.pdparams").stat().st_size > 90_000
