"""What `rule.source(language)` shows: the text that really runs for float32 parameters with every stage in use."""

from __future__ import annotations

from gpuflow_kernels.update import cuda_text, numba_text
from gpuflow_kernels.update.layout import Variant

_TEXTS = {"cuda": lambda rule, variant: cuda_text.update_text(rule, (variant,)), "numba": numba_text.update_text}


def show(rule, language: str) -> str:
    if language not in _TEXTS:
        raise ValueError(f"source: expected one of {tuple(_TEXTS)}, got {language!r}")
    phases = ("prepare", "apply") if rule.layered else ("whole",)
    return "\n".join(_TEXTS[language](rule, Variant(phase=phase)) for phase in phases)
