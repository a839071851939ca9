"""Tensor: attributes, conversions, indexing with gradients, in-place safety, operators, random methods."""
import copy
import pickle

import numpy as np
import pytest

import gpuflow
from gpuflow.autograd.check import check_gradients


def leaf(array):
    return gpuflow.to_tensor(np.asarray(array, "float64"), stop_gradient=False)


# ---- what it is ------------------------------------------------------------------------------------------------------


def test_attributes():
    x = gpuflow.to_tensor(np.zeros((2, 3), "float32"))
    assert x.shape == [2, 3] and x.shape.numel() == 6
    assert (x.dtype, x.ndim, x.dim(), x.size, x.itemsize, x.nbytes) == (gpuflow.float32, 2, 2, 6, 4, 24)
    assert x.dtype == "float32" and x.dtype == np.float32 and x.dtype != "int32"
    assert x.stop_gradient and x.is_leaf and not x.persistable and x.grad is None and x.grad_fn is None
    assert x.place.is_cpu_place() and x.strides == [3, 1] and x.is_contiguous() and not x.T.is_contiguous()
    assert x.numel().item() == 6 and len(x) == 2 and x.element_size() == 4
    assert x.name != gpuflow.to_tensor([1.0]).name
    y = leaf([1.0]) * 2
    assert not y.is_leaf and not y.stop_gradient and gpuflow.is_tensor(y) and not gpuflow.is_tensor([1])


def test_repr():
    assert repr(gpuflow.to_tensor([[1.0, 2.5]])) == (
        "Tensor(shape=[1, 2], dtype=float32, place=Place(cpu), stop_gradient=True,\n       [[1. , 2.5]])")
    assert "stop_gradient=False" in repr(leaf([1.0]))


@pytest.mark.parametrize(("data", "dtype"), [
    (1, "int64"), (1.5, "float32"), (True, "bool"), ([1, 2.0], "float32"), (np.float64(1), "float64"),
    (np.ones(2, "float16"), "float16"), ([[True], [False]], "bool"), ([], "float32"), (np.int32(3), "int32")])
def test_to_tensor_dtype(data, dtype):
    assert gpuflow.to_tensor(data).dtype == dtype
    assert gpuflow.to_tensor(data, dtype="float64").dtype == "float64"


def test_complex_numbers_print_in_brackets_with_as_many_digits_as_tell():
    assert "[(1.00000000-2.00000000j), (2.50000000+0.00000000j)]" in repr(gpuflow.to_tensor([1 - 2j, 2.5]))
    assert "(1.00000000e+10+3.00000000e+00j)" in repr(gpuflow.to_tensor([1e10 + 3j]))
    assert str(type(gpuflow.to_tensor(1))) == "<class 'gpuflow.Tensor'>"


def test_the_name_tensor_is_a_function_and_the_home_of_functions():
    assert not gpuflow.tensor([1.0], requires_grad=True).stop_gradient
    assert gpuflow.tensor.triu is gpuflow.tensor.math.triu is gpuflow.triu
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gpuflow.tensor.nothing


def test_changes_in_place_are_counted_from_the_first_look():
    x = gpuflow.ones([2])
    assert x.inplace_version == 0
    x[1] = 2.0
    assert x.inplace_version == 1


def test_sizes_of_new_tensors_in_a_list_or_one_by_one():
    x = gpuflow.ones([2], dtype="float64")
    assert x.new_zeros(2, 3).shape == x.new_zeros([2, 3]).shape == x.new_ones(size=[2, 3]).shape == [2, 3]
    assert x.new_zeros([2], "int32").dtype == x.new_empty(2, dtype="int32").dtype == gpuflow.int32


def test_to_tensor_copies_and_follows_the_default_dtype():
    array = np.zeros(2)
    x = gpuflow.to_tensor(array)
    array[0] = 1
    assert x.tolist() == [0, 0]
    gpuflow.set_default_dtype("float64")
    assert gpuflow.to_tensor(1.5).dtype == "float64" and gpuflow.rand([2]).dtype == "float64"
    assert (gpuflow.to_tensor(3) / 2).dtype == "float64"


def test_conversions():
    x = gpuflow.to_tensor([[1.0, 2.0]])
    assert x.tolist() == [[1.0, 2.0]] and x[0, 1].item() == 2.0 and float(x[0, 0]) == 1.0 and int(x[0, 1]) == 2
    assert np.asarray(x).dtype == np.float32 and np.asarray(x, "float64").dtype == np.float64
    assert [10, 20, 30][gpuflow.to_tensor(1)] == 20 and f"{x[0, 1]:.1f}" == "2.0" and bool(x[0, 0])
    with pytest.raises(ValueError, match="one element"):
        bool(x)
    with pytest.raises(TypeError, match="0-d"):
        len(gpuflow.to_tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(gpuflow.to_tensor(1.0))
    for kind in ("float16", "bfloat16", "float64", "int32", "bool"):
        assert x.astype(kind).dtype == kind and getattr(x, kind)().dtype == kind
    assert x.float().dtype == "float32" and x.half().dtype == "float16" and x.long().dtype == "int64"


def test_dlpack_capsules():
    x = gpuflow.to_tensor([[1, 2], [3, 4]])
    y = gpuflow.from_dlpack(gpuflow.to_dlpack(x.T))
    assert y.tolist() == [[1, 3], [2, 4]] and (y.dtype, y.place) == (x.dtype, x.place)
    y[0, 0] = 9
    assert y.tolist() == [[9, 3], [2, 4]]


def test_dlpack_shares_memory_both_ways():
    x = gpuflow.to_tensor([1.0, 2.0])
    view = np.from_dlpack(x)
    x[0] = 5.0
    assert view[0] == 5
    array = np.zeros(2, "float32")
    y = gpuflow.from_dlpack(array)
    array[1] = 3
    assert y.tolist() == [0, 3]


def test_numpy_leaves_operators_to_the_tensor():
    x = gpuflow.to_tensor([1.0, 2.0])
    for y in (np.float64(2) * x, x * np.float64(2), np.float32(2) * x):
        assert gpuflow.is_tensor(y) and y.dtype == "float32" and y.tolist() == [2, 4]
    y = np.ones(2, "float32") + x
    assert gpuflow.is_tensor(y) and y.tolist() == [2, 3]
    assert (x == None) is False and (x != None) is True  # noqa: E711
    assert {x: 1}[x] == 1


def test_pickle_and_deepcopy():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert y.tolist() == x.tolist() and y.stop_gradient is False and y.data_ptr() != x.data_ptr()
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(x * 2)


def test_set_value_and_fill():
    x = gpuflow.to_tensor([1.0, 2.0])
    x.set_value(np.array([3, 4]))
    assert x.tolist() == [3, 4] and x.dtype == "float32"
    with pytest.raises(ValueError, match=r"\[2\].*\[3\]"):
        x.set_value(np.ones(3))
    assert x.fill_(7).tolist() == [7, 7] and x.zero_().tolist() == [0, 0]
    y = gpuflow.zeros([2, 3])
    assert y.fill_diagonal_(1.0, 1).tolist() == [[0, 1, 0], [0, 0, 1]]


def test_moving():
    x = leaf([1.0, 2.0])
    assert x.cpu() is x and x.to("cpu") is x and x.to("float64") is x and x.pin_memory() is x
    y = x.to("cpu", "float32")
    assert y.dtype == "float32" and x.to(gpuflow.ones([1])).dtype == "float32" and x.to(dtype="int32").dtype == "int32"
    y.sum().backward()
    assert x.grad.dtype == "float64" and x.grad.tolist() == [1, 1]
    with pytest.raises(ValueError, match="device"):
        x.to("moon")


@pytest.mark.gpu
def test_the_gradient_moves_back():
    x = gpuflow.to_tensor([1.0, 2.0], place="cpu", stop_gradient=False)
    y = x.cuda() * 3
    assert y.place.is_gpu_place()
    y.cpu().sum().backward()
    assert x.grad.place.is_cpu_place() and x.grad.tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="on one device"):
        x + x.cuda()


# ---- indexing --------------------------------------------------------------------------------------------------------

Z = np.random.default_rng(0).standard_normal((3, 4, 5))
INDICES = {
    "int": 1, "negative": -1, "slice": slice(1, 3), "step": (slice(None), slice(None, None, -2)), "ellipsis": (..., 2),
    "none": (None, 1, None), "pair": (0, slice(1, None), -1), "list": [2, 0, 2], "lists": ([0, 1], [1, 3]),
    "list_apart": ([0, 2], slice(None), [1, 3]), "column": (slice(None), [0, 3, 3]), "array": np.array([[0, 1], [2,
                                                                                                                 2]]),
    "mask": Z > 0.3, "mask_rows": np.array([True, False, True]), "mask_and_int": (np.array([True, False, True]), 1),
    "empty": [], "scalar_array": np.array(2), "true": True,
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
def test_indexing_as_numpy(index):
    np.testing.assert_array_equal(gpuflow.to_tensor(Z)[index].numpy(), Z[index])
    if Z[index].size:
        check_gradients(lambda x: x[index] * 2, [leaf(Z)])


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
@pytest.mark.parametrize("recorded", [False, True])
def test_index_assignment_as_numpy(index, recorded):
    expected = Z.copy()
    expected[index] = 7
    x = leaf(Z) * 1 if recorded else gpuflow.to_tensor(Z)
    x[index] = 7
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("index", [1, (slice(None), 2), ([0, 2],), Z > 0.3, (..., slice(1, 3))])
def test_gradients_of_index_assignment(index):
    value = np.random.default_rng(1).standard_normal(Z[index].shape)

    def put(x, v):
        y = x * 1.0
        y[index] = v
        return y * y

    check_gradients(put, [leaf(Z), leaf(value)])


def test_index_by_tensors_and_the_place_of_their_axis():
    x, ids = gpuflow.to_tensor(Z), gpuflow.to_tensor([0, 3])
    assert x[0, :, ids].shape == [4, 2]  # as Paddle; NumPy would give [2, 4]
    np.testing.assert_array_equal(x[0, :, ids].numpy(), Z[0][:, [0, 3]])
    assert x[gpuflow.to_tensor(1)].shape == [4, 5] and x[x > 0].ndim == 1
    x[0, :, ids] = 1.0
    assert x.numpy()[0][:, [0, 3]].min() == 1
    with pytest.raises(IndexError, match="side by side"):
        x[0, :, ids] = gpuflow.zeros([4, 2])


@pytest.mark.parametrize("index", [5, (0, 0, 0, 0), 1.5, "a", gpuflow.to_tensor([1.0])])
def test_wrong_indices(index):
    x = gpuflow.to_tensor(Z)
    with pytest.raises(IndexError):
        x[index]
    with pytest.raises(IndexError):
        x[index] = 1


def test_iteration():
    x = leaf(Z)
    sum((row.sum() for row in x), gpuflow.to_tensor(0.0, "float64")).backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones_like(Z))
    a, b = gpuflow.to_tensor([1, 2])
    assert (a.item(), b.item()) == (1, 2)


# ---- in place --------------------------------------------------------------------------------------------------------


def test_augmented_assignment_makes_a_new_tensor():
    x = y = gpuflow.to_tensor([1.0])
    x += 1
    assert x is not y and y.item() == 1  # as Paddle


def test_in_place_methods_keep_memory_and_history():
    x = leaf([0.5, 2.0])
    y = x * 1
    address = y.data_ptr()
    assert y.exp_() is y and y.data_ptr() == address
    y.add_(gpuflow.to_tensor([1.0, 1.0], "float64")).scale_(3.0)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * np.exp([0.5, 2.0]))
    y = x * 1
    with pytest.raises(RuntimeError, match="changed in place"):  # clip needs the numbers that it overwrites
        y.clip_(0.0, 1.0).sum().backward()


def test_in_place_shapes():
    x = leaf(Z)
    y = x * 2
    assert y.reshape_([3, 20]).shape == [3, 20] and y.unsqueeze_(0).shape == [1, 3, 20]
    assert y.squeeze_().flatten_().shape == [60]
    y.sum().backward()
    assert x.grad.numpy().min() == 2


def test_overwriting_cuts_the_gradient():
    x = leaf([1.0, 2.0])
    y = x * 2
    y.zero_()
    (y + x).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_in_place_errors():
    x = leaf([1.0, 2.0])
    for change in (lambda: x.add_(gpuflow.ones([2], "float64")), lambda: x.zero_(), lambda: x.normal_(),
                   lambda: x.__setitem__(0, 1.0), lambda: x.reshape_([2, 1])):
        with pytest.raises(RuntimeError, match="leaf"):
            change()
    with gpuflow.no_grad():
        x.zero_()
        x[0] = 3.0
    assert x.tolist() == [3, 0]
    y = x * 1
    z = y * y
    y.add_(gpuflow.ones([2], "float64"))
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()
    with pytest.raises(ValueError, match="in place"):
        gpuflow.ones([1]).add_(gpuflow.ones([2]))
    with pytest.raises(ValueError, match="in place"):
        gpuflow.to_tensor([1, 2]).divide_(gpuflow.to_tensor([2, 2]))


def test_another_memory_or_dtype_in_place():
    x, other = gpuflow.ones([3]), gpuflow.arange(4)
    assert x.set_(other) is x
    other[0] = 7
    assert x.tolist() == [7, 1, 2, 3] and x.dtype == "int64"
    assert x.set_().shape == [0]
    y = gpuflow.ones([2], "float32")
    y.stop_gradient = False
    z = y * 1
    assert z.less_(y * 2).tolist() == [True, True] and z.dtype == "bool" and z.stop_gradient and z.is_leaf
    assert x.fill_(2).apply(lambda t: t * 3).tolist() == [] and y.detach().apply_(lambda t: t * 3).tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="needs no gradient"):
        y.apply(gpuflow.exp)


def test_where_it_is():
    x = gpuflow.ones([2, 3])
    assert (x.device, x.get_device(), x.is_cuda) == ("cpu", -1, False)
    assert x.stride() == x.get_strides() == [3, 1] and x.T.stride(1) == 3 and x.is_same_shape(x * 2)


def test_tensors_from_what_is_there():
    array = np.arange(3.0)
    copies = [gpuflow.from_numpy(array), gpuflow.as_tensor(array), gpuflow.asarray(array, requires_grad=True)]
    array[0] = 9
    assert [c.tolist() for c in copies] == [[0.0, 1.0, 2.0]] * 3
    assert [c.stop_gradient for c in copies] == [True, True, False]
    with pytest.raises(ValueError, match="from_dlpack"):
        gpuflow.asarray(array, copy=False)
    with pytest.raises(TypeError, match="NumPy array"):
        gpuflow.from_numpy([1.0])
    gpuflow.check_shape([2, 3], "zeros")
    with pytest.raises(TypeError, match="zeros"):
        gpuflow.check_shape([2, 3.5], "zeros")


# ---- random ----------------------------------------------------------------------------------------------------------

DRAWS = {
    "rand": lambda: gpuflow.rand([50]), "randn": lambda: gpuflow.randn([50]), "uniform": lambda: gpuflow.uniform([50]),
    "normal": lambda: gpuflow.normal(1.0, 2.0, [50]), "randint": lambda: gpuflow.randint(0, 9, [50]),
    "randperm": lambda: gpuflow.randperm(50), "bernoulli": lambda: gpuflow.bernoulli(gpuflow.full([50], 0.5)),
    "multinomial": lambda: gpuflow.multinomial(gpuflow.ones([50]), 20), "normal_": lambda: gpuflow.ones([50]).normal_(),
    "uniform_": lambda: gpuflow.ones([50]).uniform_(), "exponential_": lambda: gpuflow.ones([50]).exponential_(),
    "bernoulli_": lambda: gpuflow.ones([50]).bernoulli_(), "standard_normal": lambda: gpuflow.standard_normal([50]),
    "log_normal": lambda: gpuflow.log_normal(0.0, 1.0, [50]), "random_": lambda: gpuflow.ones([50]).random_(9),
    **{f"{name}_": lambda name=name: getattr(gpuflow, f"{name}_")(gpuflow.ones([50]), 0.5)
       for name in ("cauchy", "geometric", "log_normal")},
    "tensors": lambda: gpuflow.normal(gpuflow.zeros([50]), gpuflow.ones([50])),
    "with_replacement": lambda: gpuflow.multinomial(gpuflow.ones([2, 5]), 20, replacement=True),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_random_numbers_repeat_under_a_seed(draw):
    gpuflow.seed(5)
    first, second = draw().numpy(), draw().numpy()
    gpuflow.seed(5)
    np.testing.assert_array_equal(draw().numpy(), first)
    assert (first != second).any()


def test_states_of_no_gpus():
    if gpuflow.device.device_count():
        pytest.skip("a GPU is here")
    assert gpuflow.get_cuda_rng_state() == []
    gpuflow.set_cuda_rng_state([])
    with pytest.raises(ValueError, match="one state per GPU, 0"):
        gpuflow.set_cuda_rng_state([{"seed": 1}])


def test_random_distributions():
    """Means of 100,000 draws; the bounds are five standard errors wide."""
    n = 100_000
    assert abs(float(gpuflow.rand([n]).mean()) - 0.5) < 5 * 0.289 / n ** 0.5
    assert abs(float(gpuflow.normal(1.0, 2.0, [n]).mean()) - 1) < 5 * 2 / n ** 0.5
    assert abs(float(gpuflow.ones([n]).exponential_(2.0).mean()) - 0.5) < 5 * 0.5 / n ** 0.5
    assert abs(float(gpuflow.bernoulli(gpuflow.full([n], 0.3)).mean()) - 0.3) < 5 * 0.46 / n ** 0.5
    assert abs(float(gpuflow.ones([n]).geometric_(0.25).ceil().mean()) - 4) < 5 * 3.47 / n ** 0.5
    assert abs(float(gpuflow.ones([n]).log_normal_(1.0, 0.5).log().mean()) - 1) < 5 * 0.5 / n ** 0.5
    below = gpuflow.ones([n]).cauchy_(2.0, 3.0) < 5.0
    assert abs(float(below.astype("float32").mean()) - 0.75) < 5 * 0.433 / n ** 0.5
    for drawn, low, high in ((gpuflow.ones([n]).random_(3, 6), 3, 5), (gpuflow.ones([n], "int8").random_(4), 0, 3)):
        assert sorted(set(drawn.tolist())) == list(range(low, high + 1))
    drawn = gpuflow.ones([n], "float16").random_()
    assert float(drawn.max()) < 2048 and len(set(drawn.tolist())) > 2000
    assert sorted(gpuflow.randperm(100).tolist()) == list(range(100))
    drawn = gpuflow.randint(-2, 3, [n])
    assert set(drawn.tolist()) == {-2, -1, 0, 1, 2} and drawn.dtype == "int64"
    weights = gpuflow.to_tensor([0.0, 1.0, 3.0])
    counts = np.bincount(gpuflow.multinomial(weights, n, replacement=True).numpy(), minlength=3)
    assert counts[0] == 0 and abs(counts[2] / n - 0.75) < 5 * 0.433 / n ** 0.5
    firsts = gpuflow.multinomial(weights.reshape([1, 3]).expand([n, 3]), 2).numpy()
    assert abs((firsts[:, 0] == 2).mean() - 0.75) < 5 * 0.433 / n ** 0.5 and (firsts[:, 0] != firsts[:, 1]).all()


def test_a_loss_formats_as_a_number():
    loss = gpuflow.to_tensor(0.25)
    assert f"{loss} {loss:.3f} {gpuflow.to_tensor(3)}" == "0.25 0.250 3"
    assert f"{gpuflow.to_tensor([0.25]):.1f}" == "0.2" and f"{gpuflow.to_tensor([0.25])}".startswith("Tensor(shape=[1]")


def test_functions_that_are_methods_by_another_name():
    x = gpuflow.to_tensor([1.0, 4.0])
    assert gpuflow.sqrt_(x) is x and x.tolist() == [1.0, 2.0]
    assert gpuflow.gt(x, gpuflow.ones([2])).tolist() == [False, True]
    assert gpuflow.reshape_(x, [2, 1]).shape == [2, 1]
    whole = gpuflow.to_tensor([4, 6])
    gpuflow.gcd_(whole, gpuflow.to_tensor([6, 4]))
    assert whole.tolist() == [2, 2] and gpuflow.inverse(gpuflow.eye(2)).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert gpuflow.cat([x, x]).shape == [4, 1] and gpuflow.half is gpuflow.float16
    assert gpuflow.eye(3).slogdet().shape == gpuflow.linalg.slogdet(gpuflow.eye(3)).shape


@pytest.mark.parametrize(("name", "kind"), [("int", "int64"), ("float", "float64"), ("f4", "float32")])
def test_dtypes_by_numpys_names(name, kind):
    assert gpuflow.ones([1]).astype(name).dtype == getattr(gpuflow, kind)


# (dtype of the tensor with axes, of the one without): what Paddle's +, -, *, / and comparisons make of them
MEETING = {("float32", "int64"): "float32", ("int64", "float32"): "float32", ("float32", "float64"): "float32",
           ("float16", "float32"): "float16", ("int32", "int64"): "int32", ("bool", "int32"): "int32",
           ("int64", "bool"): "int64", ("int32", "float64"): "float64", ("float32", "bool"): "float32",
           ("float64", "complex64"): "complex128", ("complex64", "int64"): "complex64"}


@pytest.mark.parametrize(("axes", "none"), MEETING)
@pytest.mark.parametrize("static", [False, True], ids=["eager", "static"])
def test_a_tensor_without_axes_counts_as_a_number(axes, none, static):
    (gpuflow.enable_static if static else gpuflow.disable_static)()
    x, s = gpuflow.ones([2], axes), gpuflow.full([], 2, none)
    found = [(x * s).dtype, (s + x).dtype, (x < s).dtype]
    gpuflow.disable_static()
    assert found == [MEETING[axes, none]] * 2 + ["bool"]


def test_tensors_without_axes_meet_in_the_higher_kind_and_the_wider_type():
    def of(a, b):
        return (gpuflow.full([], 1, a) + gpuflow.full([], 1, b)).dtype.name

    assert [of("int32", "int64"), of("uint8", "int32"), of("float32", "float64"), of("float32", "int64"),
            of("bool", "int32")] == ["int64", "int32", "float64", "float32", "int32"]
    x = gpuflow.to_tensor([1.0, 2.0], stop_gradient=False)
    (x.sum() / (x > 0).sum()).backward()   # the mean over a mask: float32 by int64
    np.testing.assert_array_equal(x.grad.numpy(), [0.5, 0.5])
    with pytest.raises(TypeError, match="int32 and int64"):
        gpuflow.ones([2], "int32") * gpuflow.ones([2], "int64")
    with pytest.raises(TypeError, match="float32 and int64"):   # no arithmetic: nothing is weak
        gpuflow.maximum(gpuflow.ones([2]), gpuflow.full([], 1, "int64"))


@pytest.mark.parametrize("static", [False, True], ids=["eager", "static"])
def test_one_element_is_set_by_a_tensor_of_one_element(static):
    (gpuflow.enable_static if static else gpuflow.disable_static)()
    x, v = gpuflow.zeros([2, 2], "float64"), gpuflow.full([1], 5.0, "float64")
    v.stop_gradient = False
    x[0, 1] = v
    y = (x * x).sum()
    if static:
        found = gpuflow.static.Executor().run(fetch_list=[x, *gpuflow.static.gradients(y, v)])
        gpuflow.disable_static()
    else:
        y.backward()
        found = x.numpy(), v.grad.numpy()
    np.testing.assert_array_equal(found[0], [[0, 5], [0, 0]])
    np.testing.assert_array_equal(found[1], [10])
