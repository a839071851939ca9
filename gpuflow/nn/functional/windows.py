"""Paddle's ways to write kernel sizes, strides, paddings and data formats, brought to one form."""
from gpuflow.errors import explain

_FORMATS = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def is_channels_last(where: str, data_format: str, rank: int) -> bool:
    """True for "NLC", "NHWC", "NDHWC"; ValueError for anything but the two formats of `rank` spatial axes."""
    if data_format not in _FORMATS[rank]:
        raise ValueError(explain(where, f"data_format {' or '.join(map(repr, _FORMATS[rank]))}", repr(data_format)))
    return data_format == _FORMATS[rank][1]


def per_axis(where: str, name: str, value, rank: int, least: int = 1) -> tuple:
    """One int per spatial axis, from an int or a sequence of `rank` (or one) ints."""
    sizes = (value,) * rank if _is_int(value) else tuple(value) if isinstance(value, list | tuple) else ()
    sizes = sizes * rank if len(sizes) == 1 else sizes
    if len(sizes) != rank or not all(_is_int(s) for s in sizes):
        raise ValueError(explain(where, f"{name} as an int or {rank} ints", repr(value)))
    if min(sizes) < least:
        raise ValueError(explain(where, f"{name} of at least {least}", repr(value)))
    return tuple(map(int, sizes))


def _is_int(value) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def padding_pairs(where: str, padding, rank: int, channels_last: bool):
    """((low, high), ...) per spatial axis, or "SAME".

    padding: an int; `rank` ints; 2 * rank ints low, high, low, high ...; a pair for every axis of x, batch and channels
    with zeros; "VALID" (none) or "SAME".
    """
    forms = (f"padding as an int, {rank} or {2 * rank} ints, {rank + 2} pairs with zeros for batch and channels, "
             "'SAME' or 'VALID'")
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID"):
            raise ValueError(explain(where, forms, repr(padding)))
        return "SAME" if padding.upper() == "SAME" else ((0, 0),) * rank
    if _is_int(padding):
        pairs = [(padding, padding)] * rank
    elif isinstance(padding, list | tuple) and all(_is_int(p) for p in padding) and len(padding) in (1, rank, 2 * rank):
        if len(padding) == 2 * rank:
            pairs = list(zip(padding[0::2], padding[1::2], strict=True))
        else:
            pairs = [(p, p) for p in padding] * (rank if len(padding) == 1 else 1)
    elif isinstance(padding, list | tuple) and all(isinstance(p, list | tuple) and len(p) == 2 for p in padding):
        outside = (0, rank + 1) if channels_last else (0, 1)
        if len(padding) == rank + 2:
            if any(any(padding[i]) for i in outside):
                raise ValueError(explain(where, "no padding along batch and channels", repr(padding)))
            pairs = [tuple(p) for i, p in enumerate(padding) if i not in outside]
        else:
            raise ValueError(explain(where, forms, repr(padding)))
    else:
        raise ValueError(explain(where, forms, repr(padding)))
    if any(p < 0 for pair in pairs for p in pair):
        raise ValueError(explain(where, "padding of at least 0", repr(padding)))
    return tuple((int(low), int(high)) for low, high in pairs)
