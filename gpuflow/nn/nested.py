"""Tensors in tuples, lists, named tuples and dicts: the states of recurrent cells and of decoders."""


def mapped(function, first, *others):
    """`function` of the tensors at each place of structures that are alike, in the structure of the first."""
    if isinstance(first, dict):
        return {key: mapped(function, value, *[o[key] for o in others]) for key, value in first.items()}
    if isinstance(first, tuple | list):
        parts = [mapped(function, *values) for values in zip(first, *others, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return function(first, *others)


def leaves(structure) -> list:
    """The tensors of a structure in order, dicts by their insertion."""
    if isinstance(structure, dict):
        structure = structure.values()
    elif not isinstance(structure, tuple | list):
        return [structure]
    return [leaf for part in structure for leaf in leaves(part)]
