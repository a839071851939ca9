"""What an optimizer was given as `parameters`: a list of parameters, or of groups with options of their own."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain, refuse_unknown
from gpuflow.optimizer.lr import LRScheduler
from gpuflow.tensor import Tensor

# What every optimizer's groups may set; each optimizer adds its weight decay and the options of its rule.
GROUP_KEYS = ("params", "name", "learning_rate", "grad_clip")


class Groups:
    """The parameters in order, each once, with the group it belongs to.

    params: list of Tensors. groups: list of read-only dicts; a plain list of parameters is one group without options.
    group_of: {id(param): number of its group}. schedules: {number: scheduler} of groups whose rate factor is one.
    options: what groups may set beside GROUP_KEYS; None for anything.
    """

    def __init__(self, owner: str, parameters, options: Iterable[str] | None):
        self.owner, self.known = owner, None if options is None else (*GROUP_KEYS, *options)
        self.params: list[Tensor] = []
        self.groups: list[MappingProxyType] = []
        self.group_of: dict[int, int] = {}
        self.schedules: dict[int, LRScheduler] = {}
        self._names: dict[str, Tensor] = {}
        if parameters is None and in_dynamic_mode():
            raise AttributeError(explain(owner, "parameters=model.parameters()", "None"))
        if parameters is None:
            return     # `minimize` brings the program's
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

    def title(self, number: int) -> str | None:
        """What a group is called where its settings are explained; None when there are no groups."""
        if not self.grouped:
            return None
        name = self.groups[number].get("name")
        return f"group {number}" if name is None else f"group {name!r}"

    def add(self, group: dict) -> None:
        """Enters another group. Raises, and enters nothing, when it is not one or shares a parameter with another."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(explain(f"{self.owner}(parameters=...)", "groups as dicts with an entry 'params'",
                                    repr(sorted(group)) if isinstance(group, dict) else type(group).__name__))
        if self.known is not None:
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
        if isinstance(group.get("learning_rate"), LRScheduler):
            self.schedules[number] = group["learning_rate"]
        self.params += params
        self.group_of.update((id(p), number) for p in params)
        self._names.update(names)

    @property
    def named(self) -> dict[str, Tensor]:
        """{name: parameter}."""
        return self._names

    def over(self, stand_ins: dict[int, Tensor]) -> Groups:
        """The same groups of other tensors: stand_ins {id(param): tensor} of the same names."""
        other = Groups.__new__(Groups)
        other.owner, other.known, other.schedules = self.owner, self.known, dict(self.schedules)
        other.params = [stand_ins.get(id(p), p) for p in self.params]
        other.groups = [MappingProxyType({**g, "params": tuple(stand_ins.get(id(p), p) for p in g["params"])})
                        for g in self.groups]
        other.group_of = {id(stand_ins.get(id(p), p)): self.group_of[id(p)] for p in self.params}
        other._names = {p.name: p for p in other.params}
        return other

    def drop_last(self) -> None:
        """Takes the group that was added last away again."""
        gone = self.groups.pop()["params"]
        self.schedules.pop(len(self.groups), None)
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


def groups_by_name(named_parameters, patterns: Mapping) -> list[dict]:
    """Parameter groups from name patterns: the list to hand to an optimizer as `parameters`.

    named_parameters: a Layer, or pairs as of `layer.named_parameters()`. patterns: {pattern: options}, or {(pattern,
    ...): options}; a pattern is a structured name with * ? [...], and * takes dots in ("*.bias", "encoder.*"). The
    first pattern that matches decides; a shared parameter may be named by any of its names. Parameters that none
    matches come last, in a group without options. Each group has the pattern as its "name", which explain() shows.

        optimizer.AdamW(1e-3, parameters=optimizer.groups_by_name(model, {
            ("*.bias", "*norm*.weight"): {"weight_decay": 0.0},
            "backbone.*": {"learning_rate": 0.1}}), weight_decay=0.05)

    ValueError for a pattern that matches nothing, or nothing that an earlier one has left.
    """
    where = "groups_by_name"
    if hasattr(named_parameters, "named_parameters"):
        named_parameters = named_parameters.named_parameters(remove_duplicate=False)
    names: dict[int, list[str]] = {}
    params: dict[int, Tensor] = {}
    for pair in named_parameters:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(explain(where, "a layer, or pairs (name, parameter)", type(pair).__name__,
                                    "model.named_parameters()"))
        name, p = pair
        params[id(p)] = p
        names.setdefault(id(p), []).append(name)
    left = dict(params)
    groups = []
    for pattern, options in patterns.items():
        if "params" in options or "name" in options:
            raise ValueError(explain(where, f"options of a group for {pattern!r}", repr(sorted(options))))
        alternatives = (pattern,) if isinstance(pattern, str) else tuple(pattern)
        found = []
        for one in alternatives:
            matching = [k for k in params if any(fnmatchcase(name, one) for name in names[k])]
            fresh = [k for k in matching if k in left]
            if not fresh:
                raise ValueError(explain(where, f"a pattern that matches a parameter of {_some(names)}", repr(one)
                                         + (", which earlier patterns have taken" if matching else "")))
            found += [left.pop(k) for k in fresh]
        groups.append({**options, "params": found, "name": ", ".join(alternatives)})
    if left:
        groups.append({"params": list(left.values())})
    return groups


def _some(names) -> str:
    """The first names, for a message."""
    flat = [name for some in names.values() for name in some]
    return ", ".join(flat[:4]) + (", ..." if len(flat) > 4 else "")
