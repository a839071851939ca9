"""L1Decay, L2Decay: how strongly a penalty on the weights pulls a parameter towards zero. Plain records.

They say what is added to the gradient, after clipping and before the update rule: nothing here computes. Give one as an
optimizer's or a parameter group's `weight_decay`, or as `ParamAttr(regularizer=...)`, which wins over both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from gpuflow.errors import explain

__all__ = ["L1Decay", "L2Decay"]


class WeightDecayRegularizer:
    """What L1Decay and L2Decay have in common: a finite coefficient >= 0."""

    coeff: float

    def __post_init__(self) -> None:
        name, coeff = type(self).__name__, self.coeff
        if isinstance(coeff, bool) or not isinstance(coeff, Real):
            raise TypeError(explain(name, "coeff to be a finite number >= 0", repr(coeff), f"{name}(1e-4)"))
        if not math.isfinite(coeff) or coeff < 0:
            raise ValueError(explain(name, "coeff to be a finite number >= 0", repr(coeff), f"{name}(1e-4)"))
        object.__setattr__(self, "coeff", float(coeff))

    @property
    def _coeff(self) -> float:
        """The name under which code written for Paddle reads the coefficient."""
        return self.coeff

    def __str__(self) -> str:
        return f"{type(self).__name__}, coeff={self.coeff:f}"


@dataclass(frozen=True)
class L1Decay(WeightDecayRegularizer):
    """Penalty coeff * sum(|p|):  g = g + coeff * sign(p). Drives small weights to exactly where the sign flips: zero.

    coeff: finite, >= 0.
    """

    coeff: float = 0.0


@dataclass(frozen=True)
class L2Decay(WeightDecayRegularizer):
    """Penalty coeff / 2 * sum(p * p):  g = g + coeff * p. Shrinks weights in proportion to their size.

    coeff: finite, >= 0.
    """

    coeff: float = 0.0
