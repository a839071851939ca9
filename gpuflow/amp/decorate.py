"""decorate: a model's parameters in the low type (level O2), and optimizers that keep their float32 truth."""
from __future__ import annotations

from gpuflow import device, dtypes, nn
from gpuflow.amp import lists
from gpuflow.errors import explain
from gpuflow.tensor import Tensor

BATCH_NORMS = (nn.BatchNorm, nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)
# in float16 only: bfloat16 has the range of float32, and there Paddle casts these
NORMS = (nn.LayerNorm, nn.InstanceNorm1D, nn.InstanceNorm2D, nn.InstanceNorm3D)
SAVE_DTYPES = ("float16", "bfloat16", "float32", "float64")


def decorate(models, optimizers=None, level: str = "O1", dtype: str = "float16", master_weight=None, save_dtype=None,
             master_grad: bool = False, excluded_layers=None):
    """Makes models and optimizers ready for `auto_cast(level=level)`; returns them, lists where lists were given.

    At level "O1" nothing changes. At "O2" floating parameters and buffers become `dtype`, but those of batch
    normalisation, in float16 of layer and instance normalisation, and of excluded_layers.

    optimizers: they keep float32 master copies of the cast parameters, unless master_weight is False.
    save_dtype: floating entries of `state_dict()` are given in this type; the model's own stay as they are.
    master_grad: gradients of the cast parameters are kept in float32, from the end of each op's backward on; so
        clipping by hand and the sum over several backward passes lose nothing. Leave optimizers built earlier to this
        call, or build them after it.
    excluded_layers: a layer, which stands for its sublayers too, a class of layers, or a list of both.
    """
    where = "decorate"
    if level not in ("O1", "O2"):
        raise ValueError(explain(f"{where}(level=...)", "'O1' or 'O2'", repr(level)))
    kind = dtypes.convert(dtype)
    if kind.name not in lists.DTYPES:
        raise ValueError(explain(f"{where}(dtype=...)", "float16 or bfloat16", kind.name))
    if save_dtype is not None and save_dtype not in SAVE_DTYPES:
        raise ValueError(explain(f"{where}(save_dtype=...)", f"one of {SAVE_DTYPES} or None", repr(save_dtype)))
    model_list = _listed(where, "models", models, lambda x: isinstance(x, nn.Layer))
    optimizer_list = [] if optimizers is None else _listed(
        where, "optimizers", optimizers, lambda x: hasattr(x, "step") and hasattr(x, "clear_grad"))
    if level == "O2":
        wide = _excluded(model_list, excluded_layers)
        for model in model_list:
            _cast(model, kind, wide)
        if master_grad:
            for model in model_list:
                _widen_gradients(model, kind)
        for optimizer in optimizer_list:
            if hasattr(optimizer, "_set_multi_precision"):
                optimizer._set_multi_precision(master_weight is not False)
        if save_dtype is not None:
            for model in model_list:
                for layer in model.sublayers(include_self=True):
                    layer.register_state_dict_hook(_saving_as(save_dtype))
    return models if optimizers is None else (models, optimizers)


amp_decorate = decorate


def _listed(where: str, argument: str, given, fits) -> list:
    found = given if isinstance(given, list) else [given]
    if not all(map(fits, found)):
        raise TypeError(explain(f"{where}({argument}=...)", f"one of {argument} or a list of them",
                                ", ".join(type(x).__name__ for x in found)))
    return found


def _excluded(models, given) -> set[int]:
    """Ids of the layers that stay as they are."""
    entries = [] if given is None else given if isinstance(given, list) else [given]
    out, classes = set(), []
    for entry in entries:
        if isinstance(entry, nn.Layer):
            out.update(id(layer) for layer in entry.sublayers(include_self=True))
        elif isinstance(entry, type) and issubclass(entry, nn.Layer):
            classes.append(entry)
        else:
            raise TypeError(explain("decorate(excluded_layers=...)", "layers, classes of layers, or a list of them",
                                    repr(entry)))
    for model in models:
        out.update(id(layer) for layer in model.sublayers(include_self=True) if isinstance(layer, tuple(classes)))
    return out


def _cast(model, kind, wide) -> None:
    stays = BATCH_NORMS + NORMS if kind is dtypes.float16 else BATCH_NORMS
    layers = [layer for layer in model.sublayers(include_self=True)
              if id(layer) not in wide and not isinstance(layer, stays)]
    model._convert(None, kind, layers, floating_only=True)


def _widen_gradients(model, kind) -> None:
    """Gives the gradients of cast parameters a float32 place, which an optimizer's arena takes over."""
    for p in model.parameters():
        widen_gradient(p, kind)


def widen_gradient(p, kind) -> None:
    """Gives the gradient of a parameter of this dtype a float32 place."""
    if p.dtype is kind and (p._grad_slot is None or p._grad_slot.dtype.itemsize == 2):
        p._grad_slot = device.module_of(p._array).zeros(p._array.shape, "float32")


def _saving_as(dtype: str):
    def hook(state):
        for key, value in state.items():
            if isinstance(value, Tensor) and value.dtype.is_floating and value.dtype.name != dtype:
                cast = Tensor(value._array.astype(dtypes.convert(dtype).dtype), name=value.name)
                state[key] = cast
        return state

    return hook
