"""Many tests at once (Holm, Benjamini-Hochberg), effect sizes that come before any p-value, and how few are too few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

# Fewer than either says "not enough events".
LEAST_ACCOUNTS, LEAST_EVENTS = 30, 5
NOT_ENOUGH = "not enough events"


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted so that the chance of any false one stays at the level (Holm 1979); in the order given."""
    return _adjusted(p_values, "holm")


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted so that the expected share of false ones among those taken stays at the level (1995)."""
    return _adjusted(p_values, "fdr_bh")


def _adjusted(p_values: Sequence[float], method: str) -> tuple[float, ...]:
    values = np.asarray(p_values, dtype=float)
    known = ~np.isnan(values)
    adjusted = np.full(len(values), np.nan)
    if known.any():
        adjusted[known] = multipletests(values[known], method=method)[1]
    return tuple(map(float, adjusted))


def is_enough(accounts: int, events: int) -> bool:
    """Whether a segment has accounts and events enough for a rate to be compared."""
    return accounts >= LEAST_ACCOUNTS and events >= LEAST_EVENTS


def cohens_h(share: float, other: float) -> float:
    """Difference of two shares on the arcsine scale: .2 small, .5 medium, .8 large (Cohen 1988, chapter 6)."""
    return float(2 * np.arcsin(np.sqrt(share)) - 2 * np.arcsin(np.sqrt(other)))


def g_test(events: Sequence[int], rows: Sequence[int]) -> tuple[float, int, float]:
    """G statistic, degrees of freedom and p-value of equal shares over groups; NaN where it can't be computed.

    Woolf (1957); scipy's likelihood-ratio form of the test of a contingency table.
    """
    counts = np.array([events, np.asarray(rows) - np.asarray(events)])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2 or (counts.sum(axis=1) == 0).any():
        return float("nan"), max(counts.shape[1] - 1, 0), float("nan")
    found = stats.chi2_contingency(counts, correction=False, lambda_="log-likelihood")
    return float(found.statistic), int(found.dof), float(found.pvalue)
