"""A company made for validation: features drawn backwards through the policy's curves, customers that leave by them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from health_pipeline.policy.features import feature
from health_pipeline.policy.health_score import HealthScorePolicy, Measure, load_health_score

FIRST = date(2025, 6, 2)
DOMAINS = ("commercial", "payment", "usage", "support", "engagement", "sentiment", "outcomes", "risk")


def raw_value(measure: Measure, points: np.ndarray) -> np.ndarray:
    """Raw values that the measure gives about so many points to."""
    if measure.bands:
        worth = np.array([band.value for band in measure.bands])
        middle = [band.from_ if band.from_ is not None else (band.to or 0) for band in measure.bands]
        return np.array(middle, dtype=float)[np.abs(points[:, None] - worth).argmin(axis=1)]
    raw, value = np.array(measure.curve, dtype=float).T
    order = np.argsort(value, kind="stable")
    values = np.interp(points, value[order], raw[order])
    kind = feature(measure.feature).type
    return np.round(values) if kind in ("integer", "boolean") else values


def simulate(
    accounts: int = 160,
    weeks: int = 52,
    seed: int = 5,
    telling: tuple[str, ...] | None = None,
    policy: HealthScorePolicy | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features and outcomes of accounts that leave the sooner the worse they are.

    Parameters
    ----------
    telling : groups of measures that follow what decides about leaving; the others are noise. None: all of them.
    """
    random = np.random.default_rng(seed)
    policy = policy or load_health_score(None).model
    health = random.normal(72, 13, accounts)
    # About 40 of 160 leave in a year; chance plays its part.
    hazard = 0.011 * np.exp(-(health - 66) / 9)
    last = np.minimum(random.geometric(np.clip(hazard, 1e-4, 0.5)), weeks) - 1
    rows = []
    for account in range(accounts):
        levels = np.clip(health[account] + random.normal(0, 3, last[account] + 1), 2, 98)
        numbers = range(last[account] + 1)
        rows.append(pd.DataFrame({"account_id": f"acc-{account:04d}", "number": numbers, "level": levels}))
    table = pd.concat(rows, ignore_index=True)
    columns: dict[str, np.ndarray] = {}
    for measure in policy.measures.values():
        is_telling = telling is None or measure.group in telling
        centre = table["level"].to_numpy() if is_telling else np.full(len(table), 72.0)
        points = np.clip(centre + random.normal(0, 8 if is_telling else 13, len(table)), 0, 100)
        columns[measure.feature] = raw_value(measure, points)
    columns["is_cancellation_scheduled"] = np.zeros(len(table))
    features = pd.DataFrame(
        {
            "account_id": table["account_id"],
            "week": [FIRST + timedelta(weeks=int(number)) for number in table["number"]],
            "lifecycle_stage": "established",
            "account_tenure_days": 400 + 7 * table["number"],
            "arr": 12000.0,
            "arr_reporting": 12000.0,
            "currency": "USD",
            **{
                name: values.astype(bool) if feature(name).type == "boolean" else values
                for name, values in columns.items()
            },
            **{f"{domain}_status": "measured" for domain in DOMAINS},
        }
    )
    is_known = (table["number"] + 13 <= weeks - 1).to_numpy()
    left = table["account_id"].map(dict(zip(table["account_id"].unique(), last, strict=True))) < table["number"] + 13
    outcomes = features[["account_id", "week"]].assign(
        known_week=features["week"] + timedelta(weeks=13),
        has_churned_13w=left.astype("boolean"),
        has_contracted_13w=pd.array([False] * len(table), dtype="boolean"),
        has_expanded_13w=pd.array([False] * len(table), dtype="boolean"),
    )
    return features, outcomes[is_known].reset_index(drop=True)
