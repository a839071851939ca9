"""docs/custom-optimizer.md: its blocks run, one after the other, and print what the page claims."""
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "custom-optimizer.md"


def test_the_page_runs(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], cwd=tmp_path, capture_output=True,
                          text=True, env={**os.environ, "GPUFLOW_DEVICE": "cpu"})
    assert done.returncode == 0, done.stderr
    assert "largest difference to optimizer.Lion: 0.0\n" in done.stdout   # the same rule, under another name
    found = re.search(r"largest difference to optimizer.Momentum: (\S+)", done.stdout)
    assert float(found[1]) < 1e-6                                         # five steps of float32 roundings below 1
    assert "momentum=0.5" in done.stdout and "_velocity_0" in done.stdout
