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


def _left(said, out, *files):
    """The files are there, named in what was said, and pictures are pictures."""
    for name in files:
        assert f"{out.parent.name}/{out.name}/{name}" in said and (out / name).stat().st_size > 1000
        assert not name.endswith(".png") or (out / name).read_bytes().startswith(b"\x89PNG")


def test_char_gpt(tmp_path):
    said = run("char_gpt", "--layers", "2", "--width", "32", "--context", "32", "--heads", "2", "--steps", "60",
               "--rate", "1e-2", "--write", "80", "--device", "cpu", cwd=tmp_path)
    assert re.search(r"sha256 [0-9a-f]{12}", said) and 'The "while" statement' in said
    assert float(re.search(r"test text: ([\d.]+) bits", said)[1]) < 4.5   # 6.7 before training
    _left(said, tmp_path / "out" / "char_gpt", "model.pdparams", "curves.png", "surprise.png")


def test_lstm_lm(tmp_path):
    said = run("lstm_lm", "--epochs", "1", "--width", "32", "--length", "32", "--rate", "2e-2", "--prompts", "if the",
               "--device", "cpu", cwd=tmp_path)
    assert "lstm_cell_0.w_1" in said and "rate: ParamAttr 0.5" in said
    assert float(re.search(r"perplexity ([\d.]+)", said)[1]) < 500   # some 2400 different words
    assert re.search(r"if the \.\.\. \S", said)
    _left(said, tmp_path / "out" / "lstm_lm", "model.pdparams", "curves.png", "cells.png")


def test_word_vectors(tmp_path):
    said = run("word_vectors", "--steps", "40", "--device", "cpu", cwd=tmp_path)
    random, pretrained = (float(re.search(rf"{kind} vectors, frozen: ([\d.]+)", said)[1])
                          for kind in ("random", "pretrained"))
    assert pretrained > 0.15 > random   # 27 topics
    assert re.search(r"^words +\[", said, re.M) and len(re.findall(r"^words ", said, re.M)) == 1
    _left(said, tmp_path / "out" / "word_vectors", "model.pdparams", "towers.png")
