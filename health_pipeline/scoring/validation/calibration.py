"""How often it happened in each tier, and whether the order of the tiers is the order of the rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from health_pipeline.scoring.validation.readings import one_per_label
from health_pipeline.segmentation.methods.intervals import Interval, wilson

# From bad to good; not_scored stands apart: it is no statement about health.
ORDERED_TIERS: tuple[str, ...] = ("at_risk", "watch", "healthy", "expansion_ready")
SHOWN_TIERS: tuple[str, ...] = (*ORDERED_TIERS, "not_scored")


@dataclass(frozen=True)
class Calibration:
    """Observed rates by tier.

    Attributes
    ----------
    tiers : DataFrame, a row per tier that has readings: tier, readings, accounts, events, rate, low, high; the figures
        are NaN where there are too few readings
    without_notice : the row of at_risk once more, without readings that a decisive fact put there; None where none did
    is_monotone : the rates of the three bands fall from bad to good (for expansion they rise); None where a band
        has too few readings to say
    """

    tiers: pd.DataFrame
    without_notice: dict[str, Any] | None
    is_monotone: bool | None


def calibration_by_tier(
    rows: pd.DataFrame, outcome: str, *, falls: bool, minimum_readings: int, confidence: float
) -> Calibration:
    """Rate of the outcome in each tier, one reading per account and 13 weeks, with Wilson's interval.

    Rows of overlapping weeks would count one event up to 13 times; see `one_per_label`. A score of 0 to 100 is no
    probability, so it is the tiers that are held against rates.

    Parameters
    ----------
    rows : DataFrame of account_id, week_number, tier, has_notice and the outcome (1, 0; NaN rows are left out)
    falls : the rate should fall from at_risk to healthy; for growth it should rise
    minimum_readings : tiers with fewer readings have no figure
    """
    apart = one_per_label(rows)
    apart = apart[apart[outcome].notna()]

    def row(tier: str, of_tier: pd.DataFrame) -> dict[str, Any]:
        readings, events = len(of_tier), int(of_tier[outcome].sum())
        interval = Interval(np.nan, np.nan, np.nan)
        if readings >= minimum_readings:
            interval = wilson(events, readings, confidence)
        limits = {"rate": interval.value, "low": interval.low, "high": interval.high}
        accounts = int(of_tier["account_id"].nunique())
        return {"tier": tier, "readings": readings, "accounts": accounts, "events": events, **limits}

    present = [tier for tier in SHOWN_TIERS if (apart["tier"] == tier).any()]
    found = [row(tier, apart[apart["tier"] == tier]) for tier in present]
    tiers = pd.DataFrame(found, columns=["tier", "readings", "accounts", "events", "rate", "low", "high"])
    at_risk, has_notice = apart["tier"] == "at_risk", apart["has_notice"].astype(bool)
    without = row("at_risk", apart[at_risk & ~has_notice]) if has_notice.any() else None
    return Calibration(tiers, without, _is_monotone(tiers, falls=falls))


def _is_monotone(tiers: pd.DataFrame, *, falls: bool) -> bool | None:
    # expansion_ready is healthy with conditions: it is no band of its own, so it plays no part for losses.
    bands = ORDERED_TIERS[:3] if falls else ORDERED_TIERS
    rates = tiers.set_index("tier")["rate"].reindex(list(bands)).to_numpy(dtype=float)
    if np.isnan(rates).any():
        return None
    steps = np.diff(rates)
    return bool((steps < 0).all() if falls else (steps > 0).all())
