"""What the demo company delivered, as frames with the account's place, for the tests that count in it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from health_pipeline.contract.landing import landing_tables
from health_pipeline.sources.demo import DemoCompany
from health_pipeline.sources.demo.calendar import HISTORY_START

# Fewer events than the demo has by default: shares and changes are the same, and a test waits less.
EVENTS = 10.0


@cache
def company(seed: int, accounts: int = 400, kind: str = "software") -> DemoCompany:
    return DemoCompany(seed, accounts, events_per_account_week=EVENTS, kind=kind)


def places(demo: DemoCompany, kind: str, ids: pd.Series) -> pd.Series:
    """The place in the simulation of the account behind each id of that kind's system; -1 for none."""
    world = demo._world
    of = {name: place for place, name in enumerate(world.source_ids[kind].to_pylist())}
    if kind == "usage":
        moved = world.new_workspace(np.arange(world.count)).to_pylist()
        of |= {name: place for place, name in enumerate(moved) if name}
    return ids.map(of).fillna(-1).astype(int)


@cache
def versions(seed: int, kind: str, table: str, accounts: int = 400) -> pd.DataFrame:
    """Every delivered row with its load, its account's place and, where it has an event time, the simulated week."""
    demo = company(seed, accounts)
    frames = [
        part.data.to_pandas().assign(load=load)
        for load in range(53)
        for part in demo._tables(kind, load)
        if part.table == table
    ]
    rows = pd.concat(frames, ignore_index=True)
    column = "group_id" if table == "usage_event" else "source_account_id"
    if column in rows:
        rows["account"] = places(demo, kind, rows[column])
    event_time = landing_tables()[table].event_time
    if event_time:
        at = pd.to_datetime(rows[event_time])
        rows["week"] = ((at - pd.Timestamp(HISTORY_START)).dt.days // 7).where(at.notna(), -1).astype(int)
    return rows


@cache
def records(seed: int, kind: str, table: str, accounts: int = 400) -> pd.DataFrame:
    """Every record as it stood last."""
    return versions(seed, kind, table, accounts).drop_duplicates(list(landing_tables()[table].key), keep="last")


def auc(higher: np.ndarray, lower: np.ndarray) -> float:
    """The chance that a value of the first is above one of the second, ties counted half; nulls left out."""
    higher, lower = higher[~np.isnan(higher)], lower[~np.isnan(lower)]
    difference = higher[:, None] - lower[None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())
