"""What a user gets from `pip install`: every file, under the right names, and an import that costs little."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
KERNEL_TEXTS = (".cu", ".cuh", ".h")
PLANTED = "kernels/planted/deeper/new.cuh"   # a folder that no packaging file has heard of


def run(*command, cwd):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python(code, site, cwd):
    """Runs code in a fresh interpreter that finds gpuflow in `site` first; returns what it printed, read as JSON."""
    return json.loads(run(sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{code}", cwd=cwd))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what the wheel is made from, so that building leaves nothing in the checkout, plus a planted folder."""
    copy = tmp_path_factory.mktemp("source")
    for folder in ("gpuflow", "kernels"):
        shutil.copytree(REPOSITORY / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / file, copy)
    (copy / PLANTED).parent.mkdir(parents=True)
    (copy / PLANTED).write_text("// planted\n")
    return copy


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    offline = ("--no-deps", "--no-build-isolation", "--no-index")   # setuptools comes from the test extra
    run(sys.executable, "-m", "pip", "wheel", "-q", *offline, "-w", folder, source, cwd=folder)
    built, = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def test_wheel_is_pure_and_holds_every_file(wheel, source):
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(source).as_posix().replace("kernels/", "gpuflow_kernels/", 1)
        for folder in ("gpuflow", "kernels") for path in (source / folder).rglob("*")
        if path.suffix in (".py", *KERNEL_TEXTS) or path.name == "py.typed"
    }
    assert "gpuflow/py.typed" in expected and PLANTED.replace("kernels", "gpuflow_kernels") in expected
    assert inside == expected


def test_installed_elsewhere_both_packages_import_and_every_kernel_text_is_read(site, source, tmp_path):
    texts = [path for path in sorted((source / "kernels").rglob("*")) if path.suffix in KERNEL_TEXTS]
    assert len(texts) > 1, "no kernel text besides the planted one"
    names = [path.relative_to(source / "kernels").as_posix() for path in texts]
    found = python(f"""
import gpuflow, gpuflow_kernels, importlib.resources, json
folder = importlib.resources.files("gpuflow_kernels")
print(json.dumps({{
    "homes": [gpuflow.__file__, gpuflow_kernels.__file__],
    "version": gpuflow.__version__,
    "texts": {{name: folder.joinpath(name).read_text(encoding="utf-8") for name in {names}}},
}}))""", site, tmp_path)
    assert all(Path(home).is_relative_to(site) for home in found["homes"]), found["homes"]
    assert found["texts"] == {name: path.read_text(encoding="utf-8") for name, path in zip(names, texts, strict=True)}
    assert found["version"] == metadata(site).version


def metadata(site):
    distribution, = (d for d in importlib.metadata.distributions(path=[str(site)]) if d.name == "gpuflow")
    return distribution


def test_metadata_has_few_dependencies_and_no_caps(site):
    requires = metadata(site).requires
    core = {re.match(r"[\w-]+", text)[0].replace("-", "_") for text in requires if "extra ==" not in text}
    assert core == {"cloudpickle", "numpy", "numba", "ml_dtypes", "safetensors", "tqdm"}
    assert metadata(site).metadata["Requires-Python"] == ">=3.11"
    extras = set(metadata(site).metadata.get_all("Provides-Extra"))
    assert {"cuda12x", "cuda13x", "tensorboard", "plot", "demo", "test", "docs"} <= extras
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    user_facing = [*project["dependencies"], *(text for extra in ("cuda12x", "cuda13x", "tensorboard", "plot", "demo")
                                               for text in project["optional-dependencies"][extra])]
    capped = [text for text in user_facing if re.search(r"(?<!!)(<|==|~=)", text.partition(";")[0])]
    assert not capped, f"a cap blocks users until our next release: {capped}"


HEAVY = {"cupy", "cupyx", "numba", "llvmlite", "matplotlib", "sklearn", "scipy", "tensorboardX", "torch"}
LOADED = "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"


def test_import_leaves_heavy_packages_alone(site, tmp_path):
    loaded = set(python(f"import gpuflow, json\n{LOADED}", site, tmp_path))
    assert "gpuflow" in loaded and "numpy" in loaded
    assert loaded & HEAVY == set()


def test_no_file_of_gpuflow_imports_a_heavy_package_before_it_is_used(site, tmp_path):
    """`import gpuflow` leaves rooms for later; this opens all of them."""
    loaded = set(python(f"""
import gpuflow, importlib, json, pkgutil
for module in pkgutil.walk_packages(gpuflow.__path__, "gpuflow."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
{LOADED}""", site, tmp_path))
    assert loaded & HEAVY == set()


def test_import_costs_little_more_than_numpy(site, tmp_path):
    """At most 1.5 times `import numpy`, which is part of it. Smallest of alternating runs: noise only adds time."""
    def seconds(module):
        return python(f"import json, time\nstart = time.perf_counter()\nimport {module}\n"
                      "print(json.dumps(time.perf_counter() - start))", site, tmp_path)

    best = {"numpy": float("inf"), "gpuflow": float("inf")}
    for _ in range(8):   # rounds; a quiet machine needs one
        for _ in range(4):
            for module in best:
                best[module] = min(best[module], seconds(module))
        if best["gpuflow"] <= 1.5 * best["numpy"]:
            return
    report = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import sys; sys.path.insert(0, {str(site)!r}); import gpuflow"],
        cwd=tmp_path, capture_output=True, text=True).stderr.splitlines()
    rows = [row for row in report if row.startswith("import time:") and "numpy" not in row and "[us]" not in row]
    slowest = "\n".join(sorted(rows, key=lambda row: -int(row.split(":")[1].split("|")[0]))[:12])
    pytest.fail(f"import gpuflow {best['gpuflow']:.3f} s, import numpy {best['numpy']:.3f} s "
                f"(ratio {best['gpuflow'] / best['numpy']:.2f}, allowed 1.5); slowest besides numpy:\n{slowest}")
