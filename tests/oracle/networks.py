"""Whole networks under the strategies of the FAQ, twenty steps each: one text for gpuflow and for Paddle.

A case is a network and a strategy. A strategy is a dict; entries that do not apply are left out:

    optimizer   (class in paddle.optimizer, its arguments); classes of paddle.regularizer are written ["L2Decay", 0.05]
    attrs       {pattern: arguments of ParamAttr} for the parameters whose names match; later ones add to earlier ones
    clip        grad_clip, from paddle.nn: ["ClipGradByNorm", 1.0]
    groups      [(pattern, options)]: parameter groups, each with what earlier ones left; "clip" stands for grad_clip
    scheduler   learning_rate, from paddle.optimizer.lr, stepped after every step; may hold another as an argument
    decay_only  a pattern for apply_decay_param_fun
    accumulate  how many backwards make a step
    options     of the network
    only        the one network it is meant for

Weights start from numbers that hang on shapes alone, so that no framework's generator takes part.
"""
from fnmatch import fnmatchcase

import numpy as np

from tests.oracle.spec import made

STEPS = 20
BATCH, CLASSES, WORDS = 12, 3, 10

SGD = ("SGD", {"learning_rate": 0.2})
MOMENTUM = ("Momentum", {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.01})
ADAM = ("Adam", {"learning_rate": 0.02, "epsilon": 1e-6})
ADAMW = ("AdamW", {"learning_rate": 0.02, "weight_decay": 0.1, "epsilon": 1e-6})
SLOW_FIRST = {"first.*": {"learning_rate": 0.5}, "*.b": {"learning_rate": 2.0}}

STRATEGIES = {
    "plain": {"optimizer": SGD},
    "rates": {"optimizer": MOMENTUM, "attrs": SLOW_FIRST},
    "regularizers": {"optimizer": MOMENTUM, "attrs": {"first.w": {"regularizer": ["L1Decay", 0.02]},
                                                      "last.w": {"regularizer": ["L2Decay", 0.2]}}},
    "frozen": {"optimizer": MOMENTUM, "attrs": {"first.*": {"trainable": False}, "last.b": {"learning_rate": 0.0}}},
    "value": {"optimizer": ADAM, "clip": ["ClipGradByValue", 0.02]},
    "norm": {"optimizer": MOMENTUM, "clip": ["ClipGradByNorm", 0.1], "attrs": {"last.w": {"need_clip": False}}},
    "global norm": {"optimizer": ADAMW, "clip": ["ClipGradByGlobalNorm", 0.2], "attrs": {
        "*.b": {"need_clip": False}, "last.w": {"learning_rate": 0.5}}, "decay_only": "*.w"},
    "groups": {"optimizer": ADAMW, "clip": ["ClipGradByGlobalNorm", 0.3], "groups": [
        ("first.*", {"learning_rate": 0.1, "weight_decay": 0.0}), ("*.b", {"clip": ["ClipGradByValue", 0.05]}),
        ("*", {"beta1": 0.8})]},
    "warm-up and cosine": {"optimizer": ADAMW, "attrs": SLOW_FIRST, "scheduler": [
        "LinearWarmup", ["CosineAnnealingDecay", 0.03, 15], 5, 0.001, 0.03]},
    "steps": {"optimizer": ("RMSProp", {"learning_rate": 0.01, "momentum": 0.5, "epsilon": 1e-3}),
              "scheduler": ["StepDecay", 0.02, 6, 0.3], "clip": ["ClipGradByGlobalNorm", 0.3]},
    "accumulation": {"optimizer": ("Lamb", {"learning_rate": 0.03, "lamb_weight_decay": 0.05}), "accumulate": 3},
    "sparse rows": {"optimizer": SGD, "only": "words", "options": {"sparse": True},
                    "clip": ["ClipGradByGlobalNorm", 0.3]},
    "frozen statistics": {"optimizer": MOMENTUM, "only": "cnn", "options": {"use_global_stats": True}},
}


class Building:
    """What a network's layers ask for their parameters. prefix: of all names, so that no two cases share one."""

    def __init__(self, paddle, prefix, strategy, by_name):
        self.paddle, self.prefix, self.strategy, self.by_name = paddle, prefix, strategy, by_name
        self.options = strategy.get("options", {})

    def attr(self, name):
        said = {}
        for pattern, more in self.strategy.get("attrs", {}).items():
            said |= more if fnmatchcase(name, pattern) else {}
        if "regularizer" in said:
            said["regularizer"] = made(self.paddle.regularizer, said["regularizer"])
        return self.paddle.ParamAttr(name=f"{self.prefix}{name}", **said)

    def both(self, name):
        return {"weight_attr": self.attr(f"{name}.w"), "bias_attr": self.attr(f"{name}.b")}


def mlp(b):
    nn = b.paddle.nn
    return nn.Sequential(nn.Linear(6, 8, **b.both("first")), nn.Tanh(), nn.Linear(8, 8, **b.both("middle")),
                         nn.Sigmoid(), nn.Linear(8, CLASSES, **b.both("last")))


def cnn(b):
    """No bias before a batch norm: its gradient is rounding noise, which Adam would make steps of."""
    nn = b.paddle.nn

    def block(name, norm, channels, out):
        return [nn.Conv2D(channels, out, 3, padding=1, weight_attr=b.attr(f"{name}.w"), bias_attr=False),
                nn.BatchNorm2D(out, **b.both(norm), **b.options), nn.ReLU()]

    return nn.Sequential(*block("first", "norm1", 1, 3), nn.MaxPool2D(2), *block("middle", "norm2", 3, 4), nn.Flatten(),
                         nn.Linear(4 * 9, CLASSES, **b.both("last")))


def words(b):
    """Two embeddings that are one parameter: by name, or where a framework cannot, by object."""
    nn = b.paddle.nn

    class Words(nn.Layer):
        def __init__(self):
            super().__init__()
            self.left = nn.Embedding(WORDS, 4, weight_attr=b.attr("first.w"), **b.options)
            self.right = nn.Embedding(WORDS, 4, weight_attr=b.attr("first.w" if b.by_name else "unused"), **b.options)
            if not b.by_name:
                self.right.weight = self.left.weight
            self.hidden = nn.Linear(8, 6, **b.both("middle"))
            self.last = nn.Linear(6, CLASSES, **b.both("last"))

        def forward(self, ids):
            left, right = self.left(ids[:, :3]).mean(1), self.right(ids[:, 3:]).mean(1)
            return self.last(nn.functional.tanh(self.hidden(b.paddle.concat([left, right], 1))))

    return Words()


def lstm(b):
    nn = b.paddle.nn

    class Recurrent(nn.Layer):
        def __init__(self):
            super().__init__()
            self.first = nn.Embedding(WORDS, 4, weight_attr=b.attr("first.w"))
            self.middle = nn.LSTM(4, 5, weight_ih_attr=b.attr("middle.ih.w"), weight_hh_attr=b.attr("middle.hh.w"),
                                  bias_ih_attr=b.attr("middle.ih.b"), bias_hh_attr=b.attr("middle.hh.b"))
            self.last = nn.Linear(5, CLASSES, **b.both("last"))

        def forward(self, ids):
            return self.last(self.middle(self.first(ids))[0][:, -1])

    return Recurrent()


def transformer(b):
    """Without biases: the softmax does not see that of the keys, so its gradient is rounding noise as well."""
    nn = b.paddle.nn

    class Attentive(nn.Layer):
        def __init__(self):
            super().__init__()
            self.first = nn.Embedding(WORDS, 8, weight_attr=b.attr("first.w"))
            self.middle = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation="gelu",
                                                                           bias_attr=False), 2)
            self.last = nn.Linear(8, CLASSES, **b.both("last"))

        def forward(self, ids):
            return self.last(self.middle(self.first(ids)).mean(1))

    return Attentive()


NETWORKS = {"mlp": mlp, "cnn": cnn, "words": words, "lstm": lstm, "transformer": transformer}
SOME = ("rates", "regularizers", "frozen", "global norm", "groups", "warm-up and cosine")   # of the larger networks
CASES = {f"{network}/{name}": (network, strategy) for network in NETWORKS for name, strategy in STRATEGIES.items()
         if strategy.get("only", network) == network and (network not in ("lstm", "transformer") or name in SOME)}


def batches(network):
    """(inputs, labels) of all steps. The labels can be learned, the steps are not alike."""
    rng = np.random.default_rng(5)
    if network in ("words", "lstm", "transformer"):
        x = rng.integers(0, WORDS, (STEPS, BATCH, 6))
        return x, x[..., 5] % CLASSES
    x = rng.normal(size=(STEPS, BATCH, *{"mlp": (6,), "cnn": (1, 6, 6)}[network])).astype(np.float32)
    flat = x.reshape(STEPS, BATCH, -1)
    return x, (flat @ rng.normal(size=(flat.shape[-1], CLASSES))).argmax(-1)


def train(paddle, case, by_name):
    """{"loss": [STEPS]} and the state_dict after the last step. by_name: whether layers can share by name."""
    network, strategy = CASES[case]
    model = NETWORKS[network](Building(paddle, f"{case}/", strategy, by_name))
    rng = np.random.default_rng(1)
    for _, p in sorted(model.named_parameters(), key=lambda pair: pair[0]):
        if "norm" not in _short(p.name):   # those of norms, and statistics, start as they do
            p.set_value((rng.normal(size=p.shape) / np.sqrt(max(p.shape[-1], 4))).astype(np.float32))
    schedule = made(paddle.optimizer.lr, strategy.get("scheduler"))
    optimizer = _optimizer(paddle, strategy, model, schedule)
    out = {"loss": np.zeros(STEPS, np.float32)}
    parts = strategy.get("accumulate", 1)
    for step, (x, y) in enumerate(zip(*batches(network), strict=True)):
        for x_part, y_part in zip(np.split(x, parts), np.split(y, parts), strict=True):
            logits = model(paddle.to_tensor(x_part))
            loss = paddle.nn.functional.cross_entropy(logits, paddle.to_tensor(y_part)) / parts
            loss.backward()
            out["loss"][step] += float(loss)
        optimizer.step()
        optimizer.clear_grad()
        if schedule is not None:
            schedule.step()
    return out | {key: np.array(value.numpy()) for key, value in model.state_dict().items()}


def _optimizer(paddle, strategy, model, schedule):
    name, args = strategy["optimizer"]
    args = dict(args)
    if schedule is not None:
        args["learning_rate"] = schedule
    if "clip" in strategy:
        args["grad_clip"] = made(paddle.nn, strategy["clip"])
    if "decay_only" in strategy:
        args["apply_decay_param_fun"] = lambda name: fnmatchcase(_short(name), strategy["decay_only"])
    params = [p for p in model.parameters() if not p.stop_gradient]
    groups = []
    for pattern, options in strategy.get("groups", ()):
        options = dict(options)
        if "clip" in options:
            options["grad_clip"] = made(paddle.nn, options.pop("clip"))
        found = [p for p in params if fnmatchcase(_short(p.name), pattern)]
        params = [p for p in params if all(p is not q for q in found)]
        groups += [{"params": found, **options}] if found else []
    return getattr(paddle.optimizer, name)(parameters=groups or params, **args)


def _short(name):
    return name.rpartition("/")[2]
