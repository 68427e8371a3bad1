"""Product usage: events week by week, some late, repeated or missing, and roll-ups of self-hosted accounts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from health_pipeline.sources.demo.calendar import DAY, HISTORY_WEEKS, WEEKS, days, week_index, week_start
from health_pipeline.sources.demo.columns import contract_table, ids, joined, pick, source_schema
from health_pipeline.sources.demo.profile import FEATURES
from health_pipeline.sources.demo.world import World
from health_pipeline.sources.extract import TableExtract

EVENT_NAMES = (
    "dashboard_viewed", "report_run", "export_downloaded", "alert_opened", "comment_posted", "integration_synced",
    "workflow_started", "forecast_built", "mobile_opened", "api_called", "setting_changed", "audit_log_viewed",
)  # fmt: skip
_API = FEATURES.index("api")
_CLIENTS = ('{"client":"web"}', '{"client":"mobile"}', '{"client":"service"}')
# Load 24 missed this share of its week's events; load 25 brought them.
OUTAGE_LOAD = 24
OUTAGE_SHARE = 0.45
LATE_SHARES = {1: 0.010, 2: 0.004}
REPEATED_SHARE = 0.003
# In the story of late data a collector was down: what happened in these weeks arrives in the week after them.
_HELD_BACK = "late_data"
# Numbers of events are scattered over this range by a factor without a common divisor: an id tells its week only.
_ID_RANGE, _ID_FACTOR = 10**9, 387_420_489
_PARTS = {"main": 0, "late 1": 1, "late 2": 2, "repeated": 3, "held": 4}
# Beyond this many rows the historical load is written to a file rather than held in memory.
ROWS_IN_MEMORY = 2_000_000
_WEEKDAYS = np.array([0.19, 0.2, 0.2, 0.19, 0.16, 0.03, 0.03])


@dataclass(frozen=True)
class UsageLevels:
    """How much each account uses the product; arrays of shape (accounts, weeks).

    `enrolled` users take part at all, `attendance` is a user's chance to be there in a week, `intensity` the mean
    number of events of a user who is there, `breadth` how many features the account uses.
    """

    enrolled: np.ndarray
    attendance: np.ndarray
    intensity: np.ndarray
    breadth: np.ndarray


def usage_levels(world: World, events_per_account_week: float) -> UsageLevels:
    """Usage as a noisy consequence of value, sponsorship and season, and what the stories do to it."""
    rng = world.stream("usage levels")
    state, contracts, stories = world.state, world.contracts, world.stories
    count = world.count
    age = np.arange(WEEKS)[None, :] - week_index(world.accounts.started_at)[:, None]
    settled = np.clip(0.35 + age / 14, 0.3, 1.0)
    own = rng.normal(0, 0.08, (count, 1))
    share = np.clip(0.06 + 0.98 * state.value + own + rng.normal(0, 0.02, (count, WEEKS)), 0.08, 1.0)
    is_busy = stories.is_on("value_never_reached") | stories.is_on("narrow_use")
    share = np.where(is_busy, np.maximum(share, 0.8), share)
    pulled = stories.intensity("expansion_pull")
    share = np.clip(share + 0.25 * pulled + 0.2 * stories.intensity("rollout_questions"), 0, 1)
    weeks = np.arange(WEEKS)[None, :]
    leaving = (weeks > week_index(contracts.notice_at)[:, None]) & (weeks < week_index(contracts.returned_at)[:, None])
    enrolled = np.ceil(contracts.seats * share * settled * np.where(leaving, 0.7, 1.0)).astype(np.int64)
    attendance = np.clip(0.3 + 0.6 * state.value + 0.1 * (state.sponsorship - 0.6), 0.1, 0.95)
    attendance = np.where(is_busy, np.maximum(attendance, 0.8), attendance) * state.season
    attendance = attendance * (1 - 0.7 * _automated(world))
    attendance = np.clip(attendance + rng.normal(0, 0.03, (count, WEEKS)), 0.03, 0.97)
    depth = np.exp(rng.normal(0, 0.25, (count, 1))) * (0.45 + 0.9 * state.value)
    live = contracts.is_live
    typical = (enrolled * attendance * depth)[live].mean() if live.any() else 1.0
    breadth = 2 + 9.5 * np.clip(state.value + 0.5 * own + 0.12 * pulled, 0, 1)
    breadth = np.where(is_busy, np.minimum(breadth, 2.4), breadth)
    return UsageLevels(
        enrolled=np.where(live, enrolled, 0),
        attendance=attendance,
        intensity=depth * events_per_account_week / max(typical, 1e-9),
        breadth=np.clip(np.round(breadth), 2, len(FEATURES)).astype(np.int64),
    )


def _automated(world: World) -> np.ndarray:
    """How much of the people's work a machine has taken over, 0 to 1; shape (accounts, weeks)."""
    name = "automation_replaces_logins"
    since = np.arange(WEEKS)[None, :] - world.stories.start_week[:, None]
    return np.clip((since + 1) / 6, 0, 1) * (world.stories.accounts_in(name)[:, None] & (since >= 0))


@dataclass(frozen=True)
class Events:
    """Events as numbers; each array has shape (events,). User -1 is the account's service user."""

    account: np.ndarray
    user: np.ndarray
    occurred_at: np.ndarray
    feature: np.ndarray

    def taken(self, which: np.ndarray) -> Events:
        """Those events alone."""
        return Events(self.account[which], self.user[which], self.occurred_at[which], self.feature[which])


class UsageSource:
    """Draws the events of any week on demand, each week and purpose from a random stream of its own.

    Parameters
    ----------
    world : the simulated company
    events_per_account_week : mean number of events of a live account in a week
    folder : where a historical load too large for memory is written
    """

    def __init__(self, world: World, events_per_account_week: float, folder: Path) -> None:
        self.world = world
        self.levels = usage_levels(world, events_per_account_week)
        self.folder = folder
        self.events_per_account_week = events_per_account_week
        rng = world.stream("usage systems")
        self.sends_events = world.is_known["usage"] & ~world.is_self_hosted
        self.is_held_back = world.stories.is_on(_HELD_BACK)
        self.service_rate = np.where(world.stories.is_on("automation_burst"), 6.0 * events_per_account_week + 30, 0)
        self.service_rate = self.service_rate + _automated(world) * (0.8 * events_per_account_week + 15)
        self.user_offset = np.concatenate([[0], np.cumsum(world.contracts.seats.max(axis=1))])
        scattered = rng.permutation(int(self.user_offset[-1]))
        self.user_names = ids("u", scattered, 7)

    def events(self, week: int, purpose: str, share: float, senders: np.ndarray) -> Events:
        """The events of one week: `share` of the ordinary number, of the accounts in `senders` (shape (accounts,))."""
        rng = self.world.stream(f"usage {purpose}", week)
        enrolled = np.where(senders, self.levels.enrolled[:, week], 0)
        account = np.repeat(np.arange(len(enrolled)), enrolled)
        user = np.arange(len(account)) - np.repeat(np.cumsum(enrolled) - enrolled, enrolled)
        there = rng.random(len(account)) < self.levels.attendance[account, week]
        account, user = account[there], user[there]
        number = rng.poisson(self.levels.intensity[account, week] * share)
        account, user = np.repeat(account, number), np.repeat(user, number)
        rank = rng.random(len(account)) ** 1.7
        feature = np.floor(rank * self.levels.breadth[account, week]).astype(np.int64)
        if purpose == "main":
            account, user, feature = self._with_services(rng, week, account, user, feature)
        return self._dated(rng, week, account, user, feature)

    def _with_services(
        self, rng: np.random.Generator, week: int, account: np.ndarray, user: np.ndarray, feature: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Add what service users send, many calls of one feature, among the events of their accounts."""
        is_on = self.sends_events & (self.levels.enrolled[:, week] > 0)
        number = rng.poisson(np.where(is_on, self.service_rate[:, week], 0))
        if not number.any():
            return account, user, feature
        service = np.repeat(np.arange(len(number)), number)
        both = np.concatenate([account, service])
        order = np.argsort(both, kind="stable")
        user = np.concatenate([user, np.full(len(service), -1)])[order]
        return both[order], user, np.concatenate([feature, np.full(len(service), _API)])[order]

    def _dated(
        self, rng: np.random.Generator, week: int, account: np.ndarray, user: np.ndarray, feature: np.ndarray
    ) -> Events:
        size = len(account)
        weekday = np.searchsorted(np.cumsum(_WEEKDAYS)[:-1], rng.random(size), side="right")
        hour = np.clip(rng.normal(13.5, 3.0, size), 0.1, 23.8)
        events = Events(account, user, week_start(week) + days(weekday + hour / 24), feature)
        return events.taken(np.flatnonzero(self.world.in_contract(account, events.occurred_at)))

    def _workspaces(self, account: np.ndarray, week: int) -> pa.Array:
        """Which workspace each event is of: in a planned migration users move to another one within three weeks."""
        ids_of = self.world.account_ids("usage", account)
        since = week - self.world.stories.start_week
        moves = self.world.stories.accounts_in("planned_migration") & (since >= 0)
        if not moves.any():
            return ids_of
        # Every second event in the first week, nearly all in the second, all from the third on.
        turn = np.arange(len(account)) % 10
        has_moved = moves[account] & (turn < np.clip(5 + 4 * since, 0, 10)[account])
        return pc.if_else(pa.array(has_moved), self.world.new_workspace(account), ids_of)

    def _table(self, events: Events, week: int, part: str, received_at: np.ndarray | None = None) -> pa.Table:
        size = len(events.account)
        sent_at = events.occurred_at + np.timedelta64(2_000_000, "us")
        received_at = sent_at + np.timedelta64(90_000_000, "us") if received_at is None else received_at
        workspace = self._workspaces(events.account, week)
        service = joined("service-", workspace)
        person = self.user_names.take(pa.array(self.user_offset[events.account] + np.maximum(events.user, 0)))
        client = np.where(events.user < 0, 2, np.where(events.feature == FEATURES.index("mobile"), 1, 0))
        number = (np.arange(size) + _PARTS[part] * 10**8 + 13 * week) * _ID_FACTOR % _ID_RANGE
        return contract_table(
            "usage_event",
            "usage",
            size,
            {
                "event_id": ids(f"ev{week:03d}", number, 9),
                "event_name": pick(EVENT_NAMES, events.feature),
                "occurred_at": events.occurred_at,
                "sent_at": sent_at,
                "received_at": received_at,
                "user_id": pc.if_else(pa.array(events.user < 0), service, person),
                "group_id": workspace,
                "feature_key": pick(FEATURES, events.feature),
                "properties": pick(_CLIENTS, client),
                "source_created_at": received_at,
            },
        )

    def _at_once(self, week: int) -> np.ndarray:
        """Whose collector works in that week; shape (accounts,)."""
        return self.sends_events & ~self.is_held_back[:, week]

    def _main(self, week: int) -> pa.Table:
        share = 1.0 - sum(LATE_SHARES.values()) - REPEATED_SHARE
        return self._table(self.events(week, "main", share, self._at_once(week)), week, "main")

    def _released(self, week: int) -> list[pa.Table]:
        """What collectors that were mended this week send of the weeks before."""
        is_mended = self.sends_events & (self.world.stories.end_week == week)
        parts = []
        for before in range(max(week - 3, 0), week):
            senders = is_mended & self.is_held_back[:, before]
            if senders.any():
                events = self.events(before, "held", 1.0, senders)
                rng = self.world.stream("usage mended", week, before)
                received_at = week_start(week) + days(rng.uniform(0.1, 2, len(events.account)))
                parts.append(self._table(events, before, "held", received_at))
        return parts

    def _late(self, week: int, weeks_late: int) -> pa.Table:
        purpose = f"late {weeks_late}"
        events = self.events(week, purpose, LATE_SHARES[weeks_late], self._at_once(week))
        rng = self.world.stream("usage received", week, weeks_late)
        received_at = week_start(week + weeks_late) + days(rng.uniform(0.1, 6.9, len(events.account)))
        return self._table(events, week, purpose, received_at)

    def _repeated(self, week: int) -> pa.Table:
        return self._table(self.events(week, "repeated", REPEATED_SHARE, self._at_once(week)), week, "repeated")

    def _is_missed(self, rows: int) -> np.ndarray:
        return self.world.stream("usage outage").random(rows) < OUTAGE_SHARE

    def _parts(self, load: int) -> list[pa.Table]:
        """What a weekly load is made of."""
        week = HISTORY_WEEKS - 1 + load
        ordinary = self._main(week)
        if load == OUTAGE_LOAD:
            ordinary = ordinary.filter(pa.array(~self._is_missed(ordinary.num_rows)))
        repeated = self._repeated(week)
        # A few events come twice in one load, and again in the next.
        parts = [ordinary, repeated, repeated.slice(0, 5), self._repeated(week - 1), *self._released(week)]
        if load == OUTAGE_LOAD + 1:
            before = self._main(week - 1)
            parts.append(before.filter(pa.array(self._is_missed(before.num_rows))))
        return parts + [self._late(week - late, late) for late in LATE_SHARES]

    def _history_parts(self, week: int) -> list[pa.Table]:
        known_late = [self._late(week, late) for late in LATE_SHARES if week + late < HISTORY_WEEKS]
        return [self._main(week), self._repeated(week), *known_late]

    def event_extract(self, load: int) -> TableExtract:
        """The usage events of a load: a table, or the path of a Parquet file where it is large."""
        if load > 0:
            return TableExtract("usage_event", pa.concat_tables(self._parts(load)))
        live = self.world.contracts.is_live[:, :HISTORY_WEEKS].sum()
        if live * self.events_per_account_week <= ROWS_IN_MEMORY:
            parts = [part for week in range(HISTORY_WEEKS) for part in self._history_parts(week)]
            return TableExtract("usage_event", pa.concat_tables(parts).combine_chunks())
        path = self.folder / "usage_event_historical.parquet"
        with pq.ParquetWriter(path, source_schema("usage_event"), compression="zstd") as writer:
            for week in range(HISTORY_WEEKS):
                writer.write_table(pa.concat_tables(self._history_parts(week)))
        return TableExtract("usage_event", path)

    def _daily(self, week: int) -> pa.Table:
        """One row per self-hosted account and day of the week with any use."""
        senders = self.world.is_self_hosted & self.world.is_known["usage"]
        events = self.events(week, "daily", 1.0, senders)
        weekday = (events.occurred_at - week_start(week)) // DAY
        day_key = events.account * 7 + weekday
        keys, number = np.unique(day_key, return_counts=True)
        users = np.unique(day_key * 1_000 + events.user) // 1_000
        features = np.unique(day_key * 100 + events.feature) // 100
        account, weekday = np.divmod(keys, 7)
        usage_date = week_start(week) + weekday * DAY
        return contract_table(
            "usage_daily",
            "usage",
            len(keys),
            {
                "source_account_id": self.world.account_ids("usage", account),
                "usage_date": usage_date,
                "active_users": np.bincount(np.searchsorted(keys, users), minlength=len(keys)),
                "events": number,
                "sessions": np.maximum(number // 2, 1),
                "features_used": np.bincount(np.searchsorted(keys, features), minlength=len(keys)),
                "seats_licensed": self.world.contracts.seats[account, week],
                "source_created_at": usage_date + days(0.999),
            },
        )

    def daily_extract(self, load: int) -> TableExtract:
        """The daily roll-ups of a load."""
        weeks = range(HISTORY_WEEKS) if load == 0 else [HISTORY_WEEKS - 1 + load]
        return TableExtract("usage_daily", pa.concat_tables([self._daily(week) for week in weeks]))
