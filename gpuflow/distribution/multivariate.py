"""The normal distribution of vectors."""
import math

from gpuflow.distribution.base import Distribution, parameters
from gpuflow.errors import explain
from gpuflow.functional.creation import eye
from gpuflow.functional.manipulation import broadcast_shape, expand, flip, swapaxes
from gpuflow.functional.random import standard_normal
from gpuflow.linalg import cholesky, triangular_solve


class MultivariateNormal(Distribution):
    """Vectors of mean loc [..., n]; exactly one of covariance_matrix, precision_matrix (its inverse) and scale_tril
    (its lower triangular Cholesky factor), [..., n, n], says how they scatter."""

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None):
        loc, = parameters("MultivariateNormal", [loc] if isinstance(loc, int | float) else loc)
        loc = loc if len(loc.shape) else loc.reshape([1])
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        given = {k: v for k, v in given.items() if v is not None}
        if len(given) != 1:
            raise ValueError(explain("MultivariateNormal", "one of covariance_matrix, precision_matrix and scale_tril",
                                     " and ".join(given) or "none"))
        (kind, matrix), = given.items()
        if len(matrix.shape) < 2:
            raise ValueError(explain("MultivariateNormal", f"{kind} [..., n, n]", str(list(matrix.shape))))
        self.dtype, matrix = loc.dtype, matrix.astype(loc.dtype)
        batch = tuple(broadcast_shape(list(matrix.shape[:-2]), list(loc.shape[:-1])))
        self.covariance_matrix = self.precision_matrix = self.scale_tril = None
        setattr(self, kind, expand(matrix, [*batch, *matrix.shape[-2:]]))
        self.loc = expand(loc, [*batch, loc.shape[-1]])
        tril = {"covariance_matrix": cholesky, "precision_matrix": _of_precision}.get(kind, lambda m: m)(matrix)
        self._tril = expand(tril, [*batch, *tril.shape[-2:]])
        super().__init__(batch, self.loc.shape[-1:])

    @property
    def mean(self):
        return self.loc

    @property
    def variance(self):
        return (self._tril * self._tril).sum(-1)

    def rsample(self, shape=()):
        drawn = standard_normal(self._extend_shape(shape), self.dtype)
        return self.loc + self._tril.matmul(drawn.unsqueeze(-1)).squeeze(-1)

    def _solved(self, x):
        """What the Cholesky factor maps to x [..., n, k]."""
        return triangular_solve(self._tril, x, upper=False)

    def _square(self, off):
        """Mahalanobis' squared distance of vectors [..., n] from 0."""
        if len(off.shape) == 1 + len(self._batch_shape):
            z = self._solved(off.unsqueeze(-1)).squeeze(-1)
        else:
            inverse = self._solved(eye(self._event_shape[0], dtype=self.dtype))
            z = inverse.matmul(off.unsqueeze(-1)).squeeze(-1)
        return (z * z).sum(-1)

    def _half_log_det(self):
        return self._tril.diagonal(axis1=-2, axis2=-1).log().sum(-1)

    def log_prob(self, value):
        off = value.astype(self.dtype) - self.loc
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._square(off)) - self._half_log_det()

    def entropy(self):
        return 0.5 * self._event_shape[0] * (1 + math.log(2 * math.pi)) + self._half_log_det()


def _of_precision(matrix):
    """The Cholesky factor of the inverse."""
    turned = flip(cholesky(flip(matrix, [-2, -1])), [-2, -1])
    return triangular_solve(swapaxes(turned, -1, -2), eye(matrix.shape[-1], dtype=matrix.dtype), upper=False)
