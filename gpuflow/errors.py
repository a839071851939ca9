"""How gpuflow phrases what went wrong.

Errors are Python's own types, as in Paddle (ValueError, TypeError, KeyError, RuntimeError, ...);
what is ours is the sentence: who complains, what was expected, what came, and what to try.
"""


def explain(where: str, expected: str, got: str, hint: str | None = None) -> str:
    """The text of an error: ``where: expected ..., got .... Try: ...``.

    where: op, layer or argument that complains, e.g. ``"matmul"`` or ``"Linear(in_features=3)"``.
    expected, got: noun phrases, with shapes and dtypes spelled out.
    hint: the likely fix, as an imperative; left out where there is none to offer.
    """
    text = f"{where}: expected {expected}, got {got}."
    return f"{text} Try: {hint}." if hint else text


def refuse_unknown(where: str, given: dict, known) -> None:
    """Raises TypeError when `given` has a key that `known` does not list: ineffective options are errors."""
    unknown = [key for key in given if key not in known]
    if unknown:
        raise TypeError(explain(where, f"arguments among {sorted(known)}", f"unknown {unknown}"))
