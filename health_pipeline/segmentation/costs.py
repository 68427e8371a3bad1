"""What serving each segment costs beside its revenue, and which savings the review can name."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from health_pipeline.policy.segment_review import CostPolicy, SegmentReviewPolicy
from health_pipeline.segmentation.figures import ALL, Figure
from health_pipeline.segmentation.space import known_values
from health_pipeline.segmentation.strategies import StrategyResult

CENT = Decimal("0.01")


@dataclass(frozen=True)
class SegmentCost:
    """A segment's load and cost in the quarter's last 91 days; None where nothing is known of it."""

    segment: str
    support_tickets: int | None
    meetings: int | None
    open_backlog: int | None
    support_hours: float | None
    csm_hours: float | None
    cost_to_serve: Decimal | None
    margin: Decimal | None


def cost_by_segment(segment: pd.Series, features: pd.DataFrame, policy: CostPolicy) -> dict[str, SegmentCost]:
    """Load and cost of each segment.

    Parameters
    ----------
    segment : shape (n,), by row of `features`
    features : account_features_weekly of the quarter's last week

    Returns
    -------
    dict by segment
    """
    columns = {name: known_values(features, name) for name in ("tickets_opened_91d", "meetings_91d", "open_backlog")}
    revenue = pd.to_numeric(features["arr_reporting"].astype(object), errors="coerce").to_numpy(float)
    found = {}
    for name in segment.unique():
        rows = (segment == name).to_numpy()
        tickets, meetings, backlog = (_total(values[rows]) for values in columns.values())
        support_hours = None if tickets is None else tickets * policy.support_hours_per_ticket
        csm_hours = None if meetings is None else meetings * policy.csm_hours_per_meeting
        cost = None
        if support_hours is not None and csm_hours is not None:
            spent = support_hours * policy.support_rate_per_hour + csm_hours * policy.csm_rate_per_hour
            cost = Decimal(str(round(spent, 2))).quantize(CENT)
        arr = _total(revenue[rows])
        margin = None
        if cost is not None and arr is not None:
            margin = Decimal(str(round(arr / 4 * policy.gross_margin, 2))).quantize(CENT) - cost
        found[str(name)] = SegmentCost(
            segment=str(name),
            support_tickets=None if tickets is None else int(tickets),
            meetings=None if meetings is None else int(meetings),
            open_backlog=None if backlog is None else int(backlog),
            support_hours=support_hours,
            csm_hours=csm_hours,
            cost_to_serve=cost,
            margin=margin,
        )
    return found


def _total(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.sum()) if len(known) else None


def named_savings(
    results: tuple[StrategyResult, ...], treated: pd.DataFrame, policy: SegmentReviewPolicy
) -> list[Figure]:
    """Hours spent on strategies in segments where there is no evidence that they do anything, at the policy's rate.

    A saving is named where the interval of a segment's uplift holds 0. It is a proposal to look at, with the interval
    beside it: no evidence is not evidence of nothing. A strategy that could not be judged at all names none.
    """
    found = []
    rate = policy.cost.csm_rate_per_hour
    on = treated[treated["arm"].eq("treated")] if len(treated) else treated
    for one in results:
        spent = (
            float((on["strategy"] == one.strategy).sum()) * policy.cost.hours_of(one.strategy) * rate
            if len(on)
            else 0.0
        )
        method = (
            f"treatments x {policy.cost.hours_of(one.strategy):g} hours x {rate:g} an hour, those with a known outcome"
        )
        found.append(Figure("cost", one.strategy, ALL, "spent", spent, method, accounts=one.treated))
        for segment, effect in one.by_segment.items():
            if one.reason or effect is None or not effect.low <= 0 <= effect.high:
                continue
            count = int(((on["strategy"] == one.strategy) & (on["segment"] == segment)).sum())
            saved = count * policy.cost.hours_of(one.strategy) * rate
            verdict = (
                f"no evidence that it does anything here ({100 * effect.low:+.1f} to {100 * effect.high:+.1f} points)"
            )
            found.append(
                Figure("cost", one.strategy, segment, "saving", saved, method, accounts=count, verdict=verdict)
            )
    return found
