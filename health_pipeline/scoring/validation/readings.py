"""Joins what was published with what happened after: one row per account and week whose outcome is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# A label covers the 13 weeks after a reading; what of it is known becomes known that much later.
LABEL_WEEKS = 13

# Outcome, the column of account_outcomes_weekly, and whether a low score is what should go before it.
OUTCOMES: dict[str, tuple[str, bool]] = {
    "churned": ("has_churned_13w", True),
    "contracted": ("has_contracted_13w", True),
    "lost_revenue": ("", True),
    "expanded": ("has_expanded_13w", False),
}
KEY = ["account_id", "week"]
_FEATURES = ["usage_change_share_4w", "account_tenure_days"]
_HEALTH = ["score", "tier", "has_notice", "segment", "coverage", "arr_reporting"]


@dataclass(frozen=True)
class Readings:
    """Scores beside what happened after, and what had to stay out.

    Attributes
    ----------
    rows : DataFrame, one row per account and week with a known outcome: account_id, week (datetime64, a Monday),
        week_number (int, weeks since 1970-01-05), score (NaN where not scored), tier, has_notice (a decisive fact put
        it at risk, such as a notice not to renew), segment, the outcomes (1, 0; NaN where that one is not known) and
        what the baselines read
    calendar : DataFrame, every published reading (account_id, week_number, tier, has_notice, segment), known outcome
        or not
    not_mature, outcome_unknown, not_published : readings that stayed out: no outcome is there, because the 13 weeks
        have not passed as known; one is, but what became of the account can't be told; an outcome without a published
        score
    """

    rows: pd.DataFrame
    calendar: pd.DataFrame
    not_mature: int
    outcome_unknown: int
    not_published: int

    @property
    def weeks(self) -> list[pd.Timestamp]:
        """The weeks whose outcomes are known, in order."""
        return sorted(self.rows["week"].unique())


def join_readings(health: pd.DataFrame, outcomes: pd.DataFrame, features: pd.DataFrame | None = None) -> Readings:
    """Join scores as published with outcomes that are mature as known, and nothing computed later.

    Parameters
    ----------
    health : rows of account_health_weekly: account_id, week, score, tier; tier_reason, segment, coverage and
        arr_reporting if there
    outcomes : rows of account_outcomes_weekly: account_id, week, has_churned_13w and the other labels, of which all are
        known; of a table with `is_mature` only the rows where it is true
    features : rows of account_features_weekly for the baselines (usage change, tenure, revenue); without: NaN

    Raises
    ------
    ValueError
        If a column that is needed is not there, a table has two rows for an account and week, or a week is no Monday.
    """
    labels = _keyed(outcomes, "outcomes", ["has_churned_13w"])
    scores = _keyed(health, "scores", ["score", "tier"])
    reason = scores["tier_reason"] if "tier_reason" in scores.columns else pd.Series("", index=scores.index)
    scores["has_notice"] = (reason == "decisive").fillna(value=False).to_numpy(dtype=bool)
    known = labels.copy()
    if "is_mature" in labels.columns:
        known = labels[labels["is_mature"].astype("boolean").fillna(value=False).to_numpy(dtype=bool)].copy()
    for name, (column, _) in OUTCOMES.items():
        known[name] = _flags(known, column) if column else np.nan
    known["lost_revenue"] = known[["churned", "contracted"]].max(axis=1, skipna=False)
    unknown = known["churned"].isna()
    joined = known.loc[~unknown, [*KEY, *OUTCOMES]].merge(
        scores[[*KEY, *(name for name in _HEALTH if name in scores.columns)]], on=KEY, how="left", indicator="found"
    )
    is_published = joined.pop("found") == "both"
    rows = _with_features(joined[is_published], features)
    rows["score"] = pd.to_numeric(rows["score"], errors="coerce").astype(float)
    rows["week_number"] = week_numbers(rows["week"])
    rows["segment"] = _segments(rows)
    calendar = scores[KEY].assign(week_number=week_numbers(scores["week"]), tier=scores["tier"])
    calendar["has_notice"] = scores["has_notice"]
    waits = ~pd.MultiIndex.from_frame(scores[KEY]).isin(pd.MultiIndex.from_frame(known[KEY]))
    calendar["segment"] = _segments(scores)
    return Readings(
        rows=rows.sort_values(["week", "account_id"], kind="stable").reset_index(drop=True),
        calendar=calendar[["account_id", "week_number", "tier", "has_notice", "segment"]].reset_index(drop=True),
        not_mature=int(waits.sum()),
        outcome_unknown=int(unknown.sum()),
        not_published=int((~is_published).sum()),
    )


def of_segment(readings: Readings, segment: str) -> Readings:
    """The readings, from first to last, of the accounts whose last published reading was in that segment.

    For what is about an account over time, such as how long before it left it was at risk: each account is in one.
    """
    calendar = readings.calendar
    last = calendar.sort_values("week_number", kind="stable").groupby("account_id")["segment"].last()
    accounts = last.index[last == segment]
    return replace(
        readings,
        rows=readings.rows[readings.rows["account_id"].isin(accounts)],
        calendar=calendar[calendar["account_id"].isin(accounts)],
    )


def week_numbers(weeks: pd.Series) -> pd.Series:
    """Weeks since the Monday 1970-01-05; a difference of 1 is one week."""
    return (weeks - pd.Timestamp("1970-01-05")).dt.days // 7


def one_per_label(rows: pd.DataFrame) -> pd.DataFrame:
    """Readings whose labels do not overlap: every 13th week counted back from the newest.

    An account is there at most once in 13 weeks, and an event is counted at most once.
    """
    newest = rows["week_number"].max()
    return rows[(newest - rows["week_number"]) % LABEL_WEEKS == 0]


def known_at_start(rows: pd.DataFrame, first_week: int) -> NDArray[np.bool_]:
    """Which readings' labels were known when the review of `first_week` was made, shape (n,)."""
    return (rows["week_number"] + LABEL_WEEKS <= first_week).to_numpy(dtype=bool)


def _segments(table: pd.DataFrame) -> pd.Series | str:
    return table["segment"].fillna("unsegmented") if "segment" in table.columns else "unsegmented"


def _keyed(table: pd.DataFrame, what: str, needed: list[str]) -> pd.DataFrame:
    if lacking := [name for name in [*KEY, *needed] if name not in table.columns]:
        raise ValueError(f"the {what} lack {', '.join(lacking)}; give the columns of the published table")
    keyed = table.assign(week=pd.to_datetime(table["week"]))
    if bool((keyed["week"].dt.weekday != 0).any()):
        raise ValueError(f"the {what} hold a week that is no Monday; a week is named by the Monday it starts")
    if bool(keyed.duplicated(KEY).any()):
        row = keyed[keyed.duplicated(KEY)].iloc[0]
        raise ValueError(f"the {what} hold account {row['account_id']} twice in {row['week']:%Y-%m-%d}; one row each")
    return keyed


def _flags(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    if column not in table.columns:
        return np.full(len(table), np.nan)
    return np.asarray(table[column].astype("boolean").to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)


def _with_features(rows: pd.DataFrame, features: pd.DataFrame | None) -> pd.DataFrame:
    found = rows.copy()
    if features is not None:
        given = _keyed(features, "features", [])
        named = [name for name in [*_FEATURES, "arr_reporting"] if name in given.columns and name not in found.columns]
        found = found.merge(given[[*KEY, *named]], on=KEY, how="left")
    for name in [*_FEATURES, "arr_reporting", "coverage"]:
        values = found[name] if name in found.columns else pd.Series(np.nan, index=found.index)
        found[name] = pd.to_numeric(values, errors="coerce").astype(float)
    return found
