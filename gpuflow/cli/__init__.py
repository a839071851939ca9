"""The command `gpuflow`: runs Paddle's scripts, looks into checkpoints, says what the machine lacks, fills caches,
times kernels.

Each command is a file with `add_to(commands)`, which says its arguments, and a function that runs it and returns the
exit code or None for 0. What a command needs is imported when it runs.
"""
import argparse
import os
import sys
from typing import NoReturn

from gpuflow._version import __version__
from gpuflow.cli import bench, checkpoints, demo, doctor, precompile, run


class _Parser(argparse.ArgumentParser):
    def error(self, message) -> NoReturn:
        """One line, where argparse prints the usage as well."""
        self.exit(2, f"{self.prog}: {_one_line(message)} (see {self.prog} --help)\n")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command with `arguments` (default: the process's). Returns the exit code: 0, what the command says
    (doctor: 1 where something is missing), or 2 after an error, which is one line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        code = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:   # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ImportError, OSError, ValueError, TypeError, RuntimeError) as error:
        print(f"gpuflow {options.command}: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"\ngpuflow {options.command}: interrupted. {_one_line(error)}".rstrip(), file=sys.stderr)
        return 130
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="gpuflow", description=(
        "Runs scripts written for Paddle, looks into checkpoints (.pdparams, .pdopt, .safetensors) and after the "
        "machine that gpuflow runs on."))
    parser.add_argument("--version", action="version", version=f"gpuflow {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for part in (demo, run, doctor, bench, precompile, checkpoints):
        part.add_to(commands)
    return parser


def _one_line(message) -> str:
    return " ".join(str(message).split())
