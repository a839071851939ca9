"""The README's code runs, from top to bottom."""

import re
from pathlib import Path

import gpuflow_kernels


def test_the_readme_runs():
    text = (Path(gpuflow_kernels.__file__).parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["p"][:50].any() and not names["p"][50:128].any()
