"""Time to churn by segment, with accounts that were customers before the clock starts (left truncation)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import survdiff

from health_pipeline.segmentation.methods.intervals import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LogRank:
    """Log-rank test of equal hazards: statistic, degrees of freedom, p-value, and the events it rests on."""

    chi_square: float
    degrees_of_freedom: int
    p_value: float
    events: int
    accounts: int


@dataclass(frozen=True)
class HazardRatio:
    """Hazard of a segment against the reference's, with a Wald interval on the log scale."""

    segment: str
    reference: str
    ratio: Interval
    p_value: float
    events: int
    accounts: int


def log_rank(entry: Floats, exit_time: Floats, churned: Floats, segment: NDArray[np.object_]) -> LogRank:
    """Test whether segments churn at the same rate at the same age.

    An account is at risk from `entry` (its age when we began to look) to `exit_time` (its age when it churned, or when
    we stopped looking). Without entries, accounts that could not have been seen to churn would count as survivors.

    Parameters
    ----------
    entry, exit_time : shape (n,), ages in days; exit above entry, at least 0
    churned : shape (n,), 1 where it churned at `exit_time`
    segment : shape (n,)

    Raises
    ------
    ValueError
        If there is one segment, no event, or an exit that is not after its entry.

    References
    ----------
    Mantel (1966); left truncation as in Klein, Moeschberger (2003), Survival Analysis, chapters 4.6 and 7.3.
    """
    codes = _checked(entry, exit_time, churned, segment)
    chi_square, p_value = survdiff(exit_time, churned, codes, entry=entry)
    kinds = len(np.unique(codes))
    return LogRank(float(chi_square), kinds - 1, float(p_value), int(churned.sum()), len(churned))


def hazard_ratios(
    entry: Floats, exit_time: Floats, churned: Floats, segment: NDArray[np.object_], reference: str | None = None
) -> tuple[HazardRatio, ...]:
    """Cox's proportional hazards of each segment against one, with left truncation and Efron's ties.

    Parameters
    ----------
    entry, exit_time, churned, segment : as in `log_rank`
    reference : the segment the others are held against; the one with most accounts where it is None

    Returns
    -------
    tuple of HazardRatio
        By segment, without the reference; a segment without an event has no ratio and is left out.

    Raises
    ------
    ValueError
        As `log_rank`; or if the reference has no event.

    References
    ----------
    Cox (1972), JRSS B 34(2); Efron (1977), JASA 72.
    """
    _checked(entry, exit_time, churned, segment)
    names = pd.Series(segment).astype(str)
    events = pd.Series(churned).groupby(names).sum()
    against = reference or str(names.value_counts().sort_index().idxmax())
    if not events.get(against, 0):
        raise ValueError(f"no account of {against!r} churned, so there is no hazard to hold others against")
    judged = [name for name in sorted(set(names)) if name != against and events[name] > 0]
    if not judged:
        return ()
    kept = names.isin([*judged, against]).to_numpy()
    columns = np.column_stack([(names[kept] == name).to_numpy(dtype=float) for name in judged])
    fitted = PHReg(exit_time[kept], columns, status=churned[kept], entry=entry[kept], ties="efron").fit()
    limits = np.exp(fitted.conf_int())
    return tuple(
        HazardRatio(
            name,
            against,
            Interval(float(np.exp(fitted.params[place])), float(limits[place, 0]), float(limits[place, 1])),
            float(fitted.pvalues[place]),
            int(events[name]),
            int((names == name).sum()),
        )
        for place, name in enumerate(judged)
    )


def _checked(entry: Floats, exit_time: Floats, churned: Floats, segment: NDArray[np.object_]) -> NDArray[np.int_]:
    codes = np.unique(np.asarray(segment).astype(str), return_inverse=True)[1]
    if len(np.unique(codes)) < 2:
        raise ValueError("there is one segment; hazards are compared between two or more")
    if not np.sum(churned) > 0:
        raise ValueError("no account churned; there is no time to churn to compare")
    if (np.asarray(exit_time) <= np.asarray(entry)).any():
        raise ValueError("an account leaves at or before it is first looked at; exit_time must be after entry")
    return np.asarray(codes)
