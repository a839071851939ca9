"""The version of Paddle whose names, arguments and numbers these are. gpuflow's own is `gpuflow.__version__`."""
full_version = "3.3.1"
major, minor, patch = full_version.split(".")
rc, commit = "0", ""


def show() -> None:
    """Prints it."""
    print(f"full_version: {full_version}\nmajor: {major}\nminor: {minor}\npatch: {patch}\nrc: {rc}")
