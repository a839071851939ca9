"""`gpuflow demo`: a small training run, start to end, with what one sees of it."""


def add_to(commands) -> None:
    """Adds the command."""
    command = commands.add_parser("demo", help="train a small network and show the run", description=(
        "Trains a network to tell two spirals apart, on the GPU where there is one: a strategy per parameter, a bar "
        "while it runs, a log and a checkpoint afterwards, and with matplotlib a picture. Some seconds."))
    command.add_argument("--epochs", type=int, default=30)
    command.add_argument("--device", help="cpu, gpu, gpu:1 (default: the GPU where there is one)")
    command.add_argument("--out", default="gpuflow-demo", metavar="FOLDER",
                         help="where files go (default: gpuflow-demo)")
    command.set_defaults(run=_run)


def _spirals(count: int, seed: int):
    """Points (float32 [count, 2]) on two noisy spirals, and which one (int64 [count])."""
    import numpy as np

    rng = np.random.default_rng(seed)
    label = np.arange(count) % 2
    along = np.sqrt(rng.random(count))
    angle = 3 * np.pi * along + np.pi * label
    points = along[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.02 * rng.standard_normal((count, 2))
    return points.astype(np.float32), label


def _run(options) -> None:
    import importlib.util
    import os

    import numpy as np

    from gpuflow import callbacks, device, nn, random
    from gpuflow.hapi.model import Model
    from gpuflow.io.dataset import TensorDataset
    from gpuflow.metric import Accuracy
    from gpuflow.optimizer import AdamW
    from gpuflow.optimizer.lr import CosineAnnealingDecay
    from gpuflow.param import ParamAttr
    from gpuflow.regularizer import L2Decay
    from gpuflow.tensor import to_tensor

    if options.device:
        device.set_device(options.device)
    random.seed(0)
    os.makedirs(options.out, exist_ok=True)
    log, saved = os.path.join(options.out, "log.jsonl"), os.path.join(options.out, "model")
    if os.path.exists(log):
        os.remove(log)

    net = nn.Sequential(
        nn.Linear(2, 64, weight_attr=ParamAttr(learning_rate=2.0)), nn.ReLU(),
        nn.Linear(64, 64), nn.ReLU(),
        nn.Linear(64, 2, weight_attr=ParamAttr(regularizer=L2Decay(1e-4)), bias_attr=ParamAttr(need_clip=False)))
    train, test = (_spirals(n, seed) for n, seed in ((2000, 1), (500, 2)))
    steps = options.epochs * -(-len(train[0]) // 100)
    optimizer = AdamW(CosineAnnealingDecay(0.01, steps), parameters=net.parameters(), weight_decay=0.01,
                      grad_clip=nn.ClipGradByGlobalNorm(1.0))
    print(f"on {device.get_device()}\n{optimizer.explain()}\n")
    model = Model(net)
    model.prepare(optimizer, nn.CrossEntropyLoss(), Accuracy())
    dataset = TensorDataset([to_tensor(part) for part in train])
    model.fit(dataset, batch_size=100, epochs=options.epochs, verbose=1, callbacks=callbacks.TrainingLog(log))
    model.save(saved)

    scores = model.predict_batch(test[0])[0]
    print(f"{np.mean(scores.argmax(1) == test[1]):.1%} of {len(test[1])} new points are told apart")
    print(f"{log}: the run, a line per step\n{saved}.pdparams, {saved}.pdopt: model.load({saved!r}) goes on from there")
    if importlib.util.find_spec("matplotlib"):
        from gpuflow import viz

        viz.plot(log, os.path.join(options.out, "log.png"), smooth=20)
        print(f"{os.path.join(options.out, 'log.png')}: loss, gradient norm and rate")
