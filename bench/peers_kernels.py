"""The optimizer step beside other frameworks' on the CPU: `make bench-peers`.

    python -m bench.peers_kernels [--torch-python P] [--jax-python P] [--paddle-python P] [--sets gpt2,resnet50,small]
    python -m bench.peers_kernels --sets small200       # optax with a leaf for each tensor

AdamW after a clip by global norm on whole parameter sets, float32, two threads each: gpuflow, a hand-written two-pass
Numba loop, NumPy, torch (fused and foreach), optax (jitted, donated buffers) and Paddle, each as bench/adamw_steps.py
has it. They take turns within one run. The frameworks run in processes of their own, by default with this interpreter;
one that the interpreter cannot import is left out, and said so.
"""

import argparse
import os
import sys

from bench import adamw_steps as steps
from bench.harness import Peer, can_import, record, table
from gpuflow_kernels.speed import alternate

# package: the candidates that need it
PEERS = {"torch": ("torch fused", "torch foreach"), "optax": ("optax",), "paddle": ("paddle",)}
OPTION = {"torch": "--torch-python", "optax": "--jax-python", "paddle": "--paddle-python"}
DISTRIBUTION = {"torch": ["torch"], "optax": ["optax", "jax"], "paddle": ["paddlepaddle"]}
# XLA compiles 100 leaves in 18 s, 200 in 53 s, 2000 in hours: there optax gets one flat array, which is its best case
INSTEAD = {("optax", "small"): "optax flat"}
REST = 0.25   # Intel's OpenMP, in Paddle, spins for 0.2 s after its work


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for package, option in OPTION.items():
        arguments.add_argument(option, dest=package, default=sys.executable, help=f"an interpreter that has {package}")
    arguments.add_argument("--sets", default="gpt2,resnet50,small")
    arguments.add_argument("--rounds", type=int, default=7)
    given = arguments.parse_args()

    if hasattr(os, "sched_setaffinity"):   # before any pool of threads counts the cores; the peers inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: steps.THREADS])
    pythons = {package: getattr(given, package) for package in PEERS}
    for package in PEERS:
        if not can_import(pythons[package], package):
            print(f"left out: {pythons.pop(package)} has no {package}; {OPTION[package]} names one that has")
    found, versions = {}, {}
    for name in given.sets.split(","):
        sizes = steps.SETS[name]()
        candidates = {"gpuflow": steps.gpuflow_step(sizes)}
        candidates |= {own: steps.MAKERS[own](sizes) for own in ("hand-written", "numpy")}
        # processes of a set's own: memory goes back to the next one, and none serves two frameworks
        peers = []
        for package, python in pythons.items():
            for candidate in PEERS[package]:
                peers.append(Peer(python, "bench.adamw_steps"))
                candidates[candidate] = peers[-1].candidate(INSTEAD.get((candidate, name), candidate), name)
            versions |= {d: peers[-1].ask("version", d) for d in DISTRIBUTION[package]}
        found[name] = alternate(candidates, given.rounds, warm_up=2, calls=3, rest=REST)
        for peer in peers:
            peer.close()
        print(table(f"{name}: {sum(sizes) / 1e6:.1f}M parameters in {len(sizes)} tensors", found[name]), flush=True)
    record("peers_kernels", found, versions)


if __name__ == "__main__":
    main()
