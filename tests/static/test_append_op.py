"""Ops appended by name, as code written for Paddle's older Programs does; optimizers that do so in both modes."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static

rng = np.random.default_rng(2)
X = rng.standard_normal((2, 3)).astype("float32")
Y = rng.standard_normal((2, 3)).astype("float32")

# type, inputs, attrs, what NumPy gives
OPS = [
    ("elementwise_add", {"X": X, "Y": Y}, {}, X + Y),
    ("elementwise_mul", {"X": X, "Y": Y[:, 0]}, {"axis": 0}, X * Y[:, :1]),
    ("elementwise_max", {"X": X, "Y": Y}, {"op_role": 1}, np.maximum(X, Y)),
    ("reduce_sum", {"X": X}, {"dim": [1], "keep_dim": True}, X.sum(1, keepdims=True)),
    ("reduce_mean", {"X": X}, {"reduce_all": True}, X.mean()),
    ("mul", {"X": X, "Y": Y.T}, {}, X @ Y.T),
    ("mul", {"X": X.reshape(1, 2, 3), "Y": Y.T}, {"x_num_col_dims": 2}, (X @ Y.T)[None]),
    ("matmul_v2", {"X": X, "Y": Y}, {"trans_y": True}, X @ Y.T),
    ("sum", {"X": [X, Y, X]}, {}, X + Y + X),
    ("mean", {"X": X}, {}, X.mean()),
    ("scale", {"X": X}, {"scale": 2.0, "bias": 1.0, "bias_after_scale": False}, (X + 1) * 2),
    ("fill_constant", {}, {"shape": [2], "value": 3.0, "dtype": 3}, np.array([3, 3])),
    ("fill_any_like", {"X": X}, {"value": 1.5}, np.full_like(X, 1.5)),
    ("cast", {"X": X}, {"in_dtype": 5, "out_dtype": 6}, X.astype("float64")),
    ("reshape2", {"X": X}, {"shape": [3, -1]}, X.reshape(3, 2)),
    ("transpose2", {"X": X}, {"axis": [1, 0]}, X.T),
    ("unsqueeze2", {"X": X}, {"axes": [1]}, X[:, None]),
    ("concat", {"X": [X, Y]}, {"axis": 1}, np.concatenate([X, Y], 1)),
    ("pow", {"X": X}, {"factor": 2.0}, X ** 2),
    ("squared_l2_norm", {"X": X}, {}, [(X ** 2).sum()]),
    ("lookup_table_v2", {"W": X, "Ids": np.array([1, 0, 1])}, {"padding_idx": -1}, X[[1, 0, 1]]),
    ("relu", {"X": X}, {}, np.maximum(X, 0)),
    ("softmax", {"X": X}, {"axis": 0, "use_cudnn": True}, np.exp(X) / np.exp(X).sum(0)),
    ("clip", {"X": X}, {"min": -0.5, "max": 0.5}, X.clip(-0.5, 0.5)),
    ("assign", {"X": X}, {}, X),
    ("increment", {"X": X}, {"step": 2.0}, X + 2),
]


@pytest.mark.parametrize(("name", "inputs", "attrs", "expected"), OPS, ids=[f"{k}-{o[0]}" for k, o in enumerate(OPS)])
def test_ops_by_name(name, inputs, attrs, expected):
    expected = np.asarray(expected)
    block, feed = static.default_main_program().global_block(), {}

    def entered(array):
        feed[f"x{len(feed)}"] = array
        return static.data(f"x{len(feed) - 1}", [None, *array.shape[1:]], str(array.dtype))
    given = {slot: [entered(a) for a in x] if isinstance(x, list) else entered(x) for slot, x in inputs.items()}
    kind = "float32" if expected.dtype == np.float64 and name != "cast" else str(expected.dtype)
    out = block.create_var(name="out", shape=[-1] * expected.ndim, dtype=kind)
    operator = block.append_op(type=name, inputs=given, outputs={"Out": out}, attrs=attrs)
    assert operator is block.ops[-1]
    found, = static.Executor().run(feed=feed, fetch_list=["out"])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_op_that_nobody_knows_and_slots_that_are_missing():
    block, x = static.default_main_program().global_block(), static.data("x", [2])
    with pytest.raises(ValueError, match="elementwise_add"):
        block.append_op(type="elementwise_sum", inputs={"X": x}, outputs={"Out": x})
    with pytest.raises(ValueError, match=r"none for \['Y'\]"):
        block.append_op(type="elementwise_add", inputs={"X": x}, outputs={"Out": x})
    with pytest.raises(ValueError, match="outputs among Out"):
        block.append_op(type="mean", inputs={"X": x}, outputs={"Mean": x})


class OldMomentum(paddle.optimizer.Optimizer):
    """As written for Paddle's older static mode."""

    def __init__(self, learning_rate, parameters=None, grad_clip=None, weight_decay=None):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip)
        self.type = "momentum"

    def _create_accumulators(self, block, parameters):
        assert isinstance(block, paddle.base.framework.Block)
        for p in parameters:
            if p.name not in self._already_create_accumulator:
                self._add_accumulator("velocity", p)
                self._already_create_accumulator.add(p.name)

    def _append_optimize_op(self, block, param_and_grad):
        param, grad = param_and_grad
        velocity = self._get_accumulator("velocity", param)
        return block.append_op(
            type=self.type,
            inputs={"Param": [param], "Grad": [grad], "Velocity": [velocity],
                    "LearningRate": [self._create_param_lr(param_and_grad)]},
            outputs={"ParamOut": [param], "VelocityOut": [velocity]},
            attrs={"mu": 0.9, "use_nesterov": False}, stop_gradient=True)


def old_adam(block, p, g, rate, state):
    block.append_op(type="adam", inputs={"Param": p, "Grad": g, "LearningRate": rate, **state},
                    outputs={"ParamOut": p, **{f"{k}Out": v for k, v in state.items()}},
                    attrs={"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6})


class OldAdam(OldMomentum):
    def _create_accumulators(self, block, parameters):
        for p in parameters:
            for name, start in (("Moment1", 0.0), ("Moment2", 0.0)):
                self._add_accumulator(name, p, fill_value=start)
            for name, start in (("Beta1Pow", 0.8), ("Beta2Pow", 0.95)):
                self._add_accumulator(name, p, fill_value=start, shape=[1])

    def _append_optimize_op(self, block, pair):
        names = ("Moment1", "Moment2", "Beta1Pow", "Beta2Pow")
        old_adam(block, *pair, self._create_param_lr(pair), {n: self._get_accumulator(n, pair[0]) for n in names})


def fused_adam(rate, **kwargs):
    return paddle.optimizer.Adam(rate, 0.8, 0.95, 1e-6, **kwargs)


@pytest.mark.parametrize(("by_name", "fused"), [(OldMomentum, paddle.optimizer.Momentum), (OldAdam, fused_adam)])
def test_one_text_of_an_optimizer_in_both_modes(by_name, fused):
    feed = {"x": rng.standard_normal((4, 3)).astype("float32")}

    def trained(optimizer, building):
        (paddle.enable_static if building else paddle.disable_static)()
        options = {"grad_clip": nn.ClipGradByGlobalNorm(0.5), "weight_decay": 0.1}
        with static.program_guard(static.Program(), static.Program()), paddle.utils.unique_name.guard():
            paddle.seed(4)
            attr = paddle.ParamAttr(learning_rate=0.5)
            net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1, weight_attr=attr))
            if building:
                loss = (net(static.data("x", [None, 3])) ** 2).mean()
                optimizer(0.1, **options).minimize(loss)
                exe = static.Executor()
                exe.run(static.default_startup_program())
                for _ in range(4):
                    exe.run(feed=feed)
            else:
                made = optimizer(0.1, parameters=net.parameters(), **options)
                for _ in range(4):
                    (net(paddle.to_tensor(feed["x"])) ** 2).mean().backward()
                    made.step()
                    made.clear_grad()
            return [p.numpy() for p in net.parameters()]

    eager, built, kernels = trained(by_name, False), trained(by_name, True), trained(fused, True)
    paddle.enable_static()
    for a, b, c in zip(eager, built, kernels, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(b, c, rtol=1e-5, atol=1e-6)


def test_a_whole_program_in_the_old_style():
    """Forward, gradients and update appended op by op to a block."""
    x, y = static.data("x", [None, 2]), static.data("y", [None, 1])
    block = static.default_main_program().global_block()
    w = static.create_parameter([2, 1], "float32", name="w", default_initializer=nn.initializer.Constant(0.0))
    rate = static.create_global_var([1], 0.1, "float32", persistable=True)
    guess, error, square, loss = (block.create_var(shape=s, stop_gradient=False) for s in ([-1, 1],) * 3 + ([],))
    block.append_op(type="mul", inputs={"X": x, "Y": w}, outputs={"Out": guess})
    block.append_op(type="elementwise_sub", inputs={"X": guess, "Y": y}, outputs={"Out": error})
    block.append_op(type="square", inputs={"X": error}, outputs={"Out": square})
    block.append_op(type="mean", inputs={"X": square}, outputs={"Out": loss})
    for param, gradient in static.append_backward(loss):
        block.append_op(type="sgd", inputs={"Param": param, "Grad": gradient, "LearningRate": rate},
                        outputs={"ParamOut": param})
    exe = static.Executor()
    exe.run(static.default_startup_program())
    array = rng.standard_normal((8, 2)).astype("float32")
    feed = {"x": array, "y": array @ np.array([[1.0], [-2.0]], "float32")}
    losses = [exe.run(feed=feed, fetch_list=[loss])[0] for _ in range(60)]
    assert losses[-1] < 1e-2 * losses[0]
    test, before = static.default_main_program().clone(for_test=True), w.numpy()
    assert exe.run(test, feed=feed, fetch_list=[loss])[0] <= losses[-1]
    np.testing.assert_array_equal(w.numpy(), before)
