"""What the pages say is so: the examples run, paths and links lead somewhere, variables are the code's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "kernels").rglob("*.md"),
                *(REPOSITORY / "examples").rglob("*.md"), *(REPOSITORY / "bench").rglob("*.md")])
ROOTS = ("gpuflow/", "kernels/", "tests/", "bench/", "examples/", "docs/", ".ci/")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_and_paths_lead_somewhere(page):
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose(page))]
    missing = [link for link in links if link and ":" not in link and not (page.parent / link).exists()]
    # `bench/bench_*.py` and `docs/decisions/NNNN-*.md` name patterns, not files
    paths = [path for path in re.findall(r"`([\w./-]+/[\w./-]*)`", prose(page)) if path.startswith(ROOTS)]
    missing += [path for path in paths if not (REPOSITORY / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", ["README.md", "docs/amp.md", "docs/pretrained-vectors.md", "docs/static.md"])
def test_example_runs(page, tmp_path):
    block, *_ = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / page).read_text(encoding="utf-8"),
                           flags=re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "GPUFLOW_DEVICE": "cpu"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "the example prints what it shows"


def test_every_environment_variable_is_documented_and_every_documented_one_exists():
    table = (REPOSITORY / "docs" / "environment.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(GPUFLOW_\w+)`", table, flags=re.MULTILINE))
    read = set()
    for folder in ("gpuflow", "kernels"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            read |= set(re.findall(r"""["'](GPUFLOW_\w+)["']""", path.read_text(encoding="utf-8")))
    assert documented == read


def test_every_decision_is_in_the_index():
    folder = REPOSITORY / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in sorted(folder.glob("[0-9]*.md")) if f"]({page.name})" not in index] == []
