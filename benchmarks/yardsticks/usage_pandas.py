"""The usage features in pandas: everything in memory, merges and group-bys, as in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

SOURCE = ["source_system", "source_instance", "source_account_id"]
ACCOUNT_WEEK = ["week", "account_id"]
EVENT_COLUMNS = [
    "source_system", "source_instance", "event_id", "group_id", "user_id", "anonymous_id", "feature_key", "event_name",
    "occurred_at", "available_at", "load_sequence", "is_deleted",
]  # fmt: skip
DAY, WEEK = pd.Timedelta(days=1), pd.Timedelta(weeks=1)
CUTOFF = pd.Timedelta(hours=6, microseconds=1)


def usage_features(
    event_files: Sequence[Path],
    daily_files: Sequence[Path],
    spine: pd.DataFrame,
    links: pd.DataFrame,
    seats: pd.DataFrame,
) -> pd.DataFrame:
    """Compute the usage features of every account and week of the spine.

    Parameters
    ----------
    event_files, daily_files : landed Parquet files of `usage_event` and `usage_daily`
    spine : account_id, week, as_of_at, knows_usage, usage_feed_at
    links : week, account_id and the source record it was linked to
    seats : account_id, week, seats_licensed

    Returns
    -------
    DataFrame, a row per row of the spine, with the columns of `int_usage_weekly`
    """
    events, daily = _read_events(event_files), _read_daily(daily_files)
    day_parts = _day_parts(events, daily)
    days = _days(day_parts, links)
    counted = spine.merge(seats, on=ACCOUNT_WEEK, how="inner")
    for part in (
        _activity(days),
        _users(events, links),
        _roll_up_users(days),
        _features(events, links),
        _last_uses(day_parts, links),
    ):
        counted = counted.merge(part, on=ACCOUNT_WEEK, how="left")
    return _named(counted)


def _first(rows: pd.DataFrame, key: list[str], columns: list[str]) -> pd.DataFrame:
    """The first delivery of what came twice; deleted ones go."""
    is_repeated = rows.duplicated(key, keep=False)
    repeated = rows[is_repeated].sort_values(["available_at", "load_sequence", *columns], kind="stable")
    kept = pd.concat([rows[~is_repeated], repeated.drop_duplicates(key)])
    return kept[~kept["is_deleted"].fillna(False).astype(bool)]


def _from_week(happened: pd.Series, available: pd.Series) -> tuple[pd.Series, pd.Series]:
    use_week = _monday(happened)
    return use_week, np.maximum(use_week, _monday(available - CUTOFF))


def _monday(moments: pd.Series) -> pd.Series:
    days = moments.dt.normalize()
    return days - days.dt.weekday * DAY


def _read_events(files: Sequence[Path]) -> pd.DataFrame:
    rows = pd.concat([pq.read_table(file, columns=EVENT_COLUMNS).to_pandas() for file in files], ignore_index=True)
    columns = ["occurred_at", "group_id", "user_id", "anonymous_id", "feature_key", "event_name"]
    events = _first(rows, ["source_system", "source_instance", "event_id"], columns)
    events = events[events["group_id"].notna()].rename(columns={"group_id": "source_account_id"})
    events["user_key"] = events["user_id"].fillna(events["anonymous_id"])
    events["feature_key"] = events["feature_key"].fillna(events["event_name"])
    events["day"] = events["occurred_at"].dt.normalize()
    events["use_week"], events["from_week"] = _from_week(events["occurred_at"], events["available_at"])
    return events[[*SOURCE, "user_key", "feature_key", "occurred_at", "day", "use_week", "from_week"]]


def _read_daily(files: Sequence[Path]) -> pd.DataFrame:
    rows = pd.concat([pq.read_table(file).to_pandas() for file in files], ignore_index=True)
    daily = _first(rows, [*SOURCE, "usage_date"], ["active_users", "events", "sessions", "features_used"])
    daily["day"] = pd.to_datetime(daily["usage_date"]).astype("datetime64[us]")
    daily["use_week"], daily["from_week"] = _from_week(daily["day"], daily["available_at"])
    daily["last_at"] = daily["day"] + DAY - pd.Timedelta(microseconds=1)
    return daily[[*SOURCE, "day", "use_week", "from_week", "events", "active_users", "features_used", "last_at"]]


def _in_weeks(uses: pd.DataFrame, links: pd.DataFrame, weeks: int) -> pd.DataFrame:
    """Put each use into its own week and the following ones, where it counts and its record was linked."""
    parts = []
    for later in range(weeks):
        part = uses.assign(week=uses["use_week"] + later * WEEK)
        parts.append(part[part["from_week"] <= part["week"]].merge(links, on=["week", *SOURCE]))
    return pd.concat(parts, ignore_index=True)


def _day_parts(events: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    grouped = events.groupby([*SOURCE, "day", "use_week", "from_week"], sort=False)["occurred_at"]
    of_events = grouped.agg(events="size", last_at="max").reset_index().assign(is_roll_up=False)
    return pd.concat([of_events, daily.assign(is_roll_up=True)], ignore_index=True)


def _days(day_parts: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    grouped = _in_weeks(day_parts, links, 8).groupby([*ACCOUNT_WEEK, "day", "is_roll_up"], sort=True)
    days = grouped.agg(
        events=("events", "sum"), active_users=("active_users", "max"), features_used=("features_used", "max")
    )
    days = days.reset_index().drop_duplicates([*ACCOUNT_WEEK, "day"])
    days = days[days["events"] > 0]
    return days.assign(is_recent=days["day"] >= days["week"] - 3 * WEEK)


def _activity(days: pd.DataFrame) -> pd.DataFrame:
    days = days.assign(
        recent_events=days["events"].where(days["is_recent"], 0),
        earlier_events=days["events"].where(~days["is_recent"], 0),
        roll_up_users=days["active_users"].where(days["is_recent"] & days["is_roll_up"]),
        roll_up_features=days["features_used"].where(days["is_recent"] & days["is_roll_up"]),
    )
    return (
        days.groupby(ACCOUNT_WEEK, sort=False)
        .agg(
            active_days=("is_recent", "sum"),
            events=("recent_events", "sum"),
            events_before=("earlier_events", "sum"),
            roll_up_users=("roll_up_users", "max"),
            roll_up_features=("roll_up_features", "max"),
        )
        .reset_index()
    )


def _users(events: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    known = events[events["user_key"].notna()]
    keys = [*SOURCE, "user_key", "use_week"]
    user_weeks = known.groupby(keys, sort=False)["from_week"].min().reset_index()
    person = [*ACCOUNT_WEEK, "source_system", "source_instance", "user_key"]
    used = _in_weeks(user_weeks, links, 4).drop_duplicates([*person, "use_week"])
    weeks_used = used.groupby(person, sort=False).size().rename("user_weeks").reset_index()
    return (
        weeks_used.groupby(ACCOUNT_WEEK, sort=False)["user_weeks"]
        .agg(active_users="size", user_weeks="sum")
        .reset_index()
    )


def _roll_up_users(days: pd.DataFrame) -> pd.DataFrame:
    recent = days[days["is_roll_up"] & days["is_recent"]].assign(use_week=lambda rows: _monday(rows["day"]))
    busiest = recent.groupby([*ACCOUNT_WEEK, "use_week"], sort=False)["active_users"].max().reset_index()
    return busiest.groupby(ACCOUNT_WEEK, sort=False)["active_users"].sum().rename("roll_up_user_weeks").reset_index()


def _features(events: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    known = events[events["feature_key"].notna()]
    keys = [*SOURCE, "feature_key", "use_week"]
    feature_weeks = known.groupby(keys, sort=False)["from_week"].min().reset_index()
    one = [*ACCOUNT_WEEK, "feature_key"]
    used = _in_weeks(feature_weeks, links, 4)[one].drop_duplicates()
    starts = feature_weeks.groupby([*SOURCE, "feature_key", "from_week"])["use_week"].min().reset_index()
    starts["first_week"] = starts.groupby([*SOURCE, "feature_key"])["use_week"].cummin()
    firsts = _as_known(starts, links, [*SOURCE, "feature_key"]).groupby(one)["first_week"].min().reset_index()
    used = used.merge(firsts, on=one)
    used["is_new"] = used["first_week"] >= used["week"] - 3 * WEEK
    return (
        used.groupby(ACCOUNT_WEEK, sort=False)["is_new"].agg(features="size", features_first_used="sum").reset_index()
    )


def _last_uses(day_parts: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    known = day_parts[day_parts["events"] > 0].groupby([*SOURCE, "from_week"])["last_at"].max().reset_index()
    known["last_at"] = known.groupby(SOURCE)["last_at"].cummax()
    return _as_known(known, links, SOURCE).groupby(ACCOUNT_WEEK)["last_at"].max().reset_index()


def _as_known(rows: pd.DataFrame, links: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """The newest row of each key that counted in each linked week."""
    keys = rows[key].drop_duplicates()
    asked = keys.merge(links, on=SOURCE).sort_values("week", kind="stable")
    ordered = rows.sort_values("from_week", kind="stable")
    found = pd.merge_asof(asked, ordered, left_on="week", right_on="from_week", by=key)
    return found[found["from_week"].notna()]


def _named(counted: pd.DataFrame) -> pd.DataFrame:
    knows, is_used = counted["knows_usage"].astype(bool), counted["events"].fillna(0) > 0
    larger_users = counted[["active_users", "roll_up_users"]].max(axis=1)
    larger_features = counted[["features", "roll_up_features"]].max(axis=1)
    events, before = counted["events"].fillna(0), counted["events_before"].fillna(0)
    users = larger_users.where(is_used, 0)
    user_weeks = counted[["user_weeks", "roll_up_user_weeks"]].max(axis=1).fillna(0)
    seats = counted["seats_licensed"].astype(float)
    idle = ((counted["as_of_at"] - counted["last_at"]) / DAY).apply(np.floor)
    silent = ((counted["as_of_at"] - counted["usage_feed_at"]) / DAY).apply(np.floor)
    status = np.select(
        [~knows, counted["last_at"].isna(), idle <= 28, silent.isna() | (silent > 28)],
        ["missing", "zero", "measured", "stale"],
        "zero",
    )
    return pd.DataFrame(
        {
            "account_id": counted["account_id"],
            "week": counted["week"],
            "active_users_28d": users.where(knows),
            "license_utilisation": (users / seats).where(knows & (seats > 0)),
            "active_days_28d": counted["active_days"].fillna(0).where(knows),
            "stickiness": (user_weeks / 4 / users).where(knows & (users > 0)),
            "feature_breadth_28d": larger_features.where(is_used, 0).where(knows),
            "usage_depth_28d": (events / users).where(knows & (users > 0)),
            "usage_change_share_4w": ((events - before) / before).where(knows & (before > 0)),
            "features_first_used_28d": counted["features_first_used"].where(is_used, 0).where(knows),
            "days_since_last_activity": idle.where(knows),
            "usage_status": status,
            "usage_newest_fact_age_days": idle.where(knows),
        }
    )
