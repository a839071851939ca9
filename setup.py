"""Which folders become packages; everything else about the build is in pyproject.toml.

`kernels/` is installed as `gpuflow_kernels`, since `kernels` alone would collide with other projects. pyproject.toml
can rename a root but then wants every subpackage listed by hand; the lines below find them, so a new folder needs no
edit. See docs/decisions/0001-kernels-package.md.
"""

from setuptools import find_namespace_packages, setup


def every_folder(folder: str, package: str) -> list[str]:
    """`package` and one name per folder below `folder`; folders that hold only .cu or .cuh files count as well."""
    return [package, *(f"{package}.{below}" for below in find_namespace_packages(folder, exclude=["*__pycache__*"]))]


setup(
    packages=every_folder("gpuflow", "gpuflow") + every_folder("kernels", "gpuflow_kernels"),
    package_dir={"gpuflow_kernels": "kernels"},
)
