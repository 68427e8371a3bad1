"""Intervals for statistics of rows: percentiles from resampled accounts, DeLong's for an AUC."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from health_pipeline.segmentation.methods.intervals import Interval

Floats = NDArray[np.float64]
# Numbers held at once while resampling: what fits into a processor's cache is quickest.
_BLOCK = 500_000


class AccountResamples:
    """Bootstrap weights of rows when whole accounts are drawn with replacement.

    Rows of one account are not independent, so resampling rows gives intervals that are too narrow. Field and
    Welsh, Bootstrapping clustered data, JRSS B 69 (2007); Cameron, Gelbach, Miller, Review of Economics and Statistics
    90 (2008).

    Parameters
    ----------
    accounts : shape (n,), the account of each row
    resamples : how many
    seed : the same seed draws the same accounts, so that two statistics of the same rows are paired
    """

    def __init__(self, accounts: NDArray[np.object_], resamples: int, seed: int) -> None:
        self.names, self.codes = np.unique(np.asarray(accounts).astype(str), return_inverse=True)
        self.resamples, self.seed = resamples, seed

    def counts(self, size: int | None = None) -> Iterator[Floats]:
        """How often each account was drawn, in blocks of shape (some resamples, accounts)."""
        random = np.random.default_rng(self.seed)
        accounts = len(self.names)
        step = max(1, _BLOCK // max(size or accounts, 1))
        for start in range(0, self.resamples, step):
            block = min(step, self.resamples - start)
            drawn = random.integers(0, accounts, size=(block, accounts))
            flat = drawn + np.arange(block)[:, None] * accounts
            yield np.bincount(flat.ravel(), minlength=block * accounts).reshape(block, accounts).astype(float)

    def of_rows(self, statistic: Callable[[Floats], Floats]) -> Floats:
        """A statistic of row weights (n, k) over all resamples; `statistic` returns (k, parts)."""
        return np.concatenate([statistic(block.T[self.codes]) for block in self.counts(len(self.codes))])

    def of_sums(self, columns: Floats, statistic: Callable[[Floats], Floats]) -> Floats:
        """A statistic of weighted column sums: (n, m) rows become (k, m) sums per block. Quick: accounts, not rows."""
        sums = np.zeros((len(self.names), columns.shape[1]))
        np.add.at(sums, self.codes, columns)
        return np.concatenate([statistic(block @ sums) for block in self.counts()])


def percentile_interval(value: float, resampled: Floats, confidence: float) -> Interval:
    """The value with the percentiles of its resamples (Efron, Tibshirani 1993, chapter 13); NaN ones left out."""
    tail = (1 - confidence) / 2
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def delong(outcome: Floats, risks: Floats) -> tuple[Floats, Floats]:
    """AUCs of several risks on the same rows with their covariance, where rows are independent.

    DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988), by midranks as Sun and Xu, IEEE Signal Processing Letters 21
    (2014).

    Parameters
    ----------
    outcome : shape (n,), 1 where it happened, else 0; at least two of each
    risks : shape (k, n), higher should mean more often

    Returns
    -------
    AUCs of shape (k,) and their covariance of shape (k, k)

    Raises
    ------
    ValueError
        If fewer than two rows have, or have not, the event.
    """
    happened = np.asarray(outcome) == 1
    events, others = int(happened.sum()), int((~happened).sum())
    if min(events, others) < 2:
        raise ValueError(
            f"DeLong's variance needs two rows of each kind; {events} have the event and {others} have not"
        )
    risks = np.atleast_2d(np.asarray(risks, dtype=float))
    places = stats.rankdata(risks, axis=1)
    among_events = stats.rankdata(risks[:, happened], axis=1)
    among_others = stats.rankdata(risks[:, ~happened], axis=1)
    # Share of the others each event ranks above, and share of the events each other ranks below.
    of_events = (places[:, happened] - among_events) / others
    of_others = 1 - (places[:, ~happened] - among_others) / events
    covariance = np.atleast_2d(np.cov(of_events)) / events + np.atleast_2d(np.cov(of_others)) / others
    return of_events.mean(axis=1), covariance


def delong_interval(outcome: Floats, risk: Floats, confidence: float) -> Interval:
    """AUC of one risk with DeLong's normal interval, cut at 0 and 1; `delong` says when there is none."""
    areas, covariance = delong(outcome, risk)
    reach = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(covariance[0, 0])
    area = float(areas[0])
    return Interval(area, max(0.0, area - float(reach)), min(1.0, area + float(reach)))
