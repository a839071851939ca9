"""Paths of files that code would download: gpuflow fetches nothing, and says where it looks."""
import os

from gpuflow.errors import explain

__all__ = ["get_path_from_url", "get_weights_path_from_url", "is_url"]

WEIGHTS_HOME = os.path.expanduser("~/.cache/paddle/hapi/weights")


def is_url(path: str) -> bool:
    """Whether it begins as a web address does."""
    return path.startswith(("http://", "https://"))


def get_weights_path_from_url(url: str, md5sum: str | None = None) -> str:
    """The path of the file of that name among weights that Paddle has fetched before. FileNotFoundError else."""
    return get_path_from_url(url, WEIGHTS_HOME, md5sum)


def get_path_from_url(url: str, root_dir: str, md5sum: str | None = None, check_exist: bool = True,
                      decompress: bool = True, method: str = "get") -> str:
    """The path in `root_dir` of the file that the address names. FileNotFoundError where it is not there yet.

    Nothing is fetched, compared or unpacked; for an archive that was, the path is that of its folder.
    """
    path = os.path.join(root_dir, url.rpartition("/")[2])
    folder = path.removesuffix(".tar").removesuffix(".tgz").removesuffix(".tar.gz").removesuffix(".zip")
    if decompress and folder != path and os.path.isdir(folder):
        return folder
    if not os.path.exists(path):
        raise FileNotFoundError(explain("download", f"a file at {path}", "none, and gpuflow fetches nothing",
                                        f"fetch {url} by other means and put it there"))
    return path


def _get_unique_endpoints(trainer_endpoints) -> set:
    """The first address of each machine: who would fetch for the others there."""
    first: dict[str, str] = {}
    for endpoint in trainer_endpoints:
        first.setdefault(endpoint.partition(":")[0], endpoint)
    return set(first.values())
