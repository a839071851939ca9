"""What the pages say is so: the examples run, paths and links lead somewhere, variables are the code's."""

import linecache
import re
import types
from pathlib import Path

import pytest

import gpuflow  # noqa: F401  (so that conftest's known_state holds for the pages)

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


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


# docs/custom-optimizer.md has a test of its own, which looks at the numbers.
@pytest.mark.parametrize("page", [page for page in PAGES if page.parent in (REPOSITORY, REPOSITORY / "docs")
                                  and blocks(page) and page.name != "custom-optimizer.md"],
                         ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_blocks_run_one_after_the_other(page, tmp_path, monkeypatch, capsys):
    """As a reader pastes them, into one session; other languages (`py`, `text`, `sh`) mark what is not run."""
    monkeypatch.chdir(tmp_path)
    session = types.ModuleType("__main__").__dict__
    for number, block in enumerate(blocks(page)):
        lines = linecache.cache[f"<{page.name}, block {number + 1}>"] = (   # where jit.to_static finds the text
            len(block), None, block.splitlines(keepends=True), f"<{page.name}, block {number + 1}>")
        exec(compile(block, lines[3], "exec"), session)
    assert capsys.readouterr().out.strip(), "the examples print what they show"


def test_every_environment_variable_is_documented_and_every_documented_one_exists():
    table = (REPOSITORY / "docs" / "environment.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(GPUFLOW_\w+)`", table, flags=re.MULTILINE))
    read = set()
    for folder in ("gpuflow", "kernels"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            read |= set(re.findall(r"""["'](GPUFLOW_\w+)["']""", path.read_text(encoding="utf-8")))
    assert documented == read


def test_every_page_is_in_the_table_of_contents():
    folder = REPOSITORY / "docs"
    for index in (folder / "index.md", folder / "api" / "index.md"):
        listed = set(re.findall(r"^[\w/*-]+$", index.read_text(encoding="utf-8"), flags=re.MULTILINE))
        assert {page.stem for page in index.parent.glob("*.md")} - {"index"} <= listed


def test_every_decision_is_in_the_index():
    folder = REPOSITORY / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in sorted(folder.glob("[0-9]*.md")) if f"]({page.name})" not in index] == []
