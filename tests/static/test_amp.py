"""Mixed precision in Programs: the bits of eager mode, a loss scale that adapts in the run, and casting afterwards."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, optimizer as optim, static
from gpuflow.static import amp
from tests.amp.conftest import place as one_place
from tests.amp.test_training import Net

place = one_place    # a fixture
LEVELS = [("O1", "float16"), ("O1", "bfloat16"), ("O2", "float16"), ("O2", "bfloat16"), ("OD", "float16")]
SCALES = dict(init_loss_scaling=1024.0, incr_every_n_steps=2, decr_ratio=0.25)
STEPS, OVERFLOW = 6, 3


def data():
    rng = np.random.default_rng(3)
    image = rng.standard_normal((STEPS, 8, 1, 4, 4)).astype("float32")
    ids, label = rng.integers(0, 10, (STEPS, 8)), rng.integers(0, 3, (STEPS, 8))
    factor = np.ones(STEPS, "float32")
    factor[OVERFLOW] = np.inf
    return image, ids, label, factor


def feeds():
    return [static.data("image", [None, 1, 4, 4], "float32"), static.data("ids", [None], "int64"),
            static.data("label", [None], "int64"), static.data("factor", [], "float32")]


def loss_of(model, image, ids, label, factor):
    return nn.functional.cross_entropy(model(image, ids), label) * factor


def numbers_of(model, optimizer, scales, losses):
    state = {key: np.asarray(value.numpy(), "float64") for key, value in optimizer.state_dict().items()
             if hasattr(value, "numpy")}
    return {"losses": losses, "scales": scales, "skipped": optimizer.skipped_steps,
            **{name: t.numpy().astype("float32") for name, t in model.state_dict().items()}, **state}


def adamw(parameters=None):
    return optim.AdamW(0.01, parameters=parameters, grad_clip=nn.ClipGradByGlobalNorm(1.0))


def eager(level, dtype):
    paddle.disable_static()
    paddle.seed(5)
    model = Net()
    optimizer, scaler = adamw(model.parameters()), paddle.amp.GradScaler(dtype == "float16", **SCALES)
    if level == "O2":
        paddle.amp.decorate(model, optimizer, level, dtype)
    scales, losses = [], []
    for one in zip(*data()):
        with paddle.amp.auto_cast(level=level, dtype=dtype):
            loss = loss_of(model, *map(paddle.to_tensor, one))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.clear_grad()
        losses.append(float(loss))
        scales += scaler.state_dict()["scale"].tolist() if dtype == "float16" else []
    paddle.enable_static()
    return numbers_of(model, optimizer, scales, losses)


def run(model, optimizer, loss, scale, scope=None):
    """Runs the default programs over the data."""
    exe, scales, losses = static.Executor(), [], []
    exe.run(static.default_startup_program(), scope=scope)
    for image, ids, label, factor in zip(*data()):
        feed = {"image": image, "ids": ids, "label": label, "factor": factor}
        found = exe.run(feed=feed, fetch_list=[loss, *([] if scale is None else [scale])], scope=scope)
        losses.append(float(found[0]))
        scales += [] if scale is None else found[1].tolist()
    return numbers_of(model, optimizer, scales, losses)


def same(found, expected):
    assert list(found) == list(expected)
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key], err_msg=key)


@pytest.fixture(scope="module")
def expected():
    kept = {}

    def of(level, dtype):
        if (level, dtype) not in kept:
            with paddle.utils.unique_name.guard():
                kept[level, dtype] = eager(level, dtype)
        return kept[level, dtype]
    return of


@pytest.mark.parametrize(("level", "dtype"), LEVELS)
def test_a_program_built_in_auto_cast_trains_as_eager_mode(level, dtype, expected):
    wanted = expected(level, dtype)
    assert wanted["skipped"] == (dtype == "float16")
    with paddle.utils.unique_name.guard():
        paddle.seed(5)
        model, optimizer = Net(), adamw()
        scaler = paddle.amp.GradScaler(dtype == "float16", **SCALES)
        if level == "O2":
            paddle.amp.decorate(model, optimizer, level, dtype)
        with paddle.amp.auto_cast(level=level, dtype=dtype):
            loss = loss_of(model, *feeds())
        ops, pairs = scaler.minimize(optimizer, scaler.scale(loss))
        scale = scaler.scale_in_program().tensors[0] if dtype == "float16" else None
        assert len(ops) == 1 and len(pairs) == len(model.parameters())
        same(run(model, optimizer, loss, scale), wanted)
        if dtype == "float16":
            assert scaler.state_dict()["scale"][0] == wanted["scales"][-1]


@pytest.mark.parametrize(("level", "dtype"), LEVELS)
def test_a_program_cast_afterwards_trains_as_eager_mode(level, dtype, expected):
    with paddle.utils.unique_name.guard():
        paddle.seed(5)
        model = Net()
        loss = loss_of(model, *feeds())
        optimizer = amp.decorate(adamw(), level=level, dtype=dtype, use_promote=True, **SCALES | (
            {"init_loss_scaling": 1.0} if dtype == "bfloat16" else {}))
        optimizer.minimize(loss)
        scale = optimizer.get_loss_scaling() if dtype == "float16" else None
        found = run(model, optimizer, loss, scale)
        wanted = expected(level, dtype)
        if (level, dtype) == ("O2", "bfloat16"):    # normalisation keeps float32 here, where decorate casts it
            assert model.norm.weight.dtype.name == "float32" and model.first.weight.dtype.name == "bfloat16"
            np.testing.assert_allclose(found["losses"][:2], wanted["losses"][:2], atol=0.02)
        else:
            same(found, wanted)


# ---- the scale -----------------------------------------------------------------------------------------------------


def regression(make=optim.SGD, **options):
    """(loss, optimizer) of a linear layer; its gradient is infinite where a feed is."""
    x = static.data("x", [None, 3], "float32")
    loss = (nn.Linear(3, 1, weight_attr=paddle.ParamAttr(initializer=nn.initializer.Constant(0.5)))(x)).mean()
    optimizer = amp.decorate(make(0.1), **SCALES | options)
    optimizer.minimize(loss)
    return loss, optimizer


FINE, BAD = {"x": np.ones((2, 3), "float32")}, {"x": np.full((2, 3), 1e30, "float32")}


def test_scale_and_counts_are_saved_and_every_scope_has_its_own(tmp_path):
    regression(level="OD")
    names = ["loss_scaling_0", "num_good_steps_0", "num_bad_steps_0"]
    exe, here, there = static.Executor(), static.Scope(), static.Scope()
    for scope in (here, there):
        exe.run(static.default_startup_program(), scope=scope)
    for feed in (FINE, FINE, FINE):
        exe.run(feed=feed, scope=here)
    assert [here.find_var(name).numpy().item() for name in names] == [2048.0, 1, 0]
    assert [there.find_var(name).numpy().item() for name in names] == [1024.0, 0, 0]
    with static.scope_guard(here):
        static.save(static.default_main_program(), str(tmp_path / "a"))
    with static.scope_guard(there):
        static.load(static.default_main_program(), str(tmp_path / "a"))
        assert exe.run(feed=FINE, fetch_list=names) == [4096.0, 0, 0]
    assert set(names) <= set(paddle.load(tmp_path / "a.pdparams"))


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_step_with_an_overflow_changes_nothing_but_the_scale(dynamic, place):
    _, optimizer = regression(optim.Adam, use_dynamic_loss_scaling=dynamic)
    exe, scale = static.Executor(), optimizer.get_loss_scaling()
    exe.run(static.default_startup_program())
    weight = static.default_main_program().all_parameters()[0]
    seen = [exe.run(feed=feed, fetch_list=[weight, scale]) for feed in (FINE, BAD, FINE)]
    np.testing.assert_array_equal(seen[1][0], seen[0][0])
    assert not np.array_equal(seen[2][0], seen[1][0])
    assert [s.item() for _, s in seen] == ([1024.0, 256.0, 256.0] if dynamic else [1024.0] * 3)
    assert optimizer.skipped_steps == 1    # what the decorated optimizer does not say itself is asked of the one in it


def test_two_optimizers_under_one_scale_divide_by_what_their_losses_were_multiplied_by():
    x, scaler = static.data("x", [None, 3], "float32"), paddle.amp.GradScaler(**SCALES | {"incr_every_n_steps": 1})
    losses = [nn.Linear(3, 1, weight_attr=paddle.ParamAttr(initializer=nn.initializer.Constant(0.5)))(x).mean()
              for _ in range(2)]
    scaled = [scaler.scale(loss) for loss in losses]
    for loss, weight in zip(scaled, static.default_main_program().all_parameters()[::2]):
        scaler.minimize(optim.SGD(0.1, parameters=[weight]), loss)
    exe = static.Executor()
    exe.run(static.default_startup_program())
    first, _, second, _ = exe.run(feed=FINE, fetch_list=static.default_main_program().all_parameters())
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, 0.4, rtol=1e-6)
    assert scaler.state_dict()["scale"] == 4096.0


def test_what_a_run_can_fetch_is_without_the_scale():
    _, optimizer = regression()
    main = static.default_main_program()
    weight = main.all_parameters()[0]
    exe = static.Executor()
    exe.run(static.default_startup_program())
    scaled, clipped, norm, total = exe.run(feed=FINE, fetch_list=[
        f"{weight.name}@GRAD", f"{weight.name}@GRAD@CLIP", "grad_norm_0", optimizer.get_scaled_loss()])
    np.testing.assert_array_equal(clipped, np.ones((3, 1), "float32"))
    np.testing.assert_array_equal(scaled, 1024 * clipped)
    assert norm == 2.0 and total == 1024 * 1.5


def test_an_optimizer_that_updates_in_python_is_scaled_as_well():
    class Plain(optim.Optimizer):
        def _append_optimize_op(self, block, param_and_grad):
            p, g = param_and_grad
            p.set_value(p - g * self._create_param_lr(param_and_grad))

    _, optimizer = regression(Plain)
    exe = static.Executor()
    exe.run(static.default_startup_program())
    weight = static.default_main_program().all_parameters()[0]
    for feed, value, scale in ((FINE, 0.4, 1024), (BAD, 0.4, 256), (FINE, 0.3, 256)):
        found = exe.run(feed=feed, fetch_list=[weight, optimizer.get_loss_scaling()])
        np.testing.assert_allclose(found[0], value, rtol=1e-6)
        assert found[1] == scale


def test_a_scaler_goes_on_from_mode_to_mode():
    scaler = paddle.amp.GradScaler(**SCALES)
    state = {**scaler.state_dict(), "scale": np.array([8.0]), "incr_count": 1}
    scaler.load_state_dict(state)
    x = static.data("x", [None, 3], "float32")
    optimizer = optim.SGD(0.1)
    scaler.minimize(optimizer, scaler.scale(nn.Linear(3, 1)(x).mean()))
    exe = static.Executor()
    exe.run(static.default_startup_program())
    exe.run(feed=FINE)
    assert scaler.state_dict()["scale"] == 16.0 and scaler.state_dict()["incr_count"] == 0
    scaler.load_state_dict(state)
    exe.run(feed=FINE)
    exe.run(feed=FINE)
    assert scaler.state_dict()["scale"] == 16.0 and scaler.state_dict()["incr_count"] == 1
    for call in (lambda: scaler.step(optimizer), lambda: scaler.unscale_(optimizer), scaler.update):
        with pytest.raises(RuntimeError, match="minimize"):
            call()
    with pytest.raises(TypeError, match="around one"):
        scaler.minimize(amp.decorate(optimizer), scaler.scale(x.mean()))


# ---- casting afterwards --------------------------------------------------------------------------------------------


def dtypes_of(program):
    """The type that each matmul and addition of a program gives."""
    return [(o.type, o.outputs[0].dtype.name) for o in program.global_block().ops if o.type in ("linear", "add")]


def two_layers():
    x = static.data("x", [None, 3], "float32")
    with amp.fp16_guard():
        h = nn.Linear(3, 4)(x)
    h.name = "h"
    y = nn.Linear(4, 1)(h) + 1.0
    return h, y.mean()


@pytest.mark.parametrize(("options", "wanted"), [
    ({}, ["float16", "float16", "float16"]),
    ({"amp_lists": amp.CustomOpLists(custom_black_list=["matmul_v2"])}, ["float32"] * 3),
    ({"amp_lists": amp.CustomOpLists(custom_black_varnames=["h"])}, ["float32", "float32", "float32"]),
    ({"level": "O0"}, ["float32"] * 3),
    ({"level": "O2"}, ["float16", "float16", "float16"]),
    ({"level": "O2", "use_amp_guard": True}, ["float16", "float32", "float32"]),
    ({"use_pure_fp16": True}, ["float16", "float32", "float32"]),
    ({"use_pure_fp16": True, "use_fp16_guard": False, "use_bf16": True, "use_dynamic_loss_scaling": False},
     ["bfloat16", "bfloat16", "bfloat16"]),
])
def test_what_is_cast(options, wanted):
    h, loss = two_layers()
    test = static.default_main_program().clone(for_test=True)
    amp.decorate(optim.SGD(0.1), **options).minimize(loss)
    main = static.default_main_program()
    assert [kind for _, kind in dtypes_of(main)] == wanted
    assert h.dtype.name == wanted[0] and main.global_block().var("h") is h
    assert [kind for _, kind in dtypes_of(test)] == ["float32"] * 3
    exe = static.Executor()
    exe.run(static.default_startup_program())
    assert exe.run(feed=FINE, fetch_list=[h])[0].dtype.name == wanted[0]
    if options.get("level") != "O2" and not options.get("use_pure_fp16"):
        assert exe.run(test, feed=FINE, fetch_list=["h"])[0].dtype.name == "float32"


@pytest.mark.parametrize("start_first", [False, True])
def test_amp_init_brings_scopes_and_test_programs_along(start_first):
    _, loss = two_layers()
    main, scope, exe = static.default_main_program(), static.Scope(), static.Executor()
    test = main.clone(for_test=True)
    if start_first:
        exe.run(static.default_startup_program(), scope=scope)
    optimizer = amp.decorate(optim.Adam(0.1), level="O2", init_loss_scaling=8.0, use_dynamic_loss_scaling=False)
    optimizer.minimize(loss)
    if start_first:
        scale = optimizer.get_loss_scaling()
        scope.var(scale.name).set(np.array([8.0], "float32"))
    else:
        exe.run(static.default_startup_program(), scope=scope)
    optimizer.amp_init(static.cpu_places()[0], scope=scope, test_program=test)
    weight = main.all_parameters()[0]
    assert weight.dtype.name == scope.find_var(weight.name).numpy().dtype.name == "float16"
    for program in (main, test):
        assert exe.run(program, feed=FINE, fetch_list=["h"], scope=scope)[0].dtype.name == "float16"
    with pytest.raises(RuntimeError, match="minimize before"):
        amp.decorate(optim.SGD(0.1)).amp_init()


def test_a_cast_program_with_dropout_and_branches_has_a_form_for_testing():
    x = static.data("x", [None, 3], "float32")
    h = nn.functional.dropout(nn.Linear(3, 4)(x), 0.5)
    positive = (h.mean() > 0).all()
    y = static.nn.cond(positive, lambda: nn.functional.dropout(h, 0.5), lambda: nn.functional.dropout(h - 1, 0.5))
    loss = (y * y).mean()
    amp.decorate(optim.SGD(0.1), **SCALES).minimize(loss)
    main = static.default_main_program()
    test = main.clone(for_test=True)
    exe = static.Executor()
    exe.run(static.default_startup_program())
    once, again = (exe.run(test, feed=FINE, fetch_list=[h, y, loss]) for _ in range(2))
    assert [a.dtype.name for a in once] == ["float16", "float32", "float32"]
    for a, b in zip(once, again):
        np.testing.assert_array_equal(a, b)
    assert exe.run(main, feed=FINE, fetch_list=[h])[0].dtype.name == "float16"


def test_casting_after_backward_is_refused_and_casting_twice_changes_nothing():
    _, loss = two_layers()
    main = static.default_main_program()
    amp.cast_model_to_fp16(main, use_fp16_guard=False, level="O1")
    before = list(main.global_block().ops)
    amp.cast_model_to_fp16(main, use_fp16_guard=False, level="O1")
    assert main.global_block().ops == before
    with static.program_guard(static.Program(), static.Program()):
        _, loss = two_layers()
        optim.SGD(0.1).minimize(loss)
        main = static.default_main_program()
        before = list(main.global_block().ops)
        for level in ("O1", "O2"):
            with pytest.raises(RuntimeError, match="decorate before minimize"):
                amp.decorate(optim.SGD(0.1), level=level).minimize(loss)
        assert main.global_block().ops == before
        assert {p.dtype.name for p in main.all_parameters()} == {"float32"}


def test_decorating_a_model_that_was_called_is_refused():
    model = nn.Linear(3, 1)
    model(static.data("x", [None, 3], "float32"))
    with pytest.raises(RuntimeError, match="before the model is called"):
        paddle.amp.decorate(model, level="O2")


@pytest.mark.parametrize(("call", "error"), [
    (lambda: amp.decorate(optim.SGD(0.1), level="O3"), ValueError),
    (lambda: amp.decorate(optim.SGD(0.1), dtype="float32"), ValueError),
    (lambda: amp.decorate(optim.SGD(0.1), use_pure_fp16=True, level="O1"), TypeError),
    (lambda: amp.AutoMixedPrecisionLists({"relu"}, {"relu"}), ValueError),
    (lambda: amp.decorate(optim.SGD(0.1)).get_loss_scaling(), RuntimeError),
])
def test_refusals(call, error):
    with pytest.raises(error):
        call()


def test_lists_and_the_first_form_have_paddles_defaults():
    lists = amp.AutoMixedPrecisionLists(custom_white_list=["softmax"], custom_black_list=["matmul_v2"])
    assert "softmax" in lists.white_list and "matmul_v2" in lists.black_list and "relu" in lists.gray_list
    assert amp.CustomOpLists is amp.AutoMixedPrecisionLists
    states = [amp.decorate(optim.SGD(0.1), None, *args)._scaler.state_dict() for args in ((), (8.0,))]
    assert [(s["scale"][0], s["incr_every_n_steps"], s["decr_every_n_nan_or_inf"], s["decr_ratio"]) for s in states] \
        == [(65536.0, 2000, 1, 0.5), (8.0, 1000, 2, 0.8)]


def test_the_names_for_bfloat16(capsys):
    _, loss = two_layers()
    lists = amp.bf16.AutoMixedPrecisionListsBF16(custom_fp32_list=["elementwise_add"])
    amp.bf16.decorate_bf16(optim.SGD(0.1), lists).minimize(loss)
    assert [kind for _, kind in dtypes_of(static.default_main_program())] == ["bfloat16", "bfloat16", "float32"]
    counts = amp.debugging.collect_operator_stats()
    assert counts["linear"] == {"bfloat16": 2} and "linear" in capsys.readouterr().out
    np.testing.assert_array_equal(amp.bf16.convert_float_to_uint16([1.0]), np.array([0x3F80], "uint16"))
    with static.program_guard(static.Program(), static.Program()):
        two_layers()
        main = static.default_main_program()
        low = amp.bf16.cast_model_to_bf16(main, use_bf16_guard=False)
        amp.bf16.cast_parameters_to_bf16(None, main, None, low)
        assert {p.dtype.name for p in main.all_parameters()} == {"bfloat16"} and len(low) == 4
        amp.bf16.rewrite_program_bf16(main)
