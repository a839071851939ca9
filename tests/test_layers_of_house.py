"""Arrows point down: a file imports from the rows below its own or from its own room (docs/tour.md has the picture).

The table is the contract. A new file or folder of gpuflow needs a place in it; the test says so when it has none.
Imports inside functions and under TYPE_CHECKING count as well: they hide an arrow, they do not turn it round.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
KERNELS = "gpuflow_kernels"

# Row k holds rooms; the files of one room may import each other, rooms of one row may not. "static/nn" is nearer to a
# file than "static", so the longer name counts.
ROWS: tuple[tuple[frozenset[str], ...], ...] = (
    (frozenset({"device", "dtypes", "random", "errors", "log", "structure", "unique_name", "_version", "version",
                "common_ops_import"}),
     frozenset({KERNELS})),
    (frozenset({"ops"}),),
    (frozenset({"tensor", "dispatch"}),),
    (frozenset({"autograd"}), frozenset({"static"})),
    (frozenset({"param", "regularizer", "functional", "fft", "geometric", "linalg", "signal", "methods", "utils"}),),
    (frozenset({"nn", "static/nn"}),),
    (frozenset({"optimizer"}), frozenset({"io"}), frozenset({"amp"}), frozenset({"metric"}), frozenset({"text"}),
     frozenset({"distribution"})),
    (frozenset({"jit", "static/io"}), frozenset({"static/amp"}), frozenset({"incubate"}), frozenset({"distributed"}),
     frozenset({"framework", "base"}), frozenset({"vision"}), frozenset({"utils"})),
    (frozenset({"hapi", "callbacks", "viz"}),),
    (frozenset({"cli", "__main__"}),),
)

# (file, imported module): why this one arrow may point up or sideways. Each needs a reason a reader would accept; an
# entry that is no longer needed fails the test.
ALLOWED: dict[tuple[str, str], str] = {}

OUTSIDE = {"tests", "bench", "examples"}   # the row above: nothing that is installed may lean on it


class Import(NamedTuple):
    module: str
    line: int


def imports_of(path: Path, package: str, is_init: bool) -> Iterator[Import]:
    """Every module that the file names in an import, `import_module("...")` with a fixed name included.

    package: the dotted name of the file's module. `from a import b` yields "a.b": who knows whether b is a module is
    the caller.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = parts[: len(parts) - node.level + is_init]
                base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (Import(f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield Import(node.args[0].value, node.lineno)


def room_of(module: str) -> tuple[int, int] | None:
    """(row, room) of a dotted module name inside gpuflow ("gpuflow.ops.matmul") or gpuflow_kernels; None: no place."""
    parts = module.split(".")
    names = [KERNELS] if parts[0] == KERNELS else ["/".join(parts[1:3]), "/".join(parts[1:2])]
    for name in names:
        for row, rooms in enumerate(ROWS):
            for room, members in enumerate(rooms):
                if name in members:
                    return row, room
    return None


def is_module(root: Path, module: str) -> bool:
    folder, *rest = module.split(".")
    path = root.joinpath({KERNELS: "kernels"}.get(folder, folder), *rest)
    return path.is_dir() or path.with_suffix(".py").is_file()


def arrows(root: Path) -> Iterator[tuple[str, Import, str]]:
    """(file, import, complaint) for every import in gpuflow/ and kernels/ below root that breaks the table."""
    for folder, package in (("gpuflow", "gpuflow"), ("kernels", KERNELS)):
        for path in sorted((root / folder).rglob("*.py")):
            file = path.relative_to(root).as_posix()
            if file == "gpuflow/__init__.py":
                continue   # the front door: it gathers the public names of all rows
            is_init = path.name == "__init__.py"
            inside = path.relative_to(root / folder).with_suffix("").parts
            own = ".".join([package, *(inside[:-1] if is_init else inside)])
            here = room_of(own)
            if here is None:
                yield file, Import(own, 1), f"{own} has no place in ROWS; give it a row"
                continue
            for found in imports_of(path, own, is_init):
                # `from gpuflow.ops import registry` names a module, `from gpuflow.tensor import Tensor` a thing in one
                module = found.module if is_module(root, found.module) else found.module.rpartition(".")[0]
                top = found.module.split(".")[0]
                if top == "kernels":
                    complaint = f"'kernels' exists in a checkout only; import {KERNELS}"
                elif top in OUTSIDE:
                    complaint = f"{top}/ is not installed; what is installed must not lean on it"
                elif top not in ("gpuflow", KERNELS):
                    continue
                elif folder == "kernels" and top == "gpuflow":
                    complaint = "kernels/ knows nothing of gpuflow"
                elif module in ("gpuflow", "") or found.module == "gpuflow":
                    complaint = "imports the root package; import the module that defines the name"
                elif (there := room_of(module)) is None:
                    complaint = f"{module} has no place in ROWS; give it a row"
                elif there[0] > here[0]:
                    complaint = f"{module} is row {there[0]}, above this file's row {here[0]}"
                elif there[0] == here[0] and there != here:
                    complaint = f"{module} is a neighbour in row {here[0]}; neighbours do not import each other"
                else:
                    continue
                yield file, Import(module, found.line), complaint


def test_arrows_point_down():
    assert list(REPOSITORY.glob("gpuflow/ops/*.py")) and list(REPOSITORY.glob("kernels/*.py")), "nothing to look at"
    found = list(arrows(REPOSITORY))
    wrong = [f"{file}:{where.line}: {why}" for file, where, why in found if (file, where.module) not in ALLOWED]
    assert not wrong, "\n" + "\n".join(wrong)


def test_allowed_arrows_are_still_needed():
    found = {(file, where.module) for file, where, _ in arrows(REPOSITORY)}
    assert set(ALLOWED) <= found, f"no longer needed, delete: {sorted(set(ALLOWED) - found)}"
    assert all(reason.strip() for reason in ALLOWED.values())


HOUSE = {
    "gpuflow/__init__.py": "from gpuflow.nn.layer import Layer\nimport gpuflow.optimizer.sgd\n",
    "gpuflow/device.py": "import numpy\nfrom gpuflow.errors import explain\n",
    "gpuflow/errors.py": "",
    "gpuflow/ops/__init__.py": "",
    "gpuflow/ops/registry.py": "from gpuflow import device\nfrom . import matmul\n",
    "gpuflow/ops/matmul.py": "from gpuflow_kernels.nn import conv\n",
    "gpuflow/tensor.py": "def f():\n    from gpuflow import dispatch\n",
    "gpuflow/dispatch.py": "from gpuflow.ops.registry import op\n",
    "gpuflow/autograd/__init__.py": "from .tape import Eager\n",
    "gpuflow/autograd/tape.py": "from ..tensor import Tensor\n",
    "gpuflow/static/__init__.py": "",
    "gpuflow/static/program.py": "from gpuflow.dispatch import call\n",
    "gpuflow/static/nn/__init__.py": "from gpuflow.nn.layer import Layer\nfrom gpuflow.static.program import Program\n",
    "gpuflow/nn/__init__.py": "",
    "gpuflow/nn/layer.py": "from gpuflow.autograd.tape import Eager\n",
    "gpuflow/optimizer/sgd.py": "from gpuflow_kernels.update import rule\nfrom gpuflow.nn import layer\n",
    "kernels/__init__.py": "",
    "kernels/update/__init__.py": "import numpy\nfrom gpuflow_kernels.registry import kernel\n",
    "kernels/registry.py": "",
    "kernels/nn/conv.py": "",
}


@pytest.fixture
def house(tmp_path):
    for name, text in HOUSE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_clean_house_has_no_complaints(house):
    assert list(arrows(house)) == []


@pytest.mark.parametrize(("file", "line", "complaint"), [
    ("gpuflow/ops/matmul.py", "from gpuflow.tensor import Tensor", "above this file's row 1"),
    ("gpuflow/ops/matmul.py", "from gpuflow import tensor", "above this file's row 1"),
    ("gpuflow/ops/matmul.py", "from .. import tensor", "above this file's row 1"),
    ("gpuflow/ops/matmul.py", "import gpuflow.tensor as t", "above this file's row 1"),
    ("gpuflow/ops/matmul.py", "def f():\n    from gpuflow.nn.layer import Layer", "above this file's row 1"),
    ("gpuflow/ops/matmul.py", "import importlib\nimportlib.import_module('gpuflow.nn')", "above this file's row 1"),
    ("gpuflow/ops/matmul.py", "if TYPE_CHECKING:\n    from ..tensor import Tensor", "above this file's row 1"),
    ("gpuflow/ops/__init__.py", "from ..tensor import Tensor", "above this file's row 1"),
    ("gpuflow/autograd/tape.py", "from gpuflow.static.program import Program", "neighbour in row 3"),
    ("gpuflow/autograd/tape.py", "from gpuflow.static import nn", "row 5, above this file's row 3"),
    ("gpuflow/static/program.py", "import gpuflow.autograd.tape", "neighbour in row 3"),
    ("gpuflow/device.py", "import gpuflow_kernels", "neighbour in row 0"),
    ("gpuflow/nn/layer.py", "import gpuflow", "root package"),
    ("gpuflow/nn/layer.py", "from gpuflow import Tensor", "root package"),
    ("gpuflow/nn/layer.py", "import kernels.update", "checkout only"),
    ("gpuflow/nn/layer.py", "from tests.golden import adam", "not installed"),
    ("gpuflow/nn/layer.py", "from gpuflow.attic import dust", "no place in ROWS"),
    ("gpuflow/attic.py", "", "no place in ROWS"),
    ("kernels/registry.py", "from gpuflow.dtypes import float32", "knows nothing of gpuflow"),
    ("kernels/nn/conv.py", "def f():\n    import gpuflow", "knows nothing of gpuflow"),
])
def test_a_planted_violation_is_caught(house, file, line, complaint):
    with (house / file).open("a") as text:
        text.write(line + "\n")
    (found_file, where, why), = arrows(house)
    assert found_file == file and complaint in why, (where, why)
