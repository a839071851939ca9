"""`gpuflow run`: runs a script or a module that imports paddle, on gpuflow."""
import argparse


def add_to(commands) -> None:
    """Adds the command."""
    command = commands.add_parser("run", help="run a script written for Paddle", description=(
        "Runs a Python script as `python SCRIPT` would, but `import paddle` gives gpuflow: code and libraries written "
        "for Paddle run as they are. Where something is not in gpuflow, the error says so."))
    command.add_argument("-m", dest="module", action="store_true", help="SCRIPT is the name of a module")
    command.add_argument("script", metavar="SCRIPT")
    command.add_argument("arguments", metavar="ARGS", nargs=argparse.REMAINDER, help="what the script gets")
    command.set_defaults(run=_run)


def _run(options) -> int | None:
    import os
    import runpy
    import sys
    import traceback

    from gpuflow.utils.paddle_name import as_paddle

    if not options.module and not os.path.exists(options.script):
        raise ValueError(f"no file {options.script}")
    sys.argv = [options.script, *options.arguments]
    sys.path.insert(0, os.getcwd() if options.module else os.path.dirname(os.path.abspath(options.script)))
    try:
        with as_paddle():
            if options.module:
                runpy.run_module(options.script, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(options.script, run_name="__main__")
    except Exception:   # the script's own, which main would shorten to a line
        traceback.print_exc()
        return 1
    return None
