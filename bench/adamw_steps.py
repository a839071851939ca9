"""One optimizer step, AdamW after a clip by global norm, as each framework does it best, and sets of tensors to step.

A maker takes the sizes of the tensors and returns a function without arguments. `python -m bench.adamw_steps --serve`
answers for one in a process of its own (see harness.Peer), so nothing but the standard library is imported up here.
"""
import math

OPTIONS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "decay": 0.01, "clip": 1.0}
FILL = 1e-3   # every parameter, gradient and state
THREADS = 2
CHUNK = 8192

# -- the sets ----------------------------------------------------------------------------------------------------------


def gpt2() -> list[int]:
    """The 148 tensors of GPT-2 with 124M parameters: embeddings, 12 blocks, the last norm."""
    d = 768
    block = [d, d, 3 * d * d, 3 * d, d * d, d, d, d, 4 * d * d, 4 * d, 4 * d * d, d]
    return [50257 * d, 1024 * d, *block * 12, d, d]


def resnet50() -> list[int]:
    """The 161 tensors of ResNet-50: convolutions, two per batch norm, the classifier."""
    sizes, width = [64 * 3 * 49, 64, 64], 64
    for blocks, middle in zip((3, 4, 6, 3), (64, 128, 256, 512)):
        for block in range(blocks):
            out = 4 * middle
            convolutions = [(width, middle, 1), (middle, middle, 9), (middle, out, 1)]
            convolutions += [(width, out, 1)] if block == 0 else []
            for a, b, window in convolutions:
                sizes += [a * b * window, b, b]
            width = out
    return [*sizes, 2048 * 1000, 1000]


def small() -> list[int]:
    """2000 tensors of 64 to 4096 elements."""
    return [64 + (k * 2654435761) % 4033 for k in range(2000)]


def small200() -> list[int]:
    """The first 200 of them: as many leaves as XLA compiles in a minute."""
    return small()[:200]


def billion() -> list[int]:
    """1.02e9 parameters in 292 tensors: a GPT of 24 layers of width 1792, for GPUs."""
    d = 1792
    block = [d, d, 3 * d * d, 3 * d, d * d, d, d, d, 4 * d * d, 4 * d, 4 * d * d, d]
    return [50257 * d, 1024 * d, *block * 24, d, d]


SETS = {"gpt2": gpt2, "resnet50": resnet50, "small": small, "small200": small200, "billion": billion}

# -- the steps ---------------------------------------------------------------------------------------------------------


def gpuflow_step(sizes, xp=None):
    """xp: NumPy, the default, or CuPy."""
    import numpy as np

    from gpuflow_kernels.update import CLIP_GROUP, rules
    from gpuflow_kernels.update.cases import flat_step

    fused = flat_step(rules.adamw, sizes, xp or np, FILL, clip=CLIP_GROUP, hi=OPTIONS["clip"], decay=OPTIONS["decay"])
    t = 0

    def numbers():
        nonlocal t
        t += 1
        return OPTIONS["lr"], rules.adamw.at(t, OPTIONS["beta1"], OPTIONS["beta2"], OPTIONS["epsilon"])

    def step():
        fused.run(*numbers())

    step.fused, step.numbers = fused, numbers
    return step


def hand_written_step(sizes):
    """The practical limit: two Numba loops written for AdamW and one flat array; no table, no tensors, one rate."""
    import numpy as np
    from numba import njit, prange

    flags = {"error_model": "numpy", "fastmath": {"contract", "arcp", "reassoc", "nsz"}, "parallel": True}

    @njit(**flags)
    def square_sums(g, out):
        for c in prange(out.size):
            x, s = g[c * CHUNK : (c + 1) * CHUNK], 0.0
            for i in range(x.size):
                s += np.float64(x[i]) * np.float64(x[i])
            out[c] = s

    @njit(**flags)
    def adamw(P, G, M, V, scale, keep, b1, c1, b2, c2, rate, eps):
        for c in prange((P.size + CHUNK - 1) // CHUNK):
            at, end = c * CHUNK, (c + 1) * CHUNK
            p, g, m, v = P[at:end], G[at:end], M[at:end], V[at:end]
            for i in range(p.size):
                x = g[i] * scale
                m[i] = b1 * m[i] + c1 * x
                v[i] = b2 * v[i] + c2 * (x * x)
                p[i] = p[i] * keep - rate * (m[i] / (np.float32(math.sqrt(v[i])) + eps))

    p, g, m, v = (np.full(sum(sizes), FILL, np.float32) for _ in range(4))
    partials = np.zeros(-(-p.size // CHUNK))
    b1, b2 = OPTIONS["beta1"], OPTIONS["beta2"]
    fixed = [np.float32(x) for x in (1 - OPTIONS["lr"] * OPTIONS["decay"], b1, 1 - b1, b2, 1 - b2, OPTIONS["lr"],
                                     OPTIONS["epsilon"])]

    def step():
        square_sums(g, partials)
        adamw(p, g, m, v, np.float32(min(1.0, OPTIONS["clip"] / math.sqrt(partials.sum()))), *fixed)

    return step


def numpy_step(sizes):
    """Vectorised NumPy over one flat array, without temporaries but two."""
    import numpy as np

    p, g, m, v, a, b = (np.full(sum(sizes), FILL, np.float32) for _ in range(6))
    lr, b1, b2 = OPTIONS["lr"], OPTIONS["beta1"], OPTIONS["beta2"]
    t = 0

    def step():
        nonlocal t
        t += 1
        root = math.sqrt(1 - b2**t)
        np.multiply(g, min(1.0, OPTIONS["clip"] / math.sqrt(np.dot(g, g))), out=a)
        np.multiply(m, b1, out=m)
        np.multiply(a, 1 - b1, out=b)
        np.add(m, b, out=m)
        np.multiply(v, b2, out=v)
        np.multiply(a, a, out=a)
        np.multiply(a, 1 - b2, out=a)
        np.add(v, a, out=v)
        np.sqrt(v, out=a)
        np.add(a, OPTIONS["epsilon"] * root, out=a)
        np.divide(m, a, out=a)
        np.multiply(a, lr * root / (1 - b1**t), out=a)
        np.multiply(p, 1 - lr * OPTIONS["decay"], out=p)
        np.subtract(p, a, out=p)

    return step


def torch_step(sizes, device="cpu", **options):
    """options: fused=True or foreach=True, capturable=True to fit into a CUDA graph."""
    import torch

    if device == "cpu":
        torch.set_num_threads(THREADS)
    parameters = [torch.full((n,), FILL, requires_grad=True, device=device) for n in sizes]
    for p in parameters:
        p.grad = torch.full_like(p, FILL)
    optimizer = torch.optim.AdamW(parameters, lr=OPTIONS["lr"], weight_decay=OPTIONS["decay"], **options)

    def step():
        torch.nn.utils.clip_grad_norm_(parameters, OPTIONS["clip"], foreach=True)
        optimizer.step()

    return step


def optax_step(sizes):
    """Jitted with donated buffers."""
    import jax
    import jax.numpy as jnp
    import optax

    chain = optax.chain(optax.clip_by_global_norm(OPTIONS["clip"]),
                        optax.adamw(OPTIONS["lr"], weight_decay=OPTIONS["decay"]))
    parameters = [jnp.full((n,), FILL, jnp.float32) for n in sizes]
    gradients = [jnp.full((n,), FILL, jnp.float32) for n in sizes]

    def update(parameters, state, gradients):
        moves, state = chain.update(gradients, state, parameters)
        return optax.apply_updates(parameters, moves), state

    compiled, state = jax.jit(update, donate_argnums=(0, 1)), chain.init(parameters)

    def step():
        nonlocal parameters, state
        parameters, state = jax.block_until_ready(compiled(parameters, state, gradients))

    return step


def paddle_step(sizes):
    """AdamW with ClipGradByGlobalNorm; use_multi_tensor is an option of its Adam alone."""
    import paddle

    paddle.set_device("cpu")
    parameters = [paddle.create_parameter([n], "float32", default_initializer=paddle.nn.initializer.Constant(FILL))
                  for n in sizes]
    optimizer = paddle.optimizer.AdamW(OPTIONS["lr"], parameters=parameters, weight_decay=OPTIONS["decay"],
                                       grad_clip=paddle.nn.ClipGradByGlobalNorm(OPTIONS["clip"]))
    paddle.add_n([(p * FILL).sum() for p in parameters]).backward()
    return optimizer.step


MAKERS = {
    "hand-written": hand_written_step,
    "numpy": numpy_step,
    "torch fused": lambda sizes: torch_step(sizes, fused=True),
    "torch foreach": lambda sizes: torch_step(sizes, foreach=True),
    "optax": optax_step,
    "optax flat": lambda sizes: optax_step([sum(sizes)]),
    "paddle": paddle_step,
}

if __name__ == "__main__":
    from bench.harness import serve

    serve(lambda candidate, name: MAKERS[candidate](SETS[name]()))
