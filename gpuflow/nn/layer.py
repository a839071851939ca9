"""Layer: parameters, buffers and sublayers under structured names, hooks, modes, and the state of checkpoints."""
import re
import warnings
from collections import OrderedDict
from typing import Any

from gpuflow import device as _device, dtypes, unique_name
from gpuflow.autograd.hooks import HookHandle
from gpuflow.dispatch import in_dynamic_mode, mode
from gpuflow.errors import explain
from gpuflow.nn.create import make_parameter
from gpuflow.nn.state import load_state
from gpuflow.param import Parameter
from gpuflow.tensor import Tensor


def snake_case(name: str) -> str:
    """A class name as layers are numbered by: "BatchNorm2D" is "batch_norm2d"."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def in_declarative_mode() -> bool:
    """Whether ops are recorded, by a trace or into a Program. Code for Paddle asks for it here."""
    return not in_dynamic_mode()


class Layer:
    """A part of a model: assign parameters, tensors (as buffers) and layers to its attributes and define `forward`.

    name_scope: what its name starts with, the class name in snake case by default; parameters are named after it
    ("linear_0.w_0"). dtype: kept for subclasses; parameters take the default float unless told otherwise.
    """

    _helper = dtypes   # code for Paddle asks self._helper.get_default_dtype()

    def __init__(self, name_scope: str | None = None, dtype="float32"):
        self.training = True
        self._full_name = unique_name.generate(snake_case(type(self).__name__) if name_scope is None else name_scope)
        self._dtype = dtype
        self._parameters: OrderedDict = OrderedDict()
        self._buffers: OrderedDict = OrderedDict()
        self._non_persistable_buffer_names_set: set = set()
        self._sub_layers: OrderedDict = OrderedDict()
        self._forward_pre_hooks: OrderedDict = OrderedDict()     # key -> (hook, takes kwargs)
        self._forward_post_hooks: OrderedDict = OrderedDict()    # key -> (hook, takes kwargs, also after an error)
        self._state_dict_hooks: OrderedDict = OrderedDict()

    # ---- attributes ------------------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        kind = "_parameters" if isinstance(value, Parameter) else "_sub_layers" if isinstance(value, Layer) else (
            "_buffers" if isinstance(value, Tensor) else None)
        held, fields = self._holder(name), self.__dict__
        if kind is held is None or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        elif value is None:
            fields[held][name] = None
        elif "_sub_layers" not in fields:
            raise ValueError(explain(f"{type(self).__name__}.{name} = ...", "super().__init__() to be called first",
                                     "an assignment before it"))
        elif held is not None and (kind is None or _ORDER.index(kind) > _ORDER.index(held)):
            raise TypeError(explain(f"{self._full_name}.{name} = ...", f"None or {_HOLDERS[held]}",
                                    type(value).__name__,
                                    "p.set_value(...) to change its numbers" if held == "_parameters" else None))
        else:
            if held is not None and held != kind:
                del self.__dict__[held][name]
                self._non_persistable_buffer_names_set.discard(name)
            if kind == "_buffers" and held != kind:   # as in Paddle: only register_buffer makes one that is saved
                self._non_persistable_buffer_names_set.add(name)
            fields.pop(name, None)
            fields[kind][name] = value
            if kind == "_parameters":
                self._split(name, value)

    def _holder(self, name):
        """The name of the dict that has `name` already, or None."""
        fields = self.__dict__
        for kind in _ORDER:
            if name in fields.get(kind, ()):
                return kind
        return None

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__
        parameters = fields.get("_parameters", ())   # looked at first: every forward reads its weights through here
        if name in parameters:
            return parameters[name]
        held = self._holder(name)
        if held is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return fields[held][name]

    def __delattr__(self, name):
        held = self._holder(name)
        if held is None:
            object.__delattr__(self, name)
        else:
            del self.__dict__[held][name]
            self._non_persistable_buffer_names_set.discard(name)

    def __dir__(self):
        return [*super().__dir__(), *self._parameters, *self._sub_layers, *self._buffers]

    def create_parameter(self, shape, attr=None, dtype=None, is_bias=False, default_initializer=None, device=None):
        """A new Parameter (None for attr=False), to be assigned to an attribute; a ParamAttr name that is taken shares.

        attr: ParamAttr, name, initializer, regularizer, bool or None. dtype: default the default float.
        """
        return make_parameter(self._full_name, shape, attr, dtype, is_bias, default_initializer, device)

    def create_tensor(self, name=None, persistable=None, dtype=None):
        """An empty tensor named after the layer, for the forward's own use."""
        kind = dtypes.default_float() if dtype is None else dtypes.convert(dtype)
        module = _device.module_for(_device.current_place())
        out = Tensor(module.zeros(0, kind.dtype), name=f"{self._full_name}.{name}" if name is not None else
                     unique_name.generate(f"{self._full_name}._generated_var"))
        out.persistable = bool(persistable)
        return out

    create_variable = create_tensor

    def add_parameter(self, name: str, parameter):
        """Registers a Parameter (or None) as attribute `name` and returns it."""
        self._check_new(name, "parameter", self._parameters)
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(explain("add_parameter", "a Parameter or None", type(parameter).__name__,
                                    "layer.create_parameter(shape)"))
        self._parameters[name] = parameter
        self._split(name, parameter)
        return parameter

    def _split(self, name: str, parameter) -> None:
        """Lets a parameter that was made for a WeightNormParamAttr become two."""
        split = None if parameter is None else parameter.__dict__.pop("_split", None)
        if split is not None:
            split(self, name)

    def add_sublayer(self, name: str, sublayer):
        """Registers a Layer (or None) as attribute `name` and returns it."""
        if sublayer is not None and not isinstance(sublayer, Layer):
            raise TypeError(explain("add_sublayer", "a Layer or None", type(sublayer).__name__))
        self._sub_layers[name] = sublayer
        return sublayer

    def register_buffer(self, name: str, tensor, persistable: bool = True, *, persistent=None) -> None:
        """Registers a Tensor (or None) that is part of the state and no parameter; persistable=False: not saved."""
        self._check_new(name, "buffer", self._buffers)
        if tensor is not None and (not isinstance(tensor, Tensor) or isinstance(tensor, Parameter)):
            raise TypeError(explain("register_buffer", "a Tensor or None", type(tensor).__name__))
        self._buffers[name] = tensor
        if persistable if persistent is None else persistent:
            self._non_persistable_buffer_names_set.discard(name)
        else:
            self._non_persistable_buffer_names_set.add(name)
        if tensor is not None and not in_dynamic_mode():
            mode().keep(tensor)

    def _check_new(self, name, what, held):
        if "_sub_layers" not in self.__dict__:
            raise ValueError(explain(f"{type(self).__name__}", "super().__init__() to be called first",
                                     f"a new {what} before it"))
        if not isinstance(name, str):
            raise TypeError(explain(f"a {what}'s name", "a str", type(name).__name__))
        if "." in name or name == "":
            raise KeyError(explain(f"a {what}'s name", "text without dots, and not empty", repr(name)))
        if hasattr(self, name) and name not in held:
            raise KeyError(explain(f"a {what}'s name", "one that is not taken", repr(name)))

    def add_module(self, name, module) -> None:
        self.add_sublayer(name, module)

    register_module = add_module

    def register_parameter(self, name, param) -> None:
        self.add_parameter(name, param)

    # ---- walks -----------------------------------------------------------------------------------------------------

    def named_sublayers(self, prefix: str = "", include_self: bool = False, layers_set=None,
                        remove_duplicate: bool = True):
        """(structured name, layer) of all layers below, depth first, each once unless remove_duplicate is False."""
        layers_set = set() if layers_set is None else layers_set
        if include_self and self not in layers_set:
            if remove_duplicate:
                layers_set.add(self)
            yield prefix, self
        for name, layer in self._sub_layers.items():
            if layer is not None:
                yield from layer.named_sublayers(_joined(prefix, name), True, layers_set, remove_duplicate)

    def sublayers(self, include_self: bool = False) -> list:
        """All layers below, depth first."""
        return [layer for _, layer in self.named_sublayers(include_self=include_self)]

    def named_children(self):
        """(name, layer) of the layers right below, each once."""
        seen = set()
        for name, layer in self._sub_layers.items():
            if layer is not None and layer not in seen:
                seen.add(layer)
                yield name, layer

    def children(self):
        """The layers right below, each once."""
        for _, layer in self.named_children():
            yield layer

    def named_modules(self, memo=None, prefix: str = "", remove_duplicate: bool = True):
        """`named_sublayers` with this layer first."""
        return self.named_sublayers(prefix, True, memo, remove_duplicate)

    def modules(self):
        for _, layer in self.named_modules():
            yield layer

    def _named(self, kind, prefix, include_sublayers, remove_duplicate):
        layers = self.named_sublayers(prefix, True, remove_duplicate=remove_duplicate) if include_sublayers else (
            (prefix, self),)
        seen = set()
        for path, layer in layers:
            for name, value in layer.__dict__[kind].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield _joined(path, name), value

    def named_parameters(self, prefix: str = "", include_sublayers: bool = True, remove_duplicate: bool = True, *,
                         recurse=None):
        """(structured name, Parameter), a layer's own before those below; a shared one once unless told otherwise."""
        return self._named("_parameters", prefix, include_sublayers if recurse is None else recurse, remove_duplicate)

    def parameters(self, include_sublayers: bool = True, *, recurse=None) -> list:
        """All parameters, each once."""
        return [p for _, p in self.named_parameters("", include_sublayers, recurse=recurse)]

    def named_buffers(self, prefix: str = "", include_sublayers: bool = True, remove_duplicate: bool = True, *,
                      recurse=None):
        """(structured name, Tensor) of the buffers, saved or not."""
        return self._named("_buffers", prefix, include_sublayers if recurse is None else recurse, remove_duplicate)

    def buffers(self, include_sublayers: bool = True, *, recurse=None) -> list:
        """All buffers, each once."""
        return [b for _, b in self.named_buffers("", include_sublayers, recurse=recurse)]

    def get_sublayer(self, target: str):
        """The layer at a dotted path, e.g. "encoder.0"; "" is this layer. AttributeError when there is none."""
        layer = self
        for name in target.split(".") if target else ():
            layer = getattr(layer, name)
            if not isinstance(layer, Layer):
                raise AttributeError(explain(f"get_sublayer({target!r})", f"{name!r} to be a Layer",
                                             type(layer).__name__))
        return layer

    def set_sublayer(self, target: str, layer, strict: bool = False) -> None:
        """Puts `layer` at a dotted path. strict: there must be one already."""
        if not target or not isinstance(layer, Layer):
            raise ValueError(explain("set_sublayer", "a path and a Layer", f"{target!r} and {type(layer).__name__}"))
        path, _, name = target.rpartition(".")
        parent = self.get_sublayer(path)
        if (strict or hasattr(parent, name)) and not isinstance(getattr(parent, name), Layer):
            raise AttributeError(explain(f"set_sublayer({target!r})", f"{name!r} to be a Layer",
                                         type(getattr(parent, name)).__name__))
        setattr(parent, name, layer)

    get_submodule, set_submodule = get_sublayer, set_sublayer

    def get_parameter(self, target: str):
        """The parameter at a dotted path."""
        path, _, name = target.rpartition(".")
        found = getattr(self.get_sublayer(path), name)
        if not isinstance(found, Tensor):
            raise AttributeError(explain(f"get_parameter({target!r})", "a Parameter", type(found).__name__))
        return found

    def get_buffer(self, target: str):
        """The buffer at a dotted path."""
        path, _, name = target.rpartition(".")
        parent = self.get_sublayer(path)
        if name not in parent._buffers:
            raise AttributeError(explain(f"get_buffer({target!r})", f"a buffer among {list(parent._buffers)}", name))
        return parent._buffers[name]

    def apply(self, fn):
        """Calls fn(layer) on every layer below, children first, then on this one; returns this layer."""
        for layer in self.children():
            layer.apply(fn)
        fn(self)
        return self

    # ---- calling ---------------------------------------------------------------------------------------------------

    def forward(self, *inputs, **kwargs):
        """What the layer computes. Subclasses define it; call the layer itself, so that hooks run."""
        raise NotImplementedError(explain(type(self).__name__, "a method forward", "none"))

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        if not self._forward_pre_hooks and not self._forward_post_hooks:
            return self.forward(*inputs, **kwargs)
        return self._call_with_hooks(inputs, kwargs)

    def _call_with_hooks(self, inputs, kwargs):
        outputs, done = None, set()
        try:
            for hook, takes_kwargs in list(self._forward_pre_hooks.values()):
                answer = hook(self, inputs, kwargs) if takes_kwargs else hook(self, inputs)
                if answer is None:
                    continue
                if not takes_kwargs:
                    inputs = answer if isinstance(answer, tuple) else (answer,)
                elif isinstance(answer, tuple) and len(answer) == 2:
                    inputs, kwargs = answer
                else:
                    raise RuntimeError(explain("forward pre-hook with kwargs", "None or (args, kwargs)", repr(answer)))
            outputs = self.forward(*inputs, **kwargs)
            for key, (hook, takes_kwargs, _) in list(self._forward_post_hooks.items()):
                done.add(key)
                answer = hook(self, inputs, kwargs, outputs) if takes_kwargs else hook(self, inputs, outputs)
                outputs = outputs if answer is None else answer
            return outputs
        except Exception:
            for key, (hook, takes_kwargs, always) in list(self._forward_post_hooks.items()):
                if always and key not in done:
                    try:
                        hook(self, inputs, kwargs, outputs) if takes_kwargs else hook(self, inputs, outputs)
                    except Exception as error:   # the first error is the one to report
                        warnings.warn(f"a forward hook with always_call=True failed after an error in forward: {error}",
                                      stacklevel=2)
            raise

    def register_forward_pre_hook(self, hook, *, prepend: bool = False, with_kwargs: bool = False):
        """Calls hook(layer, inputs) before forward; what it returns (unless None) takes the inputs' place.

        with_kwargs: hook(layer, inputs, kwargs), which returns None or (inputs, kwargs). prepend: before the others.
        Returns an object whose remove() takes the hook away.
        """
        return _added(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_post_hook(self, hook, *, prepend: bool = False, with_kwargs: bool = False,
                                   always_call: bool = False):
        """Calls hook(layer, inputs, outputs) after forward; what it returns (unless None) takes the outputs' place.

        with_kwargs: hook(layer, inputs, kwargs, outputs). always_call: also when forward raised (outputs None).
        """
        return _added(self._forward_post_hooks, (hook, with_kwargs, always_call), prepend)

    register_forward_hook = register_forward_post_hook

    def register_state_dict_hook(self, hook):
        """Calls hook(state) when `state_dict` has gathered; what it returns (unless None) takes the state's place."""
        return _added(self._state_dict_hooks, hook, False)

    def train(self, mode: bool = True):
        """Sets `training` here and below: dropout drops and batch norm uses the batch."""
        if not isinstance(mode, bool):
            raise ValueError(explain("Layer.train", "True or False", repr(mode)))
        for layer in self.sublayers(include_self=True):
            layer.training = mode
        return self

    def eval(self):
        """Clears `training` here and below."""
        return self.train(False)

    def clear_gradients(self, set_to_zero: bool = True) -> None:
        """Forgets the gradients of all trainable parameters, or sets those that exist to zero."""
        for p in self.parameters():
            if p.trainable:
                p.clear_gradient(set_to_zero)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """`clear_gradients` with torch's argument."""
        for p in self.parameters():
            if p.grad is not None:
                p.clear_gradient(not set_to_none)

    def requires_grad_(self, requires_grad: bool = True):
        """Freezes (False) or unfreezes all parameters."""
        for p in self.parameters():
            p.stop_gradient = not requires_grad
        return self

    # ---- devices and dtypes ----------------------------------------------------------------------------------------

    def to(self, device=None, dtype=None, blocking=None, non_blocking=None):
        """Moves and casts all parameters and buffers, which stay the same objects; returns this layer.

        device: name or Place; dtype: for all of them, integer buffers included, as in Paddle.
        """
        for argument, value in (("blocking", blocking), ("non_blocking", non_blocking)):
            if value is not None and not isinstance(value, bool):
                raise TypeError(explain(f"Layer.to({argument}=...)", "True, False or None", repr(value)))
        place = None if device is None else _device.parse(device)
        return self._convert(place, dtype, self.sublayers(include_self=True), floating_only=False)

    def _convert(self, place, dtype, layers, floating_only):
        kind = None if dtype is None else dtypes.convert(dtype)
        done = set()
        for layer in layers:
            for tensor in (*layer._parameters.values(), *layer._buffers.values()):
                if tensor is not None and id(tensor) not in done:
                    done.add(id(tensor))
                    if kind is None or tensor.dtype.is_floating or not floating_only:
                        if kind is not None and not in_dynamic_mode():
                            _tell_program(tensor, kind)
                        convert_tensor(tensor, place, kind)
                    elif place is not None:
                        convert_tensor(tensor, place, None)
            if kind is not None:
                layer._dtype = kind.name
        return self

    def astype(self, dtype=None):
        """Casts all parameters and buffers to `dtype`; returns this layer."""
        if dtype is None:
            raise ValueError(explain("Layer.astype", "a dtype", "None"))
        return self.to(dtype=dtype)

    type = astype

    def _floats(self, dtype, excluded_layers, default):
        excluded = default if excluded_layers is None else excluded_layers
        excluded = (excluded,) if isinstance(excluded, type) else tuple(excluded)
        layers = [x for x in self.sublayers(include_self=True) if type(x) not in excluded]
        return self._convert(None, dtype, layers, floating_only=True)

    def float(self, excluded_layers=None):
        """Casts floating parameters and buffers to float32, but for layers of the classes in `excluded_layers`."""
        return self._floats("float32", excluded_layers, ())

    def float16(self, excluded_layers=None):
        """Casts floating parameters and buffers to float16; default: all but `nn.BatchNorm`."""
        return self._floats("float16", excluded_layers, _kept_wide())

    def bfloat16(self, excluded_layers=None):
        """Casts floating parameters and buffers to bfloat16; default: all but `nn.BatchNorm`."""
        return self._floats("bfloat16", excluded_layers, _kept_wide())

    def half(self):
        return self.astype("float16")

    def double(self):
        return self.astype("float64")

    def cpu(self):
        """Moves all parameters and buffers to the host."""
        return self.to(_device.CPU)

    def cuda(self, device=None):
        """Moves all parameters and buffers to a GPU: number, Place, or the first."""
        if device is None or isinstance(device, int):
            device = _device.CUDAPlace(device or 0)
        return self.to(device)

    # ---- state -----------------------------------------------------------------------------------------------------

    def state_dict(self, destination=None, include_sublayers: bool = True, structured_name_prefix: str = "",
                   use_hook: bool = True, keep_vars: bool = True, *, prefix=None):
        """An OrderedDict of structured name -> Parameter or saved buffer, as this layer holds them.

        A shared parameter appears under each of its names. destination: a dict to fill. keep_vars=False: detached.
        """
        return self._state(destination, include_sublayers, structured_name_prefix if prefix is None else prefix,
                           use_hook, keep_vars, False)

    def to_static_state_dict(self, destination=None, include_sublayers: bool = True, structured_name_prefix: str = "",
                             use_hook: bool = True, keep_vars: bool = True):
        """`state_dict` with the buffers that are not saved."""
        return self._state(destination, include_sublayers, structured_name_prefix, use_hook, keep_vars, True)

    def _state(self, state, include_sublayers, prefix, use_hook, keep_vars, unsaved_too):
        state = OrderedDict() if state is None else state
        unsaved = () if unsaved_too else self._non_persistable_buffer_names_set
        for name, value in (*self._parameters.items(), *self._buffers.items()):
            if value is not None and name not in unsaved:
                state[prefix + name] = value if keep_vars else value.detach()
        if include_sublayers:
            for name, layer in self._sub_layers.items():
                if layer is not None:
                    layer._state(state, True, f"{prefix}{name}.", use_hook, keep_vars, unsaved_too)
        if use_hook:
            for hook in self._state_dict_hooks.values():
                answer = hook(state)
                state = state if answer is None else answer
        return state

    def set_state_dict(self, state_dict, use_structured_name: bool = True):
        """Loads what fits of `state_dict` and returns (missing, unexpected): names not loaded, keys not used.

        A key that is missing or has another shape is left as it is, with a warning that names it and both shapes.
        Nothing is written before everything was looked at. use_structured_name=False: keys are Parameter names.
        """
        return load_state(self.state_dict(use_hook=False), state_dict, use_structured_name)

    set_dict = load_dict = set_state_dict

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        """`set_state_dict`; strict: RuntimeError when a key is missing, unexpected or of another shape."""
        if assign:
            raise ValueError(explain("load_state_dict", "assign=False", "True", "p = Parameter(tensor) by hand"))
        return load_state(self.state_dict(use_hook=False), state_dict, True, strict, type(self).__name__)

    # ---- text ------------------------------------------------------------------------------------------------------

    def full_name(self) -> str:
        """The layer's generated name, e.g. "linear_0"."""
        return self._full_name

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr."""
        return ""

    def __repr__(self):
        lines = self.extra_repr().split("\n")
        below = [f"({name}): " + repr(layer).replace("\n", "\n  ") for name, layer in self._sub_layers.items()]
        text = "\n  " + "\n  ".join(lines) + "\n" if len(lines) > 1 else lines[0]
        if below:
            text += "\n  " + "\n  ".join(below) + "\n"
        return f"{type(self).__name__}({text})"


# Where attributes are registered, and what each dict holds. A value may replace what its own dict or a later one has.
_HOLDERS = {"_parameters": "a Parameter", "_sub_layers": "a Layer", "_buffers": "a Tensor"}
_ORDER = tuple(_HOLDERS)


def _joined(prefix, name):
    return f"{prefix}.{name}" if prefix else name


def _added(hooks, entry, prepend):
    handle = HookHandle(hooks, entry)
    if prepend:
        hooks.move_to_end(handle._key, last=False)
    return handle


def _kept_wide() -> tuple:
    """Layer classes that float16() and bfloat16() leave alone, as in Paddle."""
    from gpuflow.nn.norm import BatchNorm  # which builds on this file

    return (BatchNorm,)


def _tell_program(tensor, kind) -> None:
    from gpuflow.static.program import retype

    retype(tensor, kind)


def convert_tensor(tensor, place, kind) -> None:
    """Gives a parameter or buffer an array on another device or of another dtype; its gradient goes along."""
    array = tensor._array if place is None else _device.move(tensor._array, place)
    array = array if kind is None else array.astype(kind.dtype, copy=False)
    if array is tensor._array:
        return
    tensor._array = array
    tensor._version = tensor._grad_slot = None   # the memory is new: no optimizer's range, no earlier saves
    if isinstance(tensor._grad, Tensor):
        convert_tensor(tensor._grad, place, kind)
