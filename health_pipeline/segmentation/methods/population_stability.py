"""The population stability index, with the value that chance alone exceeds: without it, 0.1 means nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PopulationStability:
    """The index and what it would be without any change.

    Attributes
    ----------
    value : sum of (share now - share then) x log(share now / share then)
    critical_value : exceeded without any change with probability `level`
    expected : mean without any change
    p_value : probability of a value as large without any change
    bins, before, after : cells, and the number of accounts in each sample
    """

    value: float
    critical_value: float
    expected: float
    p_value: float
    level: float
    bins: int
    before: int
    after: int

    @property
    def is_more_than_chance(self) -> bool:
        """Whether it exceeds the critical value."""
        return self.value > self.critical_value


def population_stability(before: Floats, after: Floats, level: float = 0.05) -> PopulationStability:
    """Compare two samples by their counts in the same cells.

    Without any change the index is close to (1/n + 1/m) times a chi-square variable of bins - 1 degrees of freedom. An
    empty cell counts as half an account, since its logarithm has no value.

    Parameters
    ----------
    before, after : shape (bins,), counts; at least two bins, none empty in both
    level : probability at the critical value

    Raises
    ------
    ValueError
        If the counts are of different cells, or a sample is empty.

    References
    ----------
    Yurdakul, Naranjo (2020), Statistical properties of the population stability index, Journal of Risk Model
    Validation 14(4).
    """
    then, now = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if then.shape != now.shape or then.ndim != 1:
        raise ValueError(f"both samples are counted in the same cells; these have {then.shape} and {now.shape}")
    n, m = float(then.sum()), float(now.sum())
    if n <= 0 or m <= 0:
        raise ValueError(f"both samples need accounts; there are {n:g} and {m:g}")
    used = (then + now) > 0
    then, now = then[used], now[used]
    shares_then, shares_now = (np.where(counts > 0, counts, 0.5) for counts in (then, now))
    shares_then, shares_now = shares_then / shares_then.sum(), shares_now / shares_now.sum()
    value = float(((shares_now - shares_then) * np.log(shares_now / shares_then)).sum())
    spread, freedom = 1 / n + 1 / m, max(len(then) - 1, 1)
    return PopulationStability(
        value=value,
        critical_value=float(spread * special.chdtri(freedom, level)),
        expected=spread * freedom,
        p_value=float(special.chdtrc(freedom, value / spread)),
        level=level,
        bins=len(then),
        before=int(n),
        after=int(m),
    )


def quantile_counts(before: Floats, after: Floats, bins: int = 10) -> tuple[Floats, Floats]:
    """Counts of two samples in cells cut at the first's quantiles; shape (bins,) each, fewer on ties."""
    edges = np.unique(np.quantile(before, np.arange(1, bins) / bins))
    count = [
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        for values in (before, after)
    ]
    return count[0].astype(float), count[1].astype(float)
