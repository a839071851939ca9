"""The README's code runs, from top to bottom, and docs/kernels.md has every row of the kernel table."""

import re
from pathlib import Path

import gpuflow_kernels
from gpuflow_kernels.registry import KERNELS


def test_the_readme_runs():
    text = (Path(gpuflow_kernels.__file__).parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["p"][:50].any() and not names["p"][50:128].any()


def test_the_page_has_the_bytes_of_every_rule():
    text = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (\d+) \| ([a-z_, ]+) \|$", text, re.M)
    said = {f"clip + {name}": int(count) for count, names in lines for name in names.split(", ")}
    assert said == {kernel.name: kernel.bytes_per_element for kernel in KERNELS if kernel.name != "global_norm"}
