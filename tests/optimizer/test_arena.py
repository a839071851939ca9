"""The arena stays correct whatever happens to parameters and gradients between steps.

The yardstick is an optimizer to which nothing of the kind happened: results must agree with it bit for bit.
"""
import copy

import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow.ops.rows import SparseRows
from gpuflow.optimizer.arena import ALIGN
from gpuflow_kernels.memory import LINE
from tests.optimizer.helpers import CLOSE, give, parameter, random_parameters, same, values

SHAPES = ((5, 7), (1,), (64,), (), (0, 3), (130,))


def make(seed=1, shapes=SHAPES, cls=optimizer.Adam, **kwargs):
    params = random_parameters(np.random.default_rng(seed), *shapes)
    return params, cls(0.1, parameters=params, **kwargs)


def gradients(step, params):
    rng = np.random.default_rng(100 + step)
    return [rng.normal(size=p.shape).astype(np.float32) for p in params]


def train(params, opt, steps, first=0):
    for k in range(first, first + steps):
        give(*zip(params, gradients(k, params)))
        opt.step()
        opt.clear_grad()


def undisturbed(steps, **kwargs):
    params, opt = make(**kwargs)
    train(params, opt, steps)
    return values(params)


def test_layout():
    params, opt = make()
    before = values(params)
    give(*zip(params, gradients(0, params)))
    opt.set_lr(0.0)
    opt.step()
    same(values(params), before)   # moving in changes no bit
    (flat,) = opt._arena.flats
    assert len(opt._arena.flats) == 1 and len(flat.param) % ALIGN == 0
    for buffer in (flat.param, flat.grad, *flat.state.values()):
        assert buffer.ctypes.data % LINE == 0
    inside = np.zeros(len(flat.param), bool)
    for home in flat.homes:
        assert (home.begin % ALIGN == 0 and np.shares_memory(home.view, flat.param)) or home.begin == home.end
        inside[home.begin:home.end] = True
    train(params, opt, 2)
    assert inside.sum() == sum(p.size for p in params)
    for buffer in (flat.param, flat.grad, *flat.state.values()):
        assert not buffer[~inside].any(), "padding must stay zero"


def test_gradients_are_written_into_the_arena():
    params, opt = make()
    train(params, opt, 1)
    give(*zip(params, gradients(1, params)))
    for home in opt._arena.homes:
        assert home.param.grad._array is home.slot
    opt.clear_grad()
    assert all(p.grad is None for p in params)


def test_gradients_add_up_over_several_backwards():
    (p,), opt = make(shapes=((3,),), cls=optimizer.SGD)
    start = p.numpy()
    for _ in range(2):          # in the first round there is no slot yet, in the second there is
        give((p, [1, 2, 3]))
        give((p, [1, 1, 1]))
        opt.step()
        opt.clear_grad()
    np.testing.assert_allclose(p.numpy(), start - 0.2 * np.array([2, 3, 4], np.float32), **CLOSE)


def test_a_parameter_without_gradient_is_not_touched():
    (p, q), opt = make(shapes=((3,), (4,)), cls=optimizer.AdamW, weight_decay=0.5)
    train([p, q], opt, 2)
    held, moment = q.numpy(), opt.state_dict()[f"{q.name}_moment1_0"].numpy()
    give((p, np.ones(3)))
    opt.step()
    same([q.numpy(), opt.state_dict()[f"{q.name}_moment1_0"].numpy()], [held, moment])
    assert opt.state_dict()["steps"] == {p.name: 3, q.name: 2}


def test_each_parameter_counts_its_own_steps():
    """Adam's corrections belong to a parameter's own updates, so resting does not change its course."""
    (p, q), opt = make(shapes=((3,), (4,)))
    (r,), alone = make(shapes=((4,),))
    r.set_value(q)
    rng = np.random.default_rng(0)
    for k in range(6):
        give((p, rng.normal(size=3)))
        if k % 3 != 1:
            g = rng.normal(size=4)
            give((q, g), (r, g))
            alone.step()
            alone.clear_grad()
        opt.step()
        opt.clear_grad()
    same([q.numpy()], [r.numpy()])


def test_many_patterns_of_missing_gradients():
    params, opt = make(shapes=((3,),) * 9)
    twins = [parameter(p.numpy()) for p in params]
    alone = [optimizer.Adam(0.1, parameters=[t]) for t in twins]
    rng = np.random.default_rng(5)
    for _ in range(12):
        for k in np.flatnonzero(rng.random(9) < 0.5):
            g = rng.normal(size=3)
            give((params[k], g), (twins[k], g))
            alone[k].step()
            alone[k].clear_grad()
        opt.step()
        opt.clear_grad()
    same(values(params), values(twins))


def test_weights_loaded_after_construction_and_between_steps():
    params, opt = make()
    fresh = random_parameters(np.random.default_rng(9), *SHAPES)
    twins = [parameter(p.numpy()) for p in fresh]
    other = optimizer.Adam(0.1, parameters=twins)
    for p, q in zip(params, fresh):
        p.set_value(q)
    train(params, opt, 2)
    train(twins, other, 2)
    same(values(params), values(twins))
    for p, t in zip(params, twins):
        p.set_value(np.full(p.shape, 2.0))
        t.set_value(np.full(t.shape, 2.0))
    train(params, opt, 1, first=2)
    train(twins, other, 1, first=2)
    same(values(params), values(twins))


def test_a_rebound_array_is_taken_in():
    params, opt = make()
    train(params, opt, 2)
    for p in params:
        p._array = p._array.copy()          # what .to() or a loader that replaces arrays does
    train(params, opt, 2, first=2)
    same(values(params), undisturbed(4))
    assert all(p._array is opt._arena.of[id(p)].view for p in params)


def test_a_change_of_dtype_keeps_the_moments():
    params, opt = make(shapes=((5, 7), (3,)))
    train(params, opt, 2)
    moments = opt.state_dict()
    kept = {key: moments[key].numpy() for key in moments if "moment" in key}
    nn.ParameterList(params[:1]).to(dtype="float64")
    opt.set_lr(0.0)
    train(params, opt, 1, first=2)
    assert params[0].dtype == "float64" and opt.state_dict()["steps"] == {p.name: 3 for p in params}
    twins, other = make(shapes=((5, 7), (3,)))
    train(twins, other, 2)
    other.set_lr(0.0)
    train(twins, other, 1, first=2)
    for key, twin in zip(kept, [t for k, t in other.state_dict().items() if "moment" in k], strict=True):
        np.testing.assert_allclose(opt.state_dict()[key].numpy(), twin.numpy(), **CLOSE)
        assert opt.state_dict()[key].dtype == ("float64" if params[0].name in key else "float32")


def test_a_gradient_after_a_change_of_dtype_is_of_the_new_one():
    (p,), opt = make(shapes=((3,),), cls=optimizer.SGD)
    train([p], opt, 1)
    nn.ParameterList([p]).to(dtype="float64")
    start = p.numpy()
    (p * gpuflow.to_tensor(np.array([1e-9, 1.0, 1 + 1e-9]))).sum().backward()
    assert p.grad.dtype == "float64"
    opt.step()
    np.testing.assert_allclose(p.numpy(), start - 0.1 * np.array([1e-9, 1.0, 1 + 1e-9]), rtol=1e-15)


def test_a_change_of_shape_is_refused():
    (p,), opt = make(shapes=((2, 3),))
    train([p], opt, 1)
    with gpuflow.no_grad():
        p.reshape_([6])
    give((p, np.arange(6)))
    assert p.grad.shape == [6]
    with pytest.raises(ValueError, match=r"shape \[2, 3\].*\[6\]"):
        opt.step()


def test_two_optimizers_over_one_model():
    params = random_parameters(np.random.default_rng(1), *SHAPES)
    twins = [parameter(p.numpy()) for p in params]
    first, second = optimizer.SGD(0.1, parameters=params), optimizer.SGD(0.5, parameters=params)
    plain = {0: optimizer.SGD(0.1, parameters=twins), 1: None}
    for k in range(4):
        g = gradients(k, params)
        give(*zip(params, g))
        give(*zip(twins, g))
        (first, second)[k % 2].step()
        plain[0].set_lr((0.1, 0.5)[k % 2])
        plain[0].step()
        first.clear_grad()
        plain[0].clear_grad()
        same(values(params), values(twins))


def test_a_gradient_left_by_one_optimizer_reaches_the_other():
    (p,), first = make(shapes=((3,),), cls=optimizer.SGD)
    train([p], first, 1)
    second = optimizer.SGD(1.0, parameters=[p])
    start = p.numpy()
    give((p, [1, 2, 3]))            # into the first one's range
    second.step()
    np.testing.assert_allclose(p.numpy(), start - np.array([1, 2, 3], np.float32), **CLOSE)


def test_a_gradient_assigned_by_the_user_is_taken():
    (p,), opt = make(shapes=((3,),), cls=optimizer.SGD)
    start = p.numpy()
    for _ in range(2):
        p.grad = gpuflow.to_tensor([1.0, 2.0, 3.0])
        opt.step()
        opt.clear_grad()
    np.testing.assert_allclose(p.numpy(), start - 0.2 * np.array([1, 2, 3], np.float32), **CLOSE)


def test_a_changed_gradient_is_seen():
    """`p.grad` is the memory that the step reads, so scaling it in place works."""
    (p,), opt = make(shapes=((3,),), cls=optimizer.SGD)
    train([p], opt, 1)
    start = p.numpy()
    give((p, [1, 2, 3]))
    p.grad.set_value(p.grad.numpy() * 10)
    opt.step()
    np.testing.assert_allclose(p.numpy(), start - np.array([1, 2, 3], np.float32), **CLOSE)


def test_a_parameter_listed_twice_is_updated_once():
    p = parameter([1.0, 2.0])
    opt = optimizer.Momentum(0.1, parameters=[p, p])
    for _ in range(2):
        give((p, [1, 1]))
        opt.step()
        opt.clear_grad()
    np.testing.assert_allclose(p.numpy(), [0.71, 1.71], **CLOSE)
    assert len(opt.explain()) == len(opt.param_groups[0]["params"]) == 1
    with pytest.raises(ValueError, match="each parameter in one group"):
        optimizer.SGD(0.1, parameters=[{"params": [p]}, {"params": [p]}])


def test_two_parameters_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two parameters named 'twin'"):
        optimizer.SGD(0.1, parameters=[parameter([1.0], name="twin"), parameter([1.0, 2.0], name="twin")])


def test_a_parameter_that_joins_later():
    params, opt = make(shapes=((3,), (4,)))
    train(params, opt, 2)
    late = parameter([1.0, 2.0])
    opt.add_param_group({"params": [late], "learning_rate": 0.5})
    give((late, [3.0, -3.0]))
    train(params, opt, 2, first=2)
    same(values(params), undisturbed(4, shapes=((3,), (4,))))
    # Adam's first step has the length of the rate: 0.1 * 0.5
    np.testing.assert_allclose(late.numpy(), [0.95, 2.05], rtol=1e-5)
    assert opt.state_dict()["steps"][late.name] == 1


def test_a_refused_group_leaves_the_optimizer_as_it_was():
    params, opt = make(shapes=((3,),))
    late = parameter([1.0])
    with pytest.raises(ValueError, match="finite number >= 0"):
        opt.add_param_group({"params": [late], "learning_rate": -1.0})
    assert len(opt.param_groups) == 1
    opt.add_param_group({"params": [late]})
    train([*params, late], opt, 1)


def test_freezing_and_unfreezing_in_mid_training():
    (p, q), opt = make(shapes=((3,), (4,)), cls=optimizer.AdamW, weight_decay=0.5)
    q.trainable = False
    give((p, [1, 2, 3]))
    opt.step()
    opt.clear_grad()
    assert id(q) not in opt._arena.of, "a frozen parameter takes no room"
    still = q.numpy()
    q.trainable = True
    give((p, [1, 2, 3]), (q, [1, 2, 3, 4]))
    opt.step()
    moved = q.numpy()
    assert np.abs(moved - still).min() > 0.01
    q.trainable = False             # its gradient is still there
    opt.step()
    same([q.numpy()], [moved])
    assert opt.state_dict()["steps"] == {p.name: 3, q.name: 1}


def test_backward_through_a_graph_older_than_the_step_is_refused():
    (p,), opt = make(shapes=((3,),))
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    opt.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_a_parameter_that_was_not_stepped_keeps_its_graph():
    (p, q), opt = make(shapes=((3,), (3,)))
    loss = (q * q).sum()
    give((p, [1, 1, 1]))
    opt.step()
    loss.backward()
    np.testing.assert_allclose(q.grad.numpy(), 2 * q.numpy(), **CLOSE)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_master_weights(dtype):
    """Steps far below the type's resolution add up in the master copy, and are lost without one."""
    ends = {}
    for multi_precision in (True, False):
        p = parameter(np.ones(3), dtype=dtype)
        opt = optimizer.SGD(1e-5, parameters=[p], multi_precision=multi_precision)
        for _ in range(1000):
            give((p, [1.0, 1.0, 1.0]))
            opt.step()
            opt.clear_grad()
        assert p.dtype == dtype
        ends[multi_precision] = p.numpy().astype(np.float64)
    assert (ends[False] == 1).all()
    # 1000 roundings of a value near 1 in float32 and one to the short type: 2^-8 is bfloat16's spacing below 1
    np.testing.assert_allclose(ends[True], 0.99, atol=2.0**-8 if dtype == "bfloat16" else 2.0**-11)
    assert (ends[True] < 1).all()


def test_weights_loaded_over_a_master_copy_win():
    p = parameter([1.0, 2.0, 3.0], dtype="float16")
    opt = optimizer.SGD(1e-5, parameters=[p], multi_precision=True)
    give((p, [1.0, 1.0, 1.0]))
    opt.step()
    opt.clear_grad()
    master = opt._arena.of[id(p)].master
    kept = master.copy()
    p.set_value(np.array([1.0, 7.0, 3.0]))      # the first and last are the rounded master, so that stays exact
    opt._bring_in()
    same([master], [np.array([kept[0], 7.0, kept[2]], np.float32)])
    assert kept[0] != 1.0


def test_dtypes_side_by_side():
    rng = np.random.default_rng(3)
    start = rng.normal(size=(3, 5))
    params = [parameter(start, dtype=d) for d in ("float32", "float64", "float16", "bfloat16")]
    opt = optimizer.Adam(0.1, parameters=params, multi_precision=True)
    for k in range(5):
        g = np.random.default_rng(k).normal(size=(3, 5)).astype(np.float16)
        give(*[(p, g) for p in params])
        opt.step()
        opt.clear_grad()
    truth = params[1].numpy()
    # The start is rounded once per type; bfloat16 gradients are rounded as well, which Adam forgives for the most part.
    for p, tolerance in zip(params, (1e-6, 0, 2e-3, 3e-2)):
        np.testing.assert_allclose(p.numpy().astype(np.float64), truth, atol=tolerance)
    assert {home.state["m"].dtype.name for home in opt._arena.homes} == {"float32", "float64"}


# ---- sparse gradients ----------------------------------------------------------------------------------------------

ROWS = np.array([4, 1, 4])
BLOCK = np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]], np.float32)


def sparse(p, shift=0):
    """Gives p a gradient that touches two rows, one of them twice; `shift` moves them."""
    p._grad = SparseRows((ROWS + shift) % 6, BLOCK.copy(), p.shape)


def dense(shift=0):
    """The same gradient, whole."""
    g = np.zeros((6, 2), np.float32)
    np.add.at(g, (ROWS + shift) % 6, BLOCK)
    return g


@pytest.mark.parametrize("make_one, lazy", [
    (lambda p: optimizer.SGD(0.1, parameters=p), True),
    (lambda p: optimizer.Adagrad(0.1, parameters=p), True),
    (lambda p: optimizer.SGD(0.1, parameters=p, weight_decay=0.1), False),
    (lambda p: optimizer.Momentum(0.1, parameters=p), False),
    (lambda p: optimizer.Adam(0.1, parameters=p), False),
    (lambda p: optimizer.Lamb(0.1, parameters=p), False)])
def test_a_sparse_gradient_equals_its_dense_form(make_one, lazy):
    start = np.random.default_rng(0).normal(size=(6, 2))
    p, q, r = parameter(start), parameter(start), parameter([1.0])
    one, other = make_one([r, p]), make_one([q])
    for k in range(3):
        sparse(p, shift=k)
        give((q, dense(shift=k)), (r, [1.0]))
        one.step()
        other.step()
        one.clear_grad()
        other.clear_grad()
    same([p.numpy()], [q.numpy()])
    home = one._arena.of[id(p)]
    assert home.slot.any() != lazy, "rows alone, or through the range of the dense gradient"


def test_lazy_adam_leaves_the_other_rows_alone():
    start = np.random.default_rng(0).normal(size=(6, 2))
    p, q = parameter(start), parameter(start[[1, 4]])
    one, other = optimizer.Adam(0.1, parameters=[p], lazy_mode=True), optimizer.Adam(0.1, parameters=[q])
    give((p, np.ones((6, 2))), (q, np.ones((2, 2))))
    one.step()
    other.step()
    untouched = p.numpy()[[0, 2, 3, 5]]
    for _ in range(2):
        one.clear_grad()
        other.clear_grad()
        sparse(p)
        give((q, dense()[[1, 4]]))
        one.step()
        other.step()
    same([p.numpy()[[0, 2, 3, 5]], p.numpy()[[1, 4]]], [untouched, q.numpy()])


def test_a_sparse_gradient_counts_in_the_shared_norm():
    p, q = parameter(np.zeros((6, 2))), parameter([0.0])
    opt = optimizer.SGD(1.0, parameters=[p, q], grad_clip=nn.ClipGradByGlobalNorm(1.0))
    sparse(p)
    give((q, [2.0]))
    opt.step()
    norm = np.sqrt((dense().astype(np.float64)**2).sum() + 4)
    assert float(opt.last_grad_norm) == pytest.approx(norm, rel=1e-7)
    np.testing.assert_allclose(p.numpy(), -dense() / norm, rtol=1e-6)


def test_rate_zero_in_a_shared_norm_holds_the_master_copy_too():
    p = parameter([1.0, 2.0], dtype="float16", learning_rate=0.0)
    q = parameter([1.0])
    opt = optimizer.Momentum(0.1, parameters=[p, q], multi_precision=True, grad_clip=nn.ClipGradByGlobalNorm(1.0))
    p.optimize_attr["learning_rate"] = 1.0
    give((p, [1.0, 1.0]), (q, [1.0]))
    opt.step()
    moved, master = p.numpy(), opt._arena.of[id(p)].master.copy()
    p.optimize_attr["learning_rate"] = 0.0
    opt.step()
    same([p.numpy(), opt._arena.of[id(p)].master], [moved, master])


def test_a_copied_optimizer_is_refused():
    _, opt = make(shapes=((3,),))
    with pytest.raises(TypeError, match="set_state_dict"):
        copy.deepcopy(opt)


def test_a_copied_model_has_memory_of_its_own():
    (p,), opt = make(shapes=((3,),))
    train([p], opt, 1)
    twin = copy.deepcopy(p)
    held = twin.numpy()
    give((twin, [1.0, 1.0, 1.0]))
    train([p], opt, 1)
    same([twin.numpy()], [held])
    assert twin._grad_slot is None and p.grad is None
