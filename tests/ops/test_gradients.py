"""Every op of the registry against its cases (tests/ops/cases.py): gradients, shape rules, dtypes, shared memory."""
import importlib
import pkgutil

import numpy as np
import pytest

import gpuflow
import tests.ops
from gpuflow import dispatch, dtypes
from gpuflow.autograd.check import check_gradients
from gpuflow.ops.registry import OPS, Spec
from tests.ops.cases import CASES, WITHOUT_CASE, Case


def _all_cases():
    merged = {name: list(cases) for name, cases in CASES.items()}
    for module in pkgutil.iter_modules(tests.ops.__path__):
        if module.name.startswith("cases_"):
            family = importlib.import_module(f"tests.ops.{module.name}")
            for name, cases in family.CASES.items():
                assert name not in merged, f"{module.name} repeats {name}"
                merged[name] = list(cases)
    return {name: [Case(*case) for case in cases] for name, cases in merged.items()}


ALL = _all_cases()
EACH = [pytest.param(name, case, id=f"{name}-{i}") for name, cases in ALL.items() for i, case in enumerate(cases)]


def test_every_op_has_a_case():
    missing = sorted(OPS.keys() - ALL.keys() - WITHOUT_CASE.keys())
    assert not missing, f"no case in tests/ops/cases*.py for {missing}"
    assert not ALL.keys() - OPS.keys(), "cases for ops that do not exist"
    assert not WITHOUT_CASE.keys() & ALL.keys() and all(WITHOUT_CASE.values())


# Differentiable ops whose cases test_gradients does not look at, and where their gradients are checked.
_BACK = "the gradient of the op without _back, which is checked there; it refuses a second derivative"
_COMPLEX = "the checker knows real numbers only: "
CHECKED_ELSEWHERE = {
    **dict.fromkeys(("ctc_loss_back", "rnnt_loss_back", "grid_sample_back", "reduce_along_axis_back"), _BACK),
    **dict.fromkeys(("fft", "rfft", "irfft"), _COMPLEX + "tests/test_fft.py, through as_real"),
    **dict.fromkeys(("complex", "real", "imag"), _COMPLEX + "tests/ops/test_functions.py, beside Paddle's"),
    **dict.fromkeys(("cholesky", "eigh"), "a step on one triangle leaves the symmetric matrices: tests/test_linalg.py"),
}


def test_the_gradient_of_every_differentiable_op_is_checked():
    checked = {name for name, cases in ALL.items() for case in cases if case.order and any(
        isinstance(x, np.ndarray) and x.dtype == np.float64 and i not in case.constants
        for i, x in enumerate(case.inputs))}
    differentiable = {name for name, op in OPS.items() if op.grad_function is not None}
    assert differentiable - checked == CHECKED_ELSEWHERE.keys()


def _call(name, attrs):
    def function(*tensors):
        gpuflow.seed(1)  # an op that draws numbers draws the same ones each time
        return dispatch.call(OPS[name], tensors, attrs)

    return function


@pytest.mark.parametrize(("name", "case"), [p for p in EACH if OPS[p.values[0]].grad_function is not None])
def test_gradients(name, case):
    inputs = [gpuflow.to_tensor(x) if isinstance(x, np.ndarray) else x for x in case.inputs]
    for i, x in enumerate(inputs):
        if isinstance(x, gpuflow.Tensor):
            x.stop_gradient = not (x.dtype.name == "float64" and i not in case.constants)
            x._array.flags.writeable = False  # neither forward nor gradient may write into its inputs
    inputs += [None] * (len(OPS[name].inputs) - len(inputs))  # optional ones that the case leaves out
    if case.order and any(isinstance(x, gpuflow.Tensor) and not x.stop_gradient for x in inputs):
        check_gradients(_call(name, case.attrs), inputs, case.order)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "case"), EACH)
def test_shape_rule_agrees_with_the_forward(name, case, dtype):
    """Shapes and dtypes, for each float type: a forward that widens float16 or narrows float64 is caught here."""
    op = OPS[name]
    if dtype in case.not_in:
        pytest.skip(f"{name} is not offered in {dtype}")
    inputs = [gpuflow.to_tensor(x, dtype=dtype if x.dtype == np.float64 else None) if isinstance(x, np.ndarray) else x
              for x in case.inputs]
    specs = [Spec(x._array.shape, x.dtype) if isinstance(x, gpuflow.Tensor) else x for x in inputs]
    before = [x.numpy().copy() if isinstance(x, gpuflow.Tensor) else x for x in inputs]
    attrs = {k: dtypes.convert(dtype) if k == "dtype" and v == "float64" else v for k, v in case.attrs.items()}
    got = _call(name, attrs)(*inputs)
    got = got if isinstance(got, tuple) else (got,)
    rule = op.infer(*specs, **attrs)
    rule = (rule,) if isinstance(rule, Spec) else tuple(rule)
    assert len(rule) == len(got)
    for spec, out in zip(rule, got, strict=True):
        if not case.shape_from_numbers:
            assert tuple(spec.shape) == tuple(out._array.shape)
        assert spec.dtype is out.dtype
        for x, old in zip(inputs, before, strict=True):
            if isinstance(x, gpuflow.Tensor):
                assert op.views or not np.shares_memory(x._array, out._array), "declare views=True, or copy"
                assert x.numpy().tobytes() == old.tobytes(), "an op that is not in place changed its input"
