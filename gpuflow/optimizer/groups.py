"""What an optimizer was given as `parameters`: a list of parameters, or of groups with options of their own."""
from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from gpuflow.errors import explain, refuse_unknown
from gpuflow.tensor import Tensor

# What every optimizer's groups may set; each optimizer adds its weight decay and the options of its rule.
GROUP_KEYS = ("params", "learning_rate", "grad_clip")


class Groups:
    """The parameters in order, each once, with the group it belongs to.

    params: list of Tensors. groups: list of read-only dicts; a plain list of parameters is one group without options.
    group_of: {id(param): number of its group}.
    """

    def __init__(self, owner: str, parameters, options: Iterable[str]):
        self.owner, self.known = owner, (*GROUP_KEYS, *options)
        self.params: list[Tensor] = []
        self.groups: list[MappingProxyType] = []
        self.group_of: dict[int, int] = {}
        self._names: dict[str, Tensor] = {}
        if parameters is None:
            raise AttributeError(explain(owner, "parameters=model.parameters()", "None"))
        entries = self._listed(parameters, "parameters")
        if entries and isinstance(entries[0], dict):
            for group in entries:
                self.add(group)
        else:
            self.add({"params": entries})

    @property
    def grouped(self) -> bool:
        """True when there is more to tell than one list of parameters."""
        return len(self.groups) > 1 or any(len(group) > 1 for group in self.groups)

    def add(self, group: dict) -> None:
        """Enters another group. Raises, and enters nothing, when it is not one or shares a parameter with another."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(explain(f"{self.owner}(parameters=...)", "groups as dicts with an entry 'params'",
                                    repr(sorted(group)) if isinstance(group, dict) else type(group).__name__))
        refuse_unknown(f"{self.owner}, parameter group", group, self.known)
        given = group["params"]
        found = [given] if isinstance(given, Tensor) else self._listed(given, "params of a group")
        params = list({id(p): p for p in found}.values())   # tied weights come twice and count once
        names: dict[str, Tensor] = {}
        for p in params:
            self._check(p)
            other = self._names[p.name] if p.name in self._names else names.setdefault(p.name, p)
            if other is not p:
                raise ValueError(explain(self.owner, "parameters with names of their own",
                                         f"two parameters named {p.name!r}, shapes {other.shape} and {p.shape}",
                                         "ParamAttr(name=...), or build the models under one namespace"))
        twice = [p.name for p in params if id(p) in self.group_of]
        if twice:
            raise ValueError(explain(self.owner, "each parameter in one group",
                                     f"{twice} in group {len(self.groups)} and in an earlier one"))
        number = len(self.groups)
        self.groups.append(MappingProxyType({**group, "params": tuple(params)}))
        self.params += params
        self.group_of.update((id(p), number) for p in params)
        self._names.update(names)

    def drop_last(self) -> None:
        """Takes the group that was added last away again."""
        gone = self.groups.pop()["params"]
        del self.params[len(self.params) - len(gone):]
        for p in gone:
            del self.group_of[id(p)], self._names[p.name]

    def _listed(self, given, what: str) -> list:
        """The entries of a list, tuple or generator. A set has no order, a dict no list: both are refused."""
        if isinstance(given, Tensor | dict | set | frozenset | str) or not isinstance(given, Iterable):
            raise TypeError(explain(self.owner, f"{what} as a list of parameters or of group dicts",
                                    type(given).__name__, "model.parameters(), or a list"))
        return list(given)

    def _check(self, p) -> None:
        where = f"{self.owner}(parameters=...)"
        if not isinstance(p, Tensor):
            raise TypeError(explain(where, "parameters, or groups throughout", type(p).__name__,
                                    "layer.parameters() for a layer, [p for _, p in named] for named_parameters()"))
        if p._node is not None:
            raise ValueError(explain(where, "leaves of the graph", f"{p.name}, the result of {p._node.op.name}",
                                     "hand over the parameter itself, or result.detach()"))
        if not p.dtype.is_floating:
            raise TypeError(explain(where, "floating-point parameters", f"{p.name} of dtype {p.dtype.name}"))
