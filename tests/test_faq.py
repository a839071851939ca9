"""docs/faq.md: every script behind it runs, and prints what the page says it prints."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((REPOSITORY / "examples" / "faq").glob("q*.py"))
QUOTED = {name: (eager, static) for name, eager, static in re.findall(
    r"^\[(\w+\.py)\]\(\S+\) prints\n\n```text\n(.*?)^```\n\nand with `--static`\n\n```text\n(.*?)^```",
    (REPOSITORY / "docs" / "faq.md").read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)}


def test_every_script_is_on_the_page_and_in_the_readme():
    names = [script.name for script in SCRIPTS]
    assert list(QUOTED) == names and len(names) == 10
    readme = (REPOSITORY / "examples" / "faq" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((q\w+\.py)\)", readme) == names


@pytest.mark.parametrize("mode", ["eager", "static"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_prints_what_the_page_says(script, mode, tmp_path):
    words = ["--static"] if mode == "static" else []
    done = subprocess.run([sys.executable, "-W", "error", str(script), *words], cwd=tmp_path, capture_output=True,
                          text=True, timeout=120,
                          env={**os.environ, "GPUFLOW_DEVICE": "cpu", "PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr
    assert done.stdout == QUOTED[script.name][mode == "static"]
