"""Estimates with their limits: a share by Wilson, a difference of shares by Newcombe, a ratio of sums by resampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

Floats = NDArray[np.float64]
COUNTS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its limits."""

    value: float
    low: float
    high: float


def wilson(events: int, rows: int, confidence: float = 0.95) -> Interval:
    """Share of rows with the event, with Wilson's score interval without continuity correction.

    Wilson, JASA 22 (1927); recommended for few events by Brown, Cai, DasGupta, Statistical Science 16 (2001).

    Raises
    ------
    ValueError
        If there is no row, or more events than rows.
    """
    result = stats.binomtest(events, rows).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(events / rows, float(result.low), float(result.high))


def newcombe(events: int, rows: int, other_events: int, other_rows: int, confidence: float = 0.95) -> Interval:
    """First share less the second, with Newcombe's hybrid score interval (his method 10).

    Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine 17 (1998).

    Raises
    ------
    ValueError
        If a sample has no row.
    """
    if rows < 1 or other_rows < 1:
        raise ValueError(f"a difference of shares needs rows on both sides; there are {rows} and {other_rows}")
    low, high = confint_proportions_2indep(
        events, rows, other_events, other_rows, method="newcomb", compare="diff", alpha=1 - confidence
    )
    return Interval(events / rows - other_events / other_rows, float(low), float(high))


def ratio_of_sums(
    numerator: Floats, denominator: Floats, resamples: int, seed: int, confidence: float = 0.95
) -> Interval:
    """Sum by sum over rows, with the percentiles of resampled rows (Efron, Tibshirani 1993, chapter 13).

    Parameters
    ----------
    numerator, denominator : shape (n,) each; the denominators sum to more than 0
    resamples, seed : bootstrap samples of whole rows

    Raises
    ------
    ValueError
        If the denominators do not sum to more than 0.
    """
    over, under = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    if not under.sum() > 0:
        raise ValueError("a ratio of sums needs a denominator above 0")
    rng = np.random.default_rng(seed)
    # Multinomial counts of each row: the same draw as rows with replacement, without a copy of them; some at a time,
    # since 2,000 resamples of 100,000 rows at once are gigabytes.
    at_once = max(1, COUNTS_AT_ONCE // len(under))
    shares, sums = np.full(len(under), 1 / len(under)), []
    for done in range(0, resamples, at_once):
        times = rng.multinomial(len(under), shares, size=min(at_once, resamples - done))
        sums.append(times.astype(float) @ np.column_stack([over, under]))
    above, below = np.concatenate(sums).T
    ratios = above[below > 0] / below[below > 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Interval(float(over.sum() / under.sum()), float(low), float(high))
