"""Whether a strategy works differently in different segments: uplift in each, and treatment x segment interaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from health_pipeline.segmentation.methods.intervals import Interval, newcombe

Floats = NDArray[np.float64]
Scale = Literal["risk_difference", "log_odds"]


@dataclass(frozen=True)
class SegmentCounts:
    """Accounts and events of the two arms in one segment."""

    segment: str
    treated: int
    treated_events: int
    control: int
    control_events: int


@dataclass(frozen=True)
class Interaction:
    """Likelihood-ratio test that the effect is the same in every segment, on the scale fixed beforehand.

    `common` is the effect that fits all segments best on that scale (a risk difference, or a log odds ratio).
    """

    scale: Scale
    chi_square: float
    degrees_of_freedom: int
    p_value: float
    common: float


def count_arms(segment: Sequence[str], treated: Sequence[bool], event: Sequence[bool]) -> tuple[SegmentCounts, ...]:
    """Counts by segment, in the order of their names; shape (n,) each."""
    frame = pd.DataFrame({"segment": list(segment), "treated": list(treated), "event": list(event)})
    found = []
    for name, rows in frame.groupby("segment", sort=True):
        on, off = rows[rows["treated"].astype(bool)], rows[~rows["treated"].astype(bool)]
        found.append(SegmentCounts(str(name), len(on), int(on["event"].sum()), len(off), int(off["event"].sum())))
    return tuple(found)


def uplift(counts: SegmentCounts, confidence: float = 0.95) -> Interval:
    """Share with the event among the treated less that among the others, with Newcombe's interval."""
    return newcombe(counts.treated_events, counts.treated, counts.control_events, counts.control, confidence)


def interaction(counts: Sequence[SegmentCounts], scale: Scale) -> Interaction:
    """Test whether the effect differs between segments.

    The two scales can disagree: where segments differ in their level, an effect that is the same on one scale is not
    the same on the other. So the scale is part of the question, and is fixed before the data are looked at.

    Parameters
    ----------
    counts : segments with accounts in both arms; two or more
    scale : "risk_difference" or "log_odds"

    Raises
    ------
    ValueError
        If fewer than two segments have both arms.

    References
    ----------
    Likelihood-ratio test of homogeneity: Breslow, Day (1980), chapter 4.4, for odds ratios; Gart, Nam (1990),
    Biometrics 46, for differences. On scales: VanderWeele, Knol (2014), Epidemiologic Methods 3(1).
    """
    used = [one for one in counts if one.treated and one.control]
    if len(used) < 2:
        raise ValueError(f"{len(used)} segments have accounts in both arms; an interaction needs two")
    saturated = sum(
        _log_likelihood(e, n, e / n)
        for one in used
        for e, n in ((one.treated_events, one.treated), (one.control_events, one.control))
    )
    low, high = (-0.999, 0.999) if scale == "risk_difference" else (-8.0, 8.0)

    def loss(effect: float) -> float:
        return -sum(_best_given(one, effect, scale) for one in used)

    # A grid first: where a segment has no event, the likelihood has flat parts that a search alone can stop in.
    grid = np.linspace(low, high, 81)
    start = int(np.argmin([loss(float(effect)) for effect in grid]))
    bounds = (float(grid[max(start - 1, 0)]), float(grid[min(start + 1, 80)]))
    best = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    chi_square = max(0.0, 2 * (saturated + float(best.fun)))
    freedom = len(used) - 1
    return Interaction(scale, chi_square, freedom, float(stats.chi2.sf(chi_square, freedom)), float(best.x))


def _log_likelihood(events: float, rows: float, share: float) -> float:
    return float(events * np.log(share) if events else 0.0) + float(
        (rows - events) * np.log1p(-share) if rows - events else 0.0
    )


def _best_given(counts: SegmentCounts, effect: float, scale: Scale) -> float:
    """The segment's largest log likelihood where its arms differ by exactly `effect`."""
    tiny = 1e-9
    if scale == "risk_difference":
        low, high = max(0.0, -effect) + tiny, min(1.0, 1 - effect) - tiny
        shift = lambda share: share + effect  # noqa: E731  named by what it does to the control's share
    else:
        low, high = tiny, 1 - tiny
        odds = float(np.exp(effect))
        shift = lambda share: odds * share / (1 - share + odds * share)  # noqa: E731

    def loss(share: float) -> float:
        return -_log_likelihood(counts.control_events, counts.control, share) - _log_likelihood(
            counts.treated_events, counts.treated, min(max(shift(share), tiny), 1 - tiny)
        )

    best = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    return -min(float(best.fun), loss(low), loss(high))
