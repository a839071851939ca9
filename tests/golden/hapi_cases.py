"""Runs of Model.fit that Paddle and gpuflow both take; run with either of them as `paddle`."""
import numpy as np

SAMPLES, FEATURES, CLASSES = 22, 6, 3


def data():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
    return x, (x[:, :CLASSES] + 0.3 * rng.normal(size=(SAMPLES, CLASSES))).argmax(1).reshape(-1, 1).astype(np.int64)


def network(paddle):
    """(network, its first numbers): the same in both."""
    nn, rng = paddle.nn, np.random.default_rng(6)
    net = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    return net, [rng.normal(size=p.shape).astype(np.float32) * 0.5 for p in net.parameters()]


def share_right(paddle):
    """A metric written against the interface alone."""
    class ShareRight(paddle.metric.Metric):
        def __init__(self):
            super().__init__()
            self.reset()

        def reset(self):
            self.right = self.seen = 0

        def name(self):
            return "right"

        def compute(self, pred, label):
            return (pred.argmax(axis=1, keepdim=True) == label).astype("float32")

        def update(self, correct):
            self.right += float(correct.sum())
            self.seen += correct.shape[0]
            return self.right / self.seen

        def accumulate(self):
            return self.right / self.seen

    return ShareRight()


def recorder(paddle, events):
    class Recorder(paddle.callbacks.Callback):
        def __init__(self):
            super().__init__()

        def on_train_batch_end(self, step, logs=None):
            events.append(["step", step, float(logs["loss"][0]), float(logs["right"]), int(logs["batch_size"]),
                           float(self.model._optimizer.get_lr())])

        def on_epoch_end(self, epoch, logs=None):
            events.append(["epoch", epoch, int(logs["step"])])

        def on_eval_end(self, logs=None):
            events.append(["eval", float(logs["loss"][0]), float(logs["right"])])

        def on_train_end(self, logs=None):
            events.append(["end", dict(self.params)["steps"], dict(self.params)["epochs"]])

    return Recorder()


RUNS = {
    "plain": dict(batch_size=8, epochs=3, shuffle=True),
    "accumulate": dict(batch_size=4, epochs=2, shuffle=False, accumulate_grad_batches=4),
    "iterations": dict(batch_size=(8, 5), epochs=9, shuffle=False, num_iters=5, drop_last=True),
    "schedule": dict(batch_size=8, epochs=2, shuffle=False, eval_freq=2),
    "stops": dict(batch_size=8, epochs=9, shuffle=False),
}


def replay(paddle, case: str, inputs=None, labels=None) -> dict:
    """What one run tells: callbacks' numbers in order, then the results of evaluate and predict. inputs, labels: what
    Model is told of them."""
    x, y = data()
    paddle.seed(1)

    class Pairs(paddle.io.Dataset):
        def __getitem__(self, index):
            return x[index], y[index]

        def __len__(self):
            return SAMPLES

    dataset = Pairs()
    net, numbers = network(paddle)
    rate = paddle.optimizer.lr.StepDecay(0.05, 2, gamma=0.5) if case == "schedule" else 0.05
    optimizer = paddle.optimizer.Adam(rate, parameters=net.parameters())
    model = paddle.Model(net, inputs, labels)
    model.prepare(optimizer, paddle.nn.CrossEntropyLoss(), share_right(paddle))
    for p, value in zip(net.parameters(), numbers):
        p.set_value(value)
    events: list = []
    callbacks = [recorder(paddle, events)]
    if case == "stops":
        callbacks.append(paddle.callbacks.EarlyStopping("loss", patience=2, min_delta=0.05, verbose=0))
    model.fit(dataset, dataset, verbose=0, callbacks=callbacks, **RUNS[case])
    result = model.evaluate(dataset, batch_size=7, verbose=0)
    outputs = model.predict(dataset, batch_size=9, stack_outputs=True, verbose=0)
    losses, metrics = model.train_batch([x[:4]], [y[:4]])
    return {"events": events, "evaluate": [float(result["loss"][0]), float(result["right"])],
            "predict": [list(outputs[0].shape), float(outputs[0].sum())],
            "batch": [float(losses[0]), float(metrics[0])]}


PLATEAUS = {
    "loss": (dict(patience=2), [3, 2, 2, 2, 2, 2, 1, 1, 1, 1]),
    "cooldown": (dict(patience=1, cooldown=2, factor=0.5), [3, 3, 3, 3, 3, 3, 3, 3]),
    "delta": (dict(patience=1, min_delta=0.5, min_lr=0.004), [3, 2.6, 2.4, 2.3, 1, 0.9, 0.8]),
    "acc": (dict(monitor="acc", patience=1), [0.5, 0.6, 0.6, 0.7, 0.65, 0.8]),
}


def rates(paddle, case: str) -> list:
    """The rate that ReduceLROnPlateau leaves behind after each evaluation."""
    options, values = PLATEAUS[case]
    model = paddle.Model(paddle.nn.Linear(1, 1))
    model.prepare(paddle.optimizer.SGD(0.1, parameters=model.parameters()))
    callback = paddle.callbacks.ReduceLROnPlateau(verbose=0, **options)
    callback.set_model(model)
    callback.on_train_begin()
    out = []
    for value in values:
        callback.on_eval_end({options.get("monitor", "loss"): [value]})
        out.append(model._optimizer.get_lr())
    return out


def figures(paddle) -> dict:
    """Parameter counts and flops of a small convolutional net."""
    nn = paddle.nn
    net = nn.Sequential(nn.Conv2D(2, 6, 3, groups=2), nn.BatchNorm2D(6), nn.ReLU(), nn.AvgPool2D(2),
                        nn.Conv2DTranspose(6, 4, 3), nn.LeakyReLU(), nn.AdaptiveAvgPool2D(2), nn.Flatten(),
                        nn.Linear(16, 10))
    net[8].weight.stop_gradient = True
    counts = paddle.summary(net, (None, 2, 14, 14))
    return {"params": int(counts["total_params"]), "trained": int(counts["trainable_params"]),
            "flops": paddle.flops(net, [1, 2, 14, 14])}
