"""What a Program computes in which type."""
from collections import Counter

from gpuflow.amp.debugging import column_of, table
from gpuflow.static.operators import Apply
from gpuflow.static.program import default_main_program

__all__ = ["collect_operator_stats"]


def collect_operator_stats(program=None, print_subblocks=False) -> dict:
    """Counts a program's operators by the type of their first floating input, casts included, and prints the table.
    Returns {op: {type: operators}}. print_subblocks: those of branches and loops as well."""
    program, calls = default_main_program() if program is None else program, {}
    for block in program.blocks if print_subblocks else program.blocks[:1]:
        for operator in block.ops:
            if isinstance(operator, Apply):
                calls.setdefault(operator.type, Counter())[column_of(operator.inputs)] += 1
    print(table(calls))
    return calls
