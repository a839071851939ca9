"""Layers and parameters in lists and dicts."""
from collections import OrderedDict
from collections.abc import Mapping

from gpuflow.errors import explain
from gpuflow.nn.layer import Layer
from gpuflow.param import Parameter
from gpuflow.tensor import Tensor

__all__ = ["LayerDict", "LayerList", "ParameterDict", "ParameterList", "Sequential"]


def _place(where, index, count, end=False):
    """A non-negative place of a list of `count`; IndexError outside. end: one past the last is a place as well."""
    if not -count <= index < count + end:
        raise IndexError(explain(where, f"an index in [{-count}, {count + end})", str(index)))
    return index + count if index < 0 else index


def _pairs(where, given):
    """(key, value) pairs of a mapping, a container or a sequence of pairs."""
    if isinstance(given, Mapping | LayerDict | ParameterDict):
        return list(given.items())
    pairs = [tuple(pair) for pair in given]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(explain(where, "a mapping or (name, value) pairs", str(pairs)))
    return pairs


class _Numbered(Layer):
    """Layers under the names "0", "1", ..."""

    def _put(self, layers):
        """Holds these layers, numbered from 0."""
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(explain(type(self).__name__, "layers", type(layer).__name__))
        self._sub_layers.clear()
        self._sub_layers.update((str(i), layer) for i, layer in enumerate(layers))

    def __len__(self):
        return len(self._sub_layers)

    def __iter__(self):
        return iter(self._sub_layers.values())


class Sequential(_Numbered):
    """Layers applied one after the other. layers: layers, (name, layer) pairs, or one OrderedDict of them."""

    def __init__(self, *layers):
        super().__init__()
        if len(layers) == 1 and isinstance(layers[0], OrderedDict):
            layers = tuple(layers[0].items())
        named = layers and isinstance(layers[0], list | tuple)
        for name, layer in _pairs("Sequential", layers) if named else enumerate(layers):
            if not isinstance(layer, Layer) or not isinstance(name, str | int):
                raise TypeError(explain("Sequential", "layers or (name, layer) pairs", repr(layers),
                                        "Sequential(*layers) for a list" if named else None))
            self.add_sublayer(str(name), layer)

    def forward(self, input):
        for layer in self._sub_layers.values():
            input = layer(input)
        return input

    def __getitem__(self, name):
        if isinstance(name, slice):
            return type(self)(*list(self)[name])
        if isinstance(name, str):
            return self._sub_layers[name]
        return list(self)[_place("Sequential", name, len(self))]

    def _key(self, name):
        return name if isinstance(name, str) else list(self._sub_layers)[_place("Sequential", name, len(self))]

    def __setitem__(self, name, layer):
        known = isinstance(name, str) or name >= len(self)
        setattr(self, str(name) if known else self._key(name), layer)

    def __delitem__(self, name):
        del self._sub_layers[self._key(name)]

    def append(self, module):
        """Adds a layer at the end; returns this one."""
        self.add_sublayer(str(len(self)), module)
        return self

    def extend(self, sequential):
        """Adds layers at the end; returns this one."""
        for layer in sequential:
            self.append(layer)
        return self

    def insert(self, index, module):
        """Puts a layer before place `index`; those behind it are renumbered. Returns this one."""
        layers = list(self)
        layers.insert(_place("Sequential.insert", index, len(self), end=True), module)
        self._put(layers)
        return self


class LayerList(_Numbered):
    """A list of layers that are parts of the model; it has no forward of its own."""

    def __init__(self, sublayers=None):
        super().__init__()
        self._put(() if sublayers is None else sublayers)

    def _put(self, layers):
        super()._put(list(layers))

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(list(self)[idx])
        return self._sub_layers[str(_place("LayerList", idx, len(self)))]

    def __setitem__(self, idx, sublayer):
        setattr(self, str(_place("LayerList", idx, len(self))), sublayer)

    def __delitem__(self, idx):
        layers = list(self)
        del layers[idx if isinstance(idx, slice) else _place("LayerList", idx, len(self))]
        self._put(layers)

    def __add__(self, other):
        return LayerList([*self, *other])

    def __iadd__(self, other):
        return self.extend(other)

    def append(self, sublayer):
        """Adds a layer at the end; returns this list."""
        return self.extend([sublayer])

    def extend(self, sublayers):
        """Adds layers at the end; returns this list."""
        self._put([*self, *sublayers])
        return self

    def insert(self, index, sublayer) -> None:
        """Puts a layer before place `index`."""
        layers = list(self)
        layers.insert(_place("LayerList.insert", index, len(self), end=True), sublayer)
        self._put(layers)

    def pop(self, key=-1):
        """Takes a layer (or, for a slice, a LayerList) out and returns it."""
        taken = self[key]
        del self[key]
        return taken


class LayerDict(Layer):
    """A dict of layers that are parts of the model. sublayers: a mapping or (name, layer) pairs."""

    def __init__(self, sublayers=None):
        super().__init__()
        if sublayers is not None:
            self.update(sublayers)

    def __getitem__(self, key):
        return self._sub_layers[key]

    def __setitem__(self, key, sublayer):
        self.add_sublayer(key, sublayer)

    def __delitem__(self, key):
        del self._sub_layers[key]

    def __len__(self):
        return len(self._sub_layers)

    def __iter__(self):
        return iter(self._sub_layers)

    def __contains__(self, key):
        return key in self._sub_layers

    def clear(self) -> None:
        self._sub_layers.clear()

    def pop(self, key):
        """Takes a layer out and returns it."""
        return self._sub_layers.pop(key)

    def keys(self):
        return self._sub_layers.keys()

    def items(self):
        return self._sub_layers.items()

    def values(self):
        return self._sub_layers.values()

    def update(self, sublayers) -> None:
        """Adds the layers of a mapping or of (name, layer) pairs."""
        for key, layer in _pairs("LayerDict", sublayers):
            self.add_sublayer(key, layer)


class ParameterList(Layer):
    """A list of parameters that belong to the model."""

    def __init__(self, parameters=None):
        super().__init__()
        for parameter in () if parameters is None else parameters:
            self.append(parameter)

    def __getitem__(self, idx):
        return self._parameters[str(_place("ParameterList", idx, len(self)))]

    def __setitem__(self, idx, param):
        if not isinstance(param, Tensor):
            raise TypeError(explain("ParameterList[...] = ...", "a Tensor", type(param).__name__))
        name = str(_place("ParameterList", idx, len(self)))
        if isinstance(param, Parameter) and param.shape != self._parameters[name].shape:
            self._parameters[name] = param
        else:
            self._parameters[name].set_value(param)   # as in Paddle the parameter stays and takes the numbers

    def __len__(self):
        return len(self._parameters)

    def __iter__(self):
        return iter(self._parameters.values())

    def append(self, parameter):
        """Adds a Parameter at the end; returns this list."""
        self.add_parameter(str(len(self)), parameter)
        return self


class ParameterDict(Layer):
    """A dict of parameters that belong to the model. parameters: a mapping or (name, Parameter) pairs."""

    def __init__(self, parameters=None):
        super().__init__()
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key):
        return self._parameters[key]

    def __setitem__(self, key, param):
        if not isinstance(param, Parameter):
            raise TypeError(explain("ParameterDict[...] = ...", "a Parameter", type(param).__name__))
        setattr(self, key, param)

    def __len__(self):
        return len(self._parameters)

    def __iter__(self):
        return iter(self._parameters)

    def keys(self):
        return self._parameters.keys()

    def items(self):
        return self._parameters.items()

    def values(self):
        return self._parameters.values()

    def update(self, parameters) -> None:
        """Adds the parameters of a mapping or of (name, Parameter) pairs."""
        for key, parameter in _pairs("ParameterDict", parameters):
            self.add_parameter(key, parameter)
