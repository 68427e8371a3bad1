"""How often it happened in each tier, and whether the order of the tiers is the order of the rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from health_pipeline.scoring.validation.intervals import wilson
from health_pipeline.scoring.validation.readings import one_per_label

# From bad to good; not_scored stands apart: it is no statement about health.
ORDERED_TIERS: tuple[str, ...] = ("at_risk", "watch", "healthy", "expansion_ready")
SHOWN_TIERS: tuple[str, ...] = (*ORDERED_TIERS, "not_scored")


@dataclass(frozen=True)
class Calibration:
    """Observed rates by tier.

    Attributes
    ----------
    tiers : DataFrame, a row per tier that has readings: tier, readings, events, rate, low, high; the figures are NaN
        where there are too few readings
    is_monotone : the rates of the three bands fall from bad to good (for expansion they rise); None where a band
        has too few readings to say
    """

    tiers: pd.DataFrame
    is_monotone: bool | None


def calibration_by_tier(
    rows: pd.DataFrame, outcome: str, *, falls: bool, minimum_readings: int, confidence: float
) -> Calibration:
    """Rate of the outcome in each tier, one reading per account and 13 weeks, with Wilson's interval.

    Rows of overlapping weeks would count one event up to 13 times; see `one_per_label`. A score of 0 to 100 is no
    probability, so it is the tiers that are held against rates.

    Parameters
    ----------
    rows : DataFrame of account_id, week_number, tier and the outcome (1, 0; NaN rows are left out)
    falls : the rate should fall from at_risk to healthy; for growth it should rise
    minimum_readings : tiers with fewer readings have no figure
    """
    apart = one_per_label(rows)
    apart = apart[apart[outcome].notna()]
    found = []
    for tier in SHOWN_TIERS:
        outcomes = apart.loc[apart["tier"] == tier, outcome]
        if not len(outcomes):
            continue
        readings, events = len(outcomes), int(outcomes.sum())
        rate = low = high = np.nan
        if readings >= minimum_readings:
            interval = wilson(events, readings, confidence)
            rate, low, high = interval.value, interval.low, interval.high
        found.append((tier, readings, events, rate, low, high))
    tiers = pd.DataFrame(found, columns=["tier", "readings", "events", "rate", "low", "high"])
    return Calibration(tiers, _is_monotone(tiers, falls=falls))


def _is_monotone(tiers: pd.DataFrame, *, falls: bool) -> bool | None:
    # expansion_ready is healthy with conditions: it is no band of its own, so it plays no part for losses.
    bands = ORDERED_TIERS[:3] if falls else ORDERED_TIERS
    rates = tiers.set_index("tier")["rate"].reindex(list(bands)).to_numpy(dtype=float)
    if np.isnan(rates).any():
        return None
    steps = np.diff(rates)
    return bool((steps < 0).all() if falls else (steps > 0).all())
