"""The columns of Parzen mixtures: what they are, and their prior. See `parzen`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HALF", "LOG_SQRT_2PI", "PRIOR_SD", "TINY", "ULP", "Axes", "inverse"]

#: Standard deviation of a uniform of width 1, which normal parameters are scaled to.
PRIOR_SD = 1 / math.sqrt(12)
#: Bounded columns end at minus this and at this.
HALF = 0.5
LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
#: Stands for masses of 0 where logarithms are taken.
TINY = 1e-300
#: Uniform numbers strictly inside (0, 1) are at least half of this away from 0, and this from 1.
ULP = 2.0**-53


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """What the columns of a mixture are.

    Attributes
    ----------
    bounded : (s,) bool
        Whether a smooth column ends at -1/2 and 1/2; else its prior is normal.
    edges
        Per coded column the (K + 1,) scaled cell edges of an ordinal, None for a nominal.
    middles
        Per coded column the (K,) prior median of each cell; None for a nominal.
    prior
        Per coded column the (K,) prior masses.
    unbounded
        The smooth columns without bounds.
    ordered
        Of all columns, smooth ones first, those that are not nominal.
    """

    bounded: NDArray[np.bool_]
    edges: tuple[NDArray[np.float64] | None, ...]
    middles: tuple[NDArray[np.float64] | None, ...]
    prior: tuple[NDArray[np.float64], ...]
    unbounded: NDArray[np.intp] = field(init=False, repr=False)
    ordered: NDArray[np.intp] = field(init=False, repr=False)
    _logs: tuple[NDArray[np.float64], ...] = field(init=False, repr=False)  # of the prior
    _ladders: tuple[NDArray[np.float64], ...] = field(init=False, repr=False)  # its sums, (1, K)

    def __post_init__(self) -> None:
        """Work out once what all draws and densities need."""
        logs = tuple(np.log(np.maximum(p, TINY)) for p in self.prior)
        object.__setattr__(self, "unbounded", np.flatnonzero(~self.bounded))
        has_order = [True] * len(self.bounded) + [edges is not None for edges in self.edges]
        object.__setattr__(self, "ordered", np.flatnonzero(has_order))
        object.__setattr__(self, "_logs", logs)
        object.__setattr__(self, "_ladders", tuple(np.cumsum(p)[None] for p in self.prior))

    def ordinates(self, S: NDArray[np.float64], C: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return (n, s + t) positions of points on all columns, 0 on nominal ones."""
        s = S.shape[1]
        out = np.zeros((s + C.shape[1], len(S)))
        out[:s] = S.T
        for j, middles in enumerate(self.middles, s):
            if middles is not None:
                out[j] = middles[C[:, j - s]]
        by_row: NDArray[np.float64] = out.T
        return by_row

    def log_prior(self, S: NDArray[np.float64], C: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return (m,) log densities of the prior."""
        out = np.zeros(len(S))
        if len(self.unbounded):
            z = S[:, self.unbounded] / PRIOR_SD
            out -= (0.5 * z * z + (math.log(PRIOR_SD) + LOG_SQRT_2PI)).sum(axis=1)
        for j, logs in enumerate(self._logs):
            out += logs[C[:, j]]
        return out

    def draws(self, U: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return ``S`` and ``C`` of the prior at uniforms (m, s + t)."""
        s = len(self.bounded)
        C = np.empty((len(U), len(self.prior)), dtype=np.intp)
        for j in range(C.shape[1]):
            C[:, j] = self.coded_draws(j, U[:, s + j])
        return self.smooth_draws(U[:, :s]), C

    def smooth_draws(self, U: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (m, s) scaled coordinates of the prior at uniforms (m, s)."""
        S: NDArray[np.float64] = U - HALF
        if len(self.unbounded):
            u = np.clip(U[:, self.unbounded], ULP / 2, 1 - ULP)
            S[:, self.unbounded] = PRIOR_SD * ndtri(u)
        return S

    def coded_draws(self, j: int, u: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return (m,) codes of the prior of coded column `j` at uniforms (m,)."""
        return inverse(self._ladders[j], u)


def inverse(cumulative: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return (m,) codes at probabilities `u`, given (m or 1, K) cumulative masses."""
    if len(cumulative) == 1:
        code = np.searchsorted(cumulative[0], u * cumulative[0, -1], side="right")
    else:
        code = (cumulative <= (u * cumulative[:, -1])[:, None]).sum(axis=1)
    codes: NDArray[np.intp] = np.minimum(code, cumulative.shape[1] - 1).astype(np.intp)
    return codes
