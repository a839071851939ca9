"""Trains a small network with every optimizer: python resume_run.py FOLDER first|rest|whole. See test_resume.py.

"first" takes the first half of the steps, "rest" loads what that saved and takes the second, "whole" takes both.
"""
import sys
from pathlib import Path

import numpy as np

import gpuflow as paddle
from gpuflow import nn, optimizer

EVERY = ("ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "LBFGS", "Lamb", "Lion", "Momentum", "NAdam",
         "RAdam", "RMSProp", "Rprop", "SGD")
OWN = {"Rprop": {"learning_rate": 0.01},    # takes no scheduler
       "LBFGS": {"grad_clip": None, "max_iter": 2, "history_size": 3, "line_search_fn": "strong_wolfe"}}   # and no clip
ATTACHED = (optimizer.AdamW, optimizer.Lamb)   # update their average in the same pass
HALF = 4


def build(name):
    paddle.seed(3)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    schedule = optimizer.lr.CosineAnnealingDecay(0.02, 8)
    options = {"learning_rate": schedule, "grad_clip": nn.ClipGradByGlobalNorm(0.5), **OWN.get(name, {})}
    opt = getattr(optimizer, name)(parameters=model.parameters(), **options)
    average = optimizer.ExponentialMovingAverage(0.8, parameters=model)
    if isinstance(opt, ATTACHED):
        average.attach(opt)
    scaler = paddle.amp.GradScaler(init_loss_scaling=256.0, incr_every_n_steps=3)
    return model, opt, schedule, average, scaler


def train(model, opt, schedule, average, scaler, steps):
    for k in steps:
        x = paddle.to_tensor(np.random.default_rng(k).normal(size=(8, 4)), dtype="float32")
        if takes_step(model, opt, scaler, x, overflows=k == 1):
            if not isinstance(opt, ATTACHED):
                average.update()
            schedule.step()


def takes_step(model, opt, scaler, x, overflows):
    """Whether the step was taken. One that overflows is left out and halves the scale; LBFGS knows no scale."""
    def backward(scaled):
        opt.clear_grad()
        loss = (model(x) - 1.0).square().mean()
        scaled(loss).backward()
        return loss

    if isinstance(opt, optimizer.LBFGS):
        opt.step(lambda: backward(lambda loss: loss))
        return True
    backward(scaler.scale)
    if overflows:
        bias = model.parameters()[-1]
        bias.grad = np.full(bias.shape, np.inf, np.float32)
    stepped = scaler.step(opt)
    scaler.update()
    return stepped


def files(folder, name, part):
    """Of the model, the optimizer with its schedule, the average and the scaler."""
    return [folder / f"{name}.{part}.{kind}" for kind in ("pdparams", "pdopt", "average.pdopt", "scaler.pdopt")]


def main(folder, part):
    for name in EVERY:
        kit = model, opt, _, average, scaler = build(name)
        things = (model, opt, average, scaler)
        if part == "rest":
            for thing, path in zip(things, files(folder, name, "first")):
                state = paddle.load(str(path))
                getattr(thing, "set_state_dict", getattr(thing, "load_state_dict", None))(state)
        train(*kit, range(0 if part != "rest" else HALF, 2 * HALF if part != "first" else HALF))
        for thing, path in zip(things, files(folder, name, part)):
            paddle.save(thing.state_dict(), str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
