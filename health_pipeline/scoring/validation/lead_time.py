"""How long before a customer left the tier said so: lead times, and how often it said so of those who stayed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from health_pipeline.scoring.validation.readings import LABEL_WEEKS, Readings
from health_pipeline.segmentation.methods.intervals import Interval, wilson


@dataclass(frozen=True)
class SeenBefore:
    """Events that had been at risk at least so many weeks before.

    Attributes
    ----------
    weeks : whole weeks between the reading that could be known and the week of the event
    events : with a reading that long before; only these could have been seen
    seen : of them, those with an at-risk reading in the look-back, that long before or longer
    share : with Wilson's interval; None where there are too few events
    stayers_share : accounts that did not leave, read over the same weeks: share with such an at-risk reading
    """

    weeks: int
    events: int
    seen: int
    share: Interval | None
    stayers_share: float


@dataclass(frozen=True)
class LeadTimes:
    """Lead times of all events.

    Attributes
    ----------
    events : DataFrame, a row per event: event_week (number), weeks_read (how far back readings go in the
        look-back), lead_weeks
        (NaN where it was never at risk in the look-back). No account: this is about the score.
    median : weeks, over the events that were seen; None where there are too few events
    seen : by the weeks asked for
    """

    events: pd.DataFrame
    median: Interval | None
    seen: tuple[SeenBefore, ...]


def leaving_weeks(readings: Readings) -> pd.DataFrame:
    """When accounts left: DataFrame of account_id, event_week (weeks since 1970-01-05), a row per event.

    The label of week w says whether the last subscription had ended 13 weeks later. So the first week of a run of such
    labels, after a week without, dates the end to week w + 13; where an account's readings begin inside the run, it
    is the week after its last reading of the run.
    """
    rows = readings.rows[["account_id", "week_number", "churned"]].sort_values(["account_id", "week_number"])
    before = rows.groupby("account_id")[["week_number", "churned"]].shift()
    follows = before["week_number"] == rows["week_number"] - 1
    left = rows["churned"] == 1
    begins = left & ~(follows & (before["churned"] == 1))
    runs = rows[left].assign(run=begins.cumsum()[left]).groupby("run")
    accounts, starts, lasts = runs["account_id"].first(), runs["week_number"].min(), runs["week_number"].max()
    is_dated = (follows & (before["churned"] == 0))[begins].to_numpy(dtype=bool)
    event_weeks = np.where(is_dated, starts + LABEL_WEEKS, _end_of_readings(readings, accounts, lasts) + 1)
    return pd.DataFrame({"account_id": accounts, "event_week": event_weeks.astype(np.int64)}).reset_index(drop=True)


def _end_of_readings(readings: Readings, accounts: pd.Series, lasts: pd.Series) -> NDArray[np.int64]:
    """The last of the consecutive published readings from each run's last label on, at most 13 weeks after it."""
    there = set(zip(readings.calendar["account_id"], readings.calendar["week_number"].tolist(), strict=True))
    ends = []
    for account, last in zip(accounts, lasts.tolist(), strict=True):
        week = last
        while (account, week + 1) in there and week + 1 < last + LABEL_WEEKS:
            week += 1
        ends.append(week)
    return np.array(ends, dtype=np.int64)


def lead_times(
    readings: Readings,
    *,
    weeks: tuple[int, ...],
    lookback: int,
    minimum_events: int,
    confidence: float,
    counts_notices: bool = True,
) -> LeadTimes:
    """Weeks between the first at-risk reading and the event, over the readings as published.

    A reading of week w is known on the Monday after, and the event of week e may be as early as its Monday: e - w - 1
    whole weeks. Only at-risk readings in the `lookback` weeks before the event count as a warning of it.

    Parameters
    ----------
    readings : from `join_readings`
    weeks : horizons, whole weeks
    lookback : whole weeks
    minimum_events : fewer: no share and no median
    counts_notices : False leaves out readings at risk because of a decisive fact, such as a notice not to renew:
        what is left is what the score saw by itself

    Returns
    -------
    LeadTimes
    """
    events = leaving_weeks(readings)
    grid = _flag_grid(readings, counts_notices=counts_notices)
    flags, columns = grid.to_numpy(dtype=float), grid.columns.to_numpy(dtype=np.int64)
    stays = ~grid.index.isin(events["account_id"])
    places = grid.index.get_indexer(pd.Index(events["account_id"]))
    found: list[tuple[int, float, float]] = []
    stayed = np.zeros((len(weeks), 2), dtype=np.int64)
    for place, week in zip(places, events["event_week"].tolist(), strict=True):
        leads = week - columns - 1
        window = (leads >= 0) & (leads <= lookback)
        read = leads[window & ~np.isnan(flags[place])]
        flagged = leads[window & (flags[place] == 1)]
        found.append((week, read.max() if len(read) else np.nan, flagged.max() if len(flagged) else np.nan))
        stayed += [_stayers(flags[stays], columns, week, (leads >= horizon) & window) for horizon in weeks]
    table = pd.DataFrame(found, columns=["event_week", "weeks_read", "lead_weeks"])
    seen = tuple(
        _seen(table, horizon, counts.tolist(), minimum_events, confidence)
        for horizon, counts in zip(weeks, stayed, strict=True)
    )
    return LeadTimes(table, _median(table, minimum_events, confidence), seen)


def _flag_grid(readings: Readings, *, counts_notices: bool) -> pd.DataFrame:
    """Accounts by weeks: 1 at risk, 0 not, NaN not read."""
    calendar = readings.calendar
    is_flagged = calendar["tier"] == "at_risk"
    if not counts_notices:
        is_flagged &= ~calendar["has_notice"]
    table = calendar.assign(is_flagged=is_flagged.astype(float))
    return table.pivot(index="account_id", columns="week_number", values="is_flagged")


def _stayers(flags: NDArray[np.float64], columns: NDArray[np.int64], week: int, window: NDArray[np.bool_]) -> list[int]:
    """Of those who were customers in the week before and stayed: with a reading in the window, and at risk in it."""
    live = flags[~np.isnan(flags[:, columns == week - 1]).all(axis=1)][:, window]
    return [int((~np.isnan(live)).any(axis=1).sum()), int((live == 1).any(axis=1).sum())]


def _seen(events: pd.DataFrame, horizon: int, stayed: list[int], minimum_events: int, confidence: float) -> SeenBefore:
    could = events[events["weeks_read"] >= horizon]
    seen = int((could["lead_weeks"] >= horizon).sum())
    read, flagged = stayed
    return SeenBefore(
        weeks=horizon,
        events=len(could),
        seen=seen,
        share=wilson(seen, len(could), confidence) if len(could) >= minimum_events else None,
        stayers_share=flagged / read if read else float("nan"),
    )


def _median(events: pd.DataFrame, minimum_events: int, confidence: float) -> Interval | None:
    """Median of the lead times that there are, with the exact order-statistic interval (David and Nagaraja 2003)."""
    leads = np.sort(events["lead_weeks"].dropna().to_numpy(dtype=float))
    if len(leads) < minimum_events:
        return None
    below = max(int(stats.binom.ppf((1 - confidence) / 2, len(leads), 0.5)) - 1, 0)
    return Interval(float(np.median(leads)), float(leads[below]), float(leads[len(leads) - 1 - below]))
