"""One thing, several, or a structure of lists, tuples and dicts in one another: what calls take and give back."""


def listed(value) -> list:
    """A value, several or None as a list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def leaves(x):
    """What is at the leaves, in order."""
    if isinstance(x, list | tuple):
        for item in x:
            yield from leaves(item)
    elif isinstance(x, dict):
        for item in x.values():
            yield from leaves(item)
    else:
        yield x


def filled(x, leaf, *alike):
    """x with every leaf replaced by what `leaf` makes of it and of those at its place in the structures `alike`."""
    if isinstance(x, list | tuple):
        made = [filled(item, leaf, *others) for item, *others in zip(x, *alike, strict=True)]
        return type(x)(*made) if hasattr(x, "_fields") else type(x)(made)
    if isinstance(x, dict):
        return {key: filled(item, leaf, *(other[key] for other in alike)) for key, item in x.items()}
    return leaf(x, *alike)
