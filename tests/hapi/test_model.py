"""Model beside Paddle: the same losses, metrics, rates and events, run after run."""
import inspect
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow.io import Dataset
from tests.golden import hapi_cases

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "hapi.json").read_text())


class Lines(Dataset):
    """y = x · w, forty times."""

    def __init__(self, n=40):
        rng = np.random.default_rng(3)
        self.x = rng.normal(size=(n, 4)).astype(np.float32)
        self.y = self.x @ np.array([[1], [-2], [3], [0.5]], np.float32)

    def __getitem__(self, index):
        return self.x[index], self.y[index]

    def __len__(self):
        return len(self.x)


def specs(features=4, dtype="float32"):
    """inputs and labels of a Model: static mode needs them."""
    return [static.InputSpec([None, features], "float32", "x")], [static.InputSpec([None, 1], dtype, "y")]


@pytest.fixture(params=["eager", "static"])
def either(request):
    """The test runs in each mode."""
    if request.param == "static":
        paddle.enable_static()
    yield request.param
    paddle.disable_static()


def linear_model(rate=0.05, amp=None, **options):
    net = nn.Linear(4, 1)
    model = paddle.Model(net, *([] if paddle.in_dynamic_mode() else specs()))
    model.prepare(paddle.optimizer.Adam(rate, parameters=net.parameters(), **options), nn.MSELoss(), amp_configs=amp)
    return model


@pytest.mark.parametrize("case", hapi_cases.RUNS)
def test_runs_are_paddles(case):
    ours, theirs = hapi_cases.replay(paddle, case), GOLDEN["runs"][case]
    if case == "iterations":   # Paddle counts the evaluations' batches too, and says one epoch more than it runs
        theirs = {"events": theirs["events"][:3]}
        ours["events"] = ours["events"][:3]
    for key in theirs:
        _alike(ours[key], theirs[key])


def _alike(ours, theirs):
    if isinstance(theirs, list):
        assert len(ours) == len(theirs), (ours, theirs)
        for a, b in zip(ours, theirs):
            _alike(a, b)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=2e-5, abs=1e-6)
    else:
        assert ours == theirs


@pytest.mark.parametrize("case", hapi_cases.PLATEAUS)
def test_rates_of_a_plateau_are_paddles(case):
    _alike(hapi_cases.rates(paddle, case), GOLDEN["rates"][case])


def test_num_iters_counts_training_steps():
    events: list = []
    model = linear_model()

    class Counter(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            events.append(step)

    model.fit(Lines(), Lines(), batch_size=16, num_iters=5, verbose=0, callbacks=Counter())
    assert events == [0, 1, 2, 0, 1]


def test_figures_are_paddles(capsys):
    assert hapi_cases.figures(paddle) == GOLDEN["figures"]
    text = capsys.readouterr().out
    assert "BatchNorm2D-1" in text and "[1, 6, 12, 12]" in text and "Total Flops:" in text


@pytest.mark.parametrize("name", GOLDEN["signatures"])
def test_signatures_are_paddles(name):
    target = paddle
    for part in name.split("."):
        target = getattr(target, part)
    ours = [[p.name, None if p.default is p.empty else repr(p.default)]
            for p in inspect.signature(target).parameters.values()]
    assert ours == GOLDEN["signatures"][name]


def test_summary_counts_a_shared_parameter_once(capsys):
    shared = paddle.ParamAttr(name="both")
    net = nn.Sequential(nn.Linear(3, 3, weight_attr=shared, bias_attr=False),
                        nn.Linear(3, 3, weight_attr=shared, bias_attr=False))
    assert paddle.summary(net, (2, 3)) == {"total_params": 9, "trainable_params": 9}
    with pytest.raises(ValueError, match="at most one None"):
        paddle.summary(net, (None, None))


def test_flops_takes_counts_of_ones_own(capsys):
    def count(layer, x, y):
        layer.total_ops += 7

    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    assert paddle.flops(net, [1, 3], custom_ops={nn.Tanh: count}, print_detail=True) == 9 + 7
    assert not hasattr(net[1], "total_ops")


def test_flops_of_a_program_are_those_of_its_layers():
    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2D(4, 6, 3, groups=2), nn.BatchNorm2D(6), nn.LeakyReLU(), nn.AvgPool2D(2),
                             nn.Conv2DTranspose(6, 4, 3, groups=2, bias_attr=False), nn.AdaptiveAvgPool2D(2),
                             nn.Flatten(), nn.Linear(16, 3))
    whole = paddle.flops(Net(), [1, 4, 12, 12])
    paddle.enable_static()
    for evaluates in (False, True):
        with paddle.static.program_guard(paddle.static.Program(), paddle.static.Program()):
            net = Net()
            net.eval() if evaluates else net.train()
            out = net(paddle.static.data("x", [None, 4, 12, 12])) + paddle.static.data("y", [None, 3])
            if not evaluates:
                paddle.optimizer.SGD(0.1).minimize(out.sum())    # the way back does not count
            assert paddle.flops(paddle.static.default_main_program(), None, print_detail=True) == whole
    both = paddle.static.data("a", [2, 5, 4]) @ paddle.static.data("b", [4, 3])
    paddle.matmul(both, paddle.static.data("c", [2, 5, 7]), transpose_x=True)
    assert paddle.flops(paddle.static.default_main_program(), None) == 2 * 5 * 3 * 4 + 2 * 3 * 7 * 5


@pytest.mark.parametrize("amp", ["O1", {"level": "O2", "dtype": "bfloat16"},
                                 {"init_loss_scaling": 1024.0, "custom_black_list": ["matmul"]}])
def test_amp_trains(amp, either):
    model = linear_model(amp=amp)
    model.fit(Lines(), batch_size=20, epochs=40, verbose=0)
    assert model.evaluate(Lines(), batch_size=40, verbose=0)["loss"][0] < 3
    assert model.predict(Lines(), batch_size=40, verbose=0)[0][0].shape == (40, 1)


def test_amp_configs_are_checked():
    for wrong in ("O3", {"level": "O1", "use_pure_fp16": True}):
        with pytest.raises(ValueError, match="amp_configs"):
            linear_model(amp=wrong)


def test_logs_tell_norm_rate_skipped_steps_and_pace(either):
    seen = []

    class Watch(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            seen.append(logs.copy())

    data = Lines()
    data.y[3] = np.nan
    model = linear_model(rate=0.05, on_nonfinite="skip")
    model.fit(data, batch_size=20, epochs=3, shuffle=False, verbose=0, callbacks=Watch())
    assert [logs["skipped_steps"] for logs in seen] == [1, 1, 2, 2, 3, 3]
    assert seen[-1]["lr"] == 0.05 and seen[-1]["ips"] > 0 and np.isfinite(seen[-1]["grad_norm"])
    assert not model._optimizer.measure_grad_norm   # as it was


def test_fields_go_where_they_belong():
    class Masked(nn.Layer):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 1)

        def forward(self, x, mask=None):
            return self.fc(x) if mask is None else self.fc(x) * mask

    model = paddle.Model(Masked())
    model.prepare(paddle.optimizer.SGD(0.1, parameters=model.parameters()), nn.MSELoss())
    data = Lines()
    model.fit([(data.x, data.y)], verbose=0)                          # x, label
    model.fit([[data.x, np.ones_like(data.y), data.y]], verbose=0)     # x, mask, label
    model.fit([{"x": data.x, "y": data.y}], verbose=0)
    two = paddle.Model(Masked(), inputs=[paddle.static.InputSpec([None, 4], name="x")])
    two.prepare()
    assert two.predict([(data.x, data.y)], verbose=0)[0][0].shape == (40, 1)
    assert model.predict([(data.x,)], verbose=0)[0][0].shape == (40, 1)


def test_saved_and_loaded_training_goes_on_bit_for_bit(tmp_path, either):
    whole, first = linear_model(), linear_model()
    first.network.set_state_dict(whole.network.state_dict())
    whole.fit(Lines(), batch_size=10, epochs=4, shuffle=False, verbose=0)
    first.fit(Lines(), batch_size=10, epochs=2, shuffle=False, verbose=0, save_dir=str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [f"{name}.{suffix}" for name in ("0", "1", "final")
                                            for suffix in ("pdopt", "pdparams")]
    second = linear_model()
    second.load(str(tmp_path / "final"))
    second.fit(Lines(), batch_size=10, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(second.network.weight.numpy(), whole.network.weight.numpy())


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path, either):
    path = str(tmp_path / "a")
    model = linear_model()
    model.train_batch(Lines().x, Lines().y)
    model.save(path)
    wide = paddle.Model(nn.Linear(4, 2), specs()[0])
    wide.prepare()
    before = wide.network.weight.numpy()
    with pytest.raises(ValueError, match=r"weight has shape \[4, 1\]"):
        wide.load(path)
    with pytest.warns(UserWarning, match="skipped"):
        wide.load(path, skip_mismatch=True)
    np.testing.assert_array_equal(wide.network.weight.numpy(), before)

    other = linear_model(rate=paddle.optimizer.lr.StepDecay(0.1, 2))   # whose optimizer wants a schedule's state
    before = other.network.weight.numpy()
    with pytest.raises(ValueError, match="LR_Scheduler"):
        other.load(path + ".pdparams")
    np.testing.assert_array_equal(other.network.weight.numpy(), before)
    other.load(path, reset_optimizer=True)
    np.testing.assert_array_equal(other.network.weight.numpy(), model.network.weight.numpy())


def test_a_save_that_fails_leaves_all_of_the_old_checkpoint(tmp_path, either):
    model = linear_model()
    model.train_batch(Lines().x, Lines().y)
    model.save(str(tmp_path / "a"))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    model.train_batch(Lines().x, Lines().y)
    model._optimizer.state_dict = lambda: {"moments": object()}    # which no file can hold
    with pytest.raises(ValueError, match="object"):
        model.save(str(tmp_path / "a"))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_saved_for_inference(tmp_path):
    model = linear_model()
    with pytest.raises(RuntimeError, match="inputs"):
        model.save(str(tmp_path / "m"), training=False)
    expected = model.predict_batch(Lines().x)[0]
    model.save(str(tmp_path / "m"), training=False)
    layer = paddle.jit.load(str(tmp_path / "m"))
    np.testing.assert_allclose(layer(paddle.to_tensor(Lines().x)).numpy(), expected, rtol=1e-6)


SCRIPT = """
    import sys
    import numpy as np
    import gpuflow as paddle
    from gpuflow import nn

    class Endless(paddle.io.IterableDataset):
        def __iter__(self):
            while True:
                yield np.ones(4, np.float32), np.ones(1, np.float32)

    class Ready(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            if step == 3:
                print("ready", flush=True)

    if __name__ == "__main__":
        if sys.argv[2] == "static":
            paddle.enable_static()
        net = nn.Linear(4, 1)
        x, y = (paddle.static.InputSpec([None, size], name=name) for size, name in ((4, "x"), (1, "y")))
        model = paddle.Model(net, x, y)
        model.prepare(paddle.optimizer.Adam(0.1, parameters=net.parameters()), nn.MSELoss())
        model.fit(paddle.io.DataLoader(Endless(), batch_size=2), verbose=0, callbacks=Ready(), save_dir=sys.argv[1])
"""


def test_ctrl_c_leaves_a_checkpoint_and_a_clear_last_line(tmp_path, either):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(SCRIPT))
    run = subprocess.Popen([sys.executable, str(script), str(tmp_path / "saved"), either], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, env={**os.environ, "GPUFLOW_DEVICE": "cpu"})
    assert run.stdout.readline() == "ready\n"
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == -signal.SIGINT
    last = errors.strip().splitlines()[-1]
    assert last.startswith("KeyboardInterrupt: fit stopped in epoch 1 after ") and "goes on from there" in last
    model = linear_model()
    model.load(str(tmp_path / "saved" / "interrupted"))
