"""Whole trainings in O1 and O2, what decorate casts, and master weights."""
import numpy as np
import pytest

import gpuflow
import gpuflow as paddle
from gpuflow import nn, optimizer as optim


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.conv = nn.Conv2D(1, 4, 3, padding=1)
        self.batch_norm = nn.BatchNorm2D(4)
        self.first = nn.Linear(4 * 16 + 8, 16)
        self.norm = nn.LayerNorm(16)
        self.second = nn.Linear(16, 3)

    def forward(self, image, ids):
        h = nn.functional.relu(self.batch_norm(self.conv(image))).flatten(1)
        h = paddle.concat([h, self.embedding(ids).astype(h.dtype)], 1)
        return self.second(self.norm(nn.functional.gelu(self.first(h))))


def data(count=24):
    rng = np.random.default_rng(3)
    image = rng.standard_normal((count, 1, 4, 4)).astype("float32")
    return (paddle.to_tensor(image), paddle.to_tensor(rng.integers(0, 10, count)),
            paddle.to_tensor((image.mean((1, 2, 3)) > 0).astype("int64")))


def losses(level, dtype, steps=12, **decorations):
    """Losses of a training; the weights do not depend on level and dtype."""
    paddle.seed(5)
    model = Net()
    optimizer = optim.AdamW(0.01, parameters=model.parameters(), grad_clip=nn.ClipGradByGlobalNorm(1.0))
    scaler = paddle.amp.GradScaler(enable=dtype == "float16" and level != "O0")
    if level == "O2":
        model, optimizer = paddle.amp.decorate(model, optimizer, level, dtype, **decorations)
    image, ids, label = data()
    found = []
    for _ in range(steps):
        with paddle.amp.auto_cast(level=level, dtype=dtype):
            loss = nn.functional.cross_entropy(model(image, ids).astype("float32"), label)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.clear_grad()
        found.append(float(loss))
    return np.array(found), model, optimizer


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("level", ["O1", "O2", "OD"])
def test_a_net_trains_to_the_loss_of_float32(level, dtype, place):
    wide, *_ = losses("O0", "float16")
    low, model, _ = losses(level, dtype)
    assert wide[-1] < 0.5 * wide[0]
    # weights and activations are rounded to 11 or 8 bits in every layer, and errors of one step enter the next
    np.testing.assert_allclose(low, wide, atol={"float16": 0.01, "bfloat16": 0.06}[dtype])
    assert not np.array_equal(low, wide)
    assert model.first.weight.dtype.name == (dtype if level == "O2" else "float32")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_master_gradients_train_as_well(dtype):
    wide, *_ = losses("O0", "float16")
    low, *_ = losses("O2", dtype, master_grad=True)
    np.testing.assert_allclose(low, wide, atol={"float16": 0.01, "bfloat16": 0.06}[dtype])


# ---- decorate ------------------------------------------------------------------------------------------------------


def dtypes_of(model):
    return {name: t.dtype.name for name, t in model.state_dict().items()}


@pytest.mark.parametrize(("dtype", "wide"), [("float16", ("batch_norm", "norm")), ("bfloat16", ("batch_norm",))])
def test_decorate_casts_what_paddle_casts(dtype, wide):
    model = paddle.amp.decorate(Net(), level="O2", dtype=dtype)
    for name, found in dtypes_of(model).items():
        assert found == ("float32" if name.split(".")[0] in wide else dtype), name


def test_o1_changes_nothing_and_lists_come_back_as_lists():
    model, optimizer = Net(), optim.SGD(0.1, parameters=[gpuflow.create_parameter([1], "float32")])
    assert paddle.amp.decorate(model) is model
    assert paddle.amp.decorate([model], optimizer, level="O1") == ([model], optimizer)
    assert set(dtypes_of(model).values()) == {"float32"}
    models, optimizers = paddle.amp.decorate([model], [optimizer], level="O2")
    assert models == [model] and optimizers == [optimizer] and model.first.weight.dtype.name == "float16"


@pytest.mark.parametrize("excluded", [lambda m: m.first, lambda m: [m.first], lambda m: [m.first, nn.Conv2D],
                                      lambda m: nn.Linear])
def test_excluded_layers_stay(excluded):
    model = Net()
    chosen = excluded(model)
    paddle.amp.decorate(model, level="O2", excluded_layers=chosen)
    assert model.first.weight.dtype.name == "float32"
    assert model.conv.weight.dtype.name == ("float32" if isinstance(chosen, list) and len(chosen) == 2 else "float16")
    assert model.second.weight.dtype.name == ("float32" if chosen is nn.Linear else "float16")


def test_save_dtype_changes_what_is_saved_alone():
    model = paddle.amp.decorate(Net(), level="O2", dtype="bfloat16", save_dtype="float32")
    assert set(dtypes_of(model).values()) == {"float32"}
    assert model.first.weight.dtype.name == "bfloat16"
    state = model.state_dict()
    other = paddle.amp.decorate(Net(), level="O2", dtype="bfloat16", save_dtype="float32")
    assert other.set_state_dict(state) == ([], [])
    np.testing.assert_array_equal(other.first.weight.astype("float32").numpy(), state["first.weight"].numpy())
    assert other.first.weight.dtype.name == "bfloat16"


@pytest.mark.parametrize(("arguments", "error"), [
    ({"level": "O3"}, ValueError), ({"level": "O0"}, ValueError), ({"dtype": "float32"}, ValueError),
    ({"level": "O2", "save_dtype": "int8"}, ValueError), ({"level": "O2", "excluded_layers": "first"}, TypeError),
    ({"level": "O2", "optimizers": 3}, TypeError)])
def test_what_means_nothing_is_refused(arguments, error):
    with pytest.raises(error, match="expected"):
        paddle.amp.decorate(Net(), **arguments)


# ---- master weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("master_weight", [None, True, False])
def test_master_weights_keep_updates_far_below_half_an_ulp(dtype, master_weight):
    layer = nn.Linear(1, 1, bias_attr=False)
    layer.weight.set_value(np.ones((1, 1), "float32"))
    optimizer = optim.SGD(1e-5, parameters=layer.parameters())
    paddle.amp.decorate(layer, optimizer, level="O2", dtype=dtype, master_weight=master_weight)
    for _ in range(1000):     # each moves the weight by 1e-5, a fiftieth of half an ulp of float16 at 1
        layer.weight.grad = paddle.ones([1, 1], dtype)
        optimizer.step()
    got = float(layer.weight.astype("float32"))
    if master_weight is False:
        assert got == 1.0
    else:
        ulp = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
        assert abs(got - 0.99) <= ulp / 2 + 3e-5
        master = optimizer.state_dict()["master_weights"][layer.weight.name].numpy()
        np.testing.assert_allclose(master, 0.99, rtol=3e-5)   # a thousand roundings to float32, 3e-8 each


def test_decorating_in_mid_training_keeps_what_was_learned():
    paddle.seed(1)
    model = nn.Linear(4, 4)
    optimizer = optim.Adam(0.1, parameters=model.parameters())
    for _ in range(3):
        model(paddle.ones([2, 4])).sum().backward()
        optimizer.step()
        optimizer.clear_grad()
    before = {k: v.numpy().copy() for k, v in optimizer.state_dict().items() if "moment1" in k}
    paddle.amp.decorate(model, optimizer, level="O2", dtype="bfloat16")
    model(paddle.ones([2, 4], "bfloat16")).sum().backward()
    optimizer.step()
    after = optimizer.state_dict()
    assert set(after["steps"].values()) == {4}
    for (key, old), new in zip(before.items(), (v for k, v in after.items() if "moment1" in k), strict=True):
        np.testing.assert_allclose(new.numpy(), 0.9 * old + 0.1 * 2, rtol=1e-6, err_msg=key)


def test_master_gradients_are_float32_from_the_first_backward_on():
    model = nn.Linear(4, 2)
    optimizer = optim.SGD(0.1, parameters=model.parameters())
    paddle.amp.decorate(model, optimizer, level="O2", dtype="bfloat16", master_grad=True)
    x = paddle.ones([1, 4], "bfloat16")
    for _ in range(2):
        for k in range(3):     # 1, then 1 + 2**-9 in all: bfloat16 would round the sums back to 1
            (model(x) * (1.0 if k == 0 else 2.0**-10)).sum().backward()
            assert model.weight.grad.dtype.name == "float32" and model.bias.grad.dtype.name == "float32"
        np.testing.assert_array_equal(model.weight.grad.numpy(), np.full((4, 2), 1 + 2.0**-9, "float32"))
        optimizer.step()
        optimizer.clear_grad()


def test_resumed_training_is_the_uninterrupted_one_bit_for_bit():
    """Low weights, master copies, moments and the scale go through state dicts into a model built anew."""
    def start():
        paddle.seed(5)
        model = Net()
        optimizer = optim.AdamW(0.01, parameters=model.parameters())
        return *paddle.amp.decorate(model, optimizer, "O2"), paddle.amp.GradScaler(
            init_loss_scaling=2.0**15, incr_every_n_steps=2)

    def go(model, optimizer, scaler, steps):
        image, ids, label = data()
        for _ in range(steps):
            with paddle.amp.auto_cast(level="O2"):
                loss = nn.functional.cross_entropy(model(image, ids).astype("float32"), label)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.clear_grad()

    whole = start()
    go(*whole, 6)
    half = start()
    go(*half, 3)
    kept = [{k: v if not hasattr(v, "numpy") else paddle.to_tensor(v.numpy()) for k, v in part.state_dict().items()}
            for part in half]
    kept[1]["master_weights"] = {k: paddle.to_tensor(v.numpy()) for k, v in kept[1]["master_weights"].items()}
    resumed = start()
    resumed[0].set_state_dict(kept[0])
    resumed[1].set_state_dict(kept[1])
    resumed[2].load_state_dict(kept[2])
    go(*resumed, 3)
    for a, b in zip(whole[0].state_dict().values(), resumed[0].state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert whole[2].state_dict() == resumed[2].state_dict()
    assert whole[2].state_dict()["incr_count"] or whole[2].state_dict()["scale"][0] != 2.0**15


@pytest.mark.parametrize("name", ["is_float16_supported", "is_bfloat16_supported"])
def test_a_cpu_computes_in_both(name):
    assert getattr(paddle.amp, name)() and getattr(paddle.amp, name)("cpu")
