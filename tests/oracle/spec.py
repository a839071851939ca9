"""Objects of a framework, written as data."""


def made(module, spec):
    """An instance of what a list [class name, *arguments] describes; it may hold such lists. Anything else as it is."""
    if not (isinstance(spec, list) and spec and isinstance(spec[0], str)):
        return spec
    name, *args = spec
    return getattr(module, name)(*[made(module, arg) for arg in args])
