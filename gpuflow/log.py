"""The logger "gpuflow", which tells of a loss scale that falls or of runs that replay, and where its lines go."""
import os

from gpuflow.errors import explain

LEVELS = ("debug", "info", "warning", "error")


def from_environment() -> None:
    """Sends lines from the level that GPUFLOW_LOG names on to stderr; without it they go where the program says."""
    level = os.environ.get("GPUFLOW_LOG", "").lower()
    if not level:
        return
    if level not in LEVELS:
        raise ValueError(explain("GPUFLOW_LOG", f"one of {', '.join(LEVELS)}", repr(level)))
    import logging

    logger, lines = logging.getLogger("gpuflow"), logging.StreamHandler()
    lines.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    logger.setLevel(level.upper())
    logger.addHandler(lines)
    logger.propagate = False
