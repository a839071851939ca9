"""paddle.utils, paddle.version and the other second homes of names that code for Paddle looks into."""
import collections
import importlib

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, utils, version
from gpuflow.utils import as_paddle, download


def test_map_structure_keeps_the_structure_of_the_first():
    Pair = collections.namedtuple("Pair", "a b")
    assert utils.map_structure(lambda x, y: x - y, {"p": Pair(5, [6])}, {"p": Pair(1, [2])}) == {"p": Pair(4, [4])}
    assert utils.flatten([1, {"a": (2, 3)}]) == [1, 2, 3]
    with pytest.raises(ValueError, match="shorter"):
        utils.map_structure(max, [1, 2], [1])


def test_try_import():
    assert utils.try_import("json").dumps([]) == "[]"
    with pytest.raises(ImportError, match="pip install no_such"):
        utils.try_import("no_such.module")


def test_require_version_asks_about_the_paddle_that_is_followed():
    utils.require_version("2.0")
    utils.require_version("3.3.1", "3.3.1")
    for wrong in (("4.0",), ("2.0", "3.3.0")):
        with pytest.raises(RuntimeError, match=r"follows 3\.3\.1"):
            utils.require_version(*wrong)
    with pytest.raises(ValueError, match="versions"):
        utils.require_version("two")
    assert ".".join([version.major, version.minor, version.patch]) == version.full_version


def test_deprecated_warns_or_refuses():
    @utils.deprecated(update_to="new", since="2.0", reason="slow")
    def old():
        return 1

    with pytest.warns(DeprecationWarning, match=r"old is deprecated since 2.0. Try: new. slow"):
        assert old() == 1
    with pytest.raises(RuntimeError, match="deprecated"):
        utils.deprecated(level=2)(len)([])


def test_what_is_to_be_downloaded_must_be_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="other means"):
        download.get_path_from_url("https://x.org/w.pdparams", str(tmp_path))
    (tmp_path / "w.pdparams").touch()
    (tmp_path / "data").mkdir()
    assert download.get_path_from_url("https://x.org/w.pdparams", str(tmp_path)) == str(tmp_path / "w.pdparams")
    assert download.get_path_from_url("https://x.org/data.tar.gz", str(tmp_path)) == str(tmp_path / "data")
    assert download.is_url("http://x.org") and not download.is_url("x.org")


@pytest.mark.parametrize(("module", "name", "same"), [
    ("paddle.nn.layer.transformer", "MultiHeadAttention", nn.MultiHeadAttention),
    ("paddle.framework.io", "EagerParamBase", nn.Parameter), ("paddle.framework.core", "CPUPlace", paddle.CPUPlace),
    ("paddle.base", "ParamAttr", paddle.ParamAttr), ("paddle.base.dygraph", "to_variable", paddle.to_tensor),
    ("paddle.base.framework", "EagerParamBase", nn.Parameter),
    ("paddle.nn.layer.layers", "Layer", nn.Layer), ("paddle.nn.layer.norm", "LayerNorm", nn.LayerNorm),
    ("paddle.distributed.fleet.utils", "recompute", paddle.distributed.fleet.utils.recompute)])
def test_second_homes(module, name, same):
    with as_paddle():
        assert getattr(importlib.import_module(module), name) is same


def test_a_fused_linear_may_keep_its_weight_transposed():
    x = paddle.randn([3, 4])
    plain, turned = (paddle.incubate.nn.FusedLinear(4, 2, transpose_weight=turn) for turn in (False, True))
    turned.weight.set_value(plain.weight.T.contiguous())
    np.testing.assert_allclose(turned(x).numpy(), plain(x).numpy(), rtol=1e-6)
    assert turned.weight.shape == [2, 4] and len(turned.parameters()) == 2


def test_an_initializer_called_with_the_parameter_and_its_block_fills_it():
    layer = nn.Linear(2, 2)
    nn.initializer.Constant(3.0)(layer.weight, layer.weight.block)
    assert not paddle.is_compiled_with_rocm() and not paddle.is_compiled_with_xpu()
    assert (layer.weight == 3).all() and paddle.device.get_all_custom_device_type() == []


def test_masks_and_dtypes_by_paddle_s_names():
    with as_paddle():
        from paddle.common_ops_import import convert_dtype
        from paddle.nn.layer.transformer import _convert_attention_mask, _convert_param_attr_to_list
    mask = _convert_attention_mask(paddle.to_tensor([True, False]), "float32")
    np.testing.assert_array_equal(mask.numpy(), np.array([0, -1e9], "float32"))
    assert convert_dtype(paddle.float16) == "float16"
    assert [a.name for a in _convert_param_attr_to_list(paddle.ParamAttr(name="w"), 2)] == ["w_0", "w_1"]
    assert [nn.Embedding(5, 2, padding_idx=i)._padding_idx for i in (None, 1, -1)] == [-1, 1, 4]
    assert nn.Layer()._helper.get_default_dtype() == "float32"


def test_questions_that_code_for_paddle_asks_its_inner_modules():
    with as_paddle():
        from paddle.amp.auto_cast import amp_state
        from paddle.framework import _current_expected_place, core
        from paddle.nn.layer.layers import in_declarative_mode
        from paddle.utils.download import _get_unique_endpoints
    seen = []
    paddle.jit.to_static(lambda x: [seen.append(in_declarative_mode()), x + 1][1])(paddle.ones([1]))
    assert seen[0] is True and not in_declarative_mode()
    with paddle.amp.auto_cast():
        assert amp_state()
    assert not amp_state()
    assert _current_expected_place() == paddle.CPUPlace() and core.default_cpu_generator().place == paddle.CPUPlace()
    assert _get_unique_endpoints(["a:1", "a:2", "b:1"]) == {"a:1", "b:1"}


def test_dygraph_guard_gives_the_mode_back():
    paddle.enable_static()
    try:
        assert isinstance(paddle.static.default_main_program().current_block(), paddle.base.framework.Block)
        assert not paddle.base.framework.in_dygraph_mode() and not paddle.base.framework.in_pir_mode()
        with pytest.raises(ZeroDivisionError), paddle.base.dygraph.guard(paddle.CPUPlace()):
            assert paddle.ones([2]).numpy().sum() == 2 and paddle.nn.Linear(1, 1).weight.is_parameter
            raise ZeroDivisionError
        assert not paddle.in_dynamic_mode()
    finally:
        paddle.disable_static()
    with paddle.base.dygraph.guard():
        assert paddle.in_dynamic_mode()
    assert paddle.in_dynamic_mode()
