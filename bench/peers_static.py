"""A training step as a Program beside the same step in eager mode, and beside Paddle's static mode where it can be run.

    python -m bench.peers_static [--paddle-python P] [--threads 2] [--rounds 15]

An MLP 784-512-512-10, batch 128, AdamW with a clip by global norm. Then what `exe.run` costs where there is next to
nothing to compute, and the largest memory that a step of twelve layers takes in either mode.
"""
import argparse
import itertools
import os
import sys
import tracemalloc

from bench.harness import POOLS, REST, Peer, can_import, record, serve, table

SIZES = (784, 512, 512, 10)


def batch():
    import numpy as np

    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal((128, SIZES[0]), dtype=np.float32), "y": rng.integers(0, SIZES[-1], 128)}


def network(paddle, sizes=SIZES):
    layers = []
    for a, b in itertools.pairwise(sizes):
        layers += [paddle.nn.Linear(a, b), paddle.nn.ReLU()]
    return paddle.nn.Sequential(*layers[:-1])


def optimizer(paddle, parameters=None):
    return paddle.optimizer.AdamW(1e-3, parameters=parameters, grad_clip=paddle.nn.ClipGradByGlobalNorm(1.0))


def static_step(paddle):
    """One run of the Program; `paddle` is gpuflow or Paddle."""
    paddle.enable_static()
    main, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(main, startup):
        x, y = paddle.static.data("x", [None, SIZES[0]]), paddle.static.data("y", [None], "int64")
        loss = paddle.nn.functional.cross_entropy(network(paddle)(x), y)
        optimizer(paddle).minimize(loss)
    exe, feed = paddle.static.Executor(paddle.CPUPlace()), batch()
    exe.run(startup)
    return lambda: exe.run(main, feed=feed, fetch_list=[loss])


def eager_step(paddle):
    model = network(paddle)
    adam, feed = optimizer(paddle, model.parameters()), {k: paddle.to_tensor(a) for k, a in batch().items()}

    def step():
        loss = paddle.nn.functional.cross_entropy(model(feed["x"]), feed["y"])
        loss.backward()
        adam.step()
        adam.clear_grad()
        return loss.item()

    return step


def tiny_run(paddle):
    """exe.run of two operators on twelve numbers."""
    paddle.enable_static()
    main = paddle.static.Program()
    with paddle.static.program_guard(main):
        out = (paddle.static.data("x", [None, 4]) * 2.0 + 1.0).sum()
    exe, feed = paddle.static.Executor(paddle.CPUPlace()), batch()["x"][:3, :4].copy()
    return lambda: exe.run(main, feed={"x": feed}, fetch_list=[out])


def memory(mode: str) -> float:
    """MB at the peak of a step of twelve layers of 512, batch 512, above what was there before."""
    import gpuflow as paddle

    sizes, x = [512] * 13, batch()["x"][:, :512].repeat(4, 0)
    if mode == "static":
        paddle.enable_static()
        loss = network(paddle, sizes)(paddle.static.data("x", [None, 512])).mean()
        paddle.optimizer.SGD(1e-3).minimize(loss)
        exe = paddle.static.Executor()
        exe.run(paddle.static.default_startup_program())

        def run():
            exe.run(feed={"x": x}, fetch_list=[loss])
    else:
        model, x = network(paddle, sizes), paddle.to_tensor(x)
        sgd = paddle.optimizer.SGD(1e-3, parameters=model.parameters())

        def run():
            model(x).mean().backward()
            sgd.step()
            sgd.clear_grad()
    run()
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def make(what, mode):
    if what == "paddle":
        import paddle
    else:
        import gpuflow as paddle
    return {"static": static_step, "eager": eager_step, "tiny": tiny_run}[mode](paddle)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paddle-python", default=sys.executable, help="an interpreter that has paddlepaddle")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve(make)
    from gpuflow_kernels.speed import alternate  # the peers' interpreters need not have it

    os.environ |= {"GPUFLOW_DEVICE": "cpu"} | {f"{pool}_NUM_THREADS": str(given.threads) for pool in POOLS}
    peers = {"static": ("gpuflow", "static"), "eager": ("gpuflow", "eager")}
    pythons, more = {"gpuflow": sys.executable}, {"threads": given.threads}
    if can_import(given.paddle_python, "paddle"):
        peers["Paddle static"], pythons["paddle"] = ("paddle", "static"), given.paddle_python
    else:
        print(f"left out: {given.paddle_python} has no paddle; --paddle-python names one that has")
    running = {name: Peer(pythons[what], "bench.peers_static") for name, (what, _) in peers.items()}
    found = {}
    candidates = {name: running[name].candidate(*words) for name, words in peers.items()}
    found["step"] = alternate(candidates, given.rounds, warm_up=10, calls=10, rest=REST)
    print(table("training step of an MLP 784-512-512-10, batch 128", found["step"]), flush=True)
    tiny = {name: running[name].candidate(what, "tiny") for name, (what, mode) in peers.items() if mode == "static"}
    found["exe.run"] = alternate(tiny, given.rounds, warm_up=50, calls=200, rest=REST)
    print(table("exe.run of two operators", found["exe.run"]), flush=True)
    for peer in running.values():
        peer.close()
    found["peak MB"] = {mode: memory(mode) for mode in ("eager", "static")}
    print("peak of a step of twelve layers, MB:", found["peak MB"])
    record("peers_static", found, more)


if __name__ == "__main__":
    main()
