"""Tiers that people set: an override stands beside what the rule says and changes the effective tier alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from health_pipeline.contract.clocks import Week

OVERRIDE_COLUMNS: tuple[str, ...] = (
    "override_tier",
    "override_reason",
    "override_approved_by",
    "override_expires_at",
)


def override_frame(overrides: pa.Table | None) -> pd.DataFrame:
    """The overrides by week and account.

    Raises
    ------
    ValueError
        If an account has two in a week: the newest alone may be handed in.
    """
    if overrides is None:
        overrides = pa.table({name: pa.array([], pa.string()) for name in ("account_id", "week", *OVERRIDE_COLUMNS)})
    frame = overrides.select(["account_id", "week", *OVERRIDE_COLUMNS]).to_pandas(date_as_object=True)
    twice = frame.duplicated(["account_id", "week"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise ValueError(f"account {row['account_id']} has two overrides in {row['week']}; the newest alone holds")
    return frame.set_index(["week", "account_id"])[list(OVERRIDE_COLUMNS)]


def override_columns(accounts: np.ndarray, week: Week, tier: np.ndarray, overrides: pd.DataFrame) -> dict[str, Any]:
    """The override's columns of account_health_weekly, and the tier that plans use.

    Parameters
    ----------
    accounts, tier : shape (n,), ids and tiers by rule
    overrides : as `override_frame` gives them

    Returns
    -------
    dict of column name to an array of shape (n,); None where no override holds
    """
    of_week = overrides[overrides.index.get_level_values("week") == week.monday].droplevel("week")
    found = of_week.reindex(accounts)
    columns: dict[str, Any] = {}
    for name in OVERRIDE_COLUMNS:
        values = found[name].astype(object)
        columns[name] = list(values.where(values.notna(), None))
    columns["effective_tier"] = [
        own if own is not None else by_rule for own, by_rule in zip(columns["override_tier"], tier, strict=True)
    ]
    return columns
