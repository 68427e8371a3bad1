"""What a report reads of a release: one file and its manifest, read-only, closed at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from health_pipeline.policy.company import DOMAIN_KINDS
from health_pipeline.policy.pilot import PilotPolicy

Row = dict[str, Any]
# A quarter of a year before and after a change can be seen; more columns could not be told apart on paper.
TREND_WEEKS = 26
# Weeks before this one that say how many records a source usually brings.
RECORD_WEEKS = 9


class NoReportError(ValueError):
    """A folder holds no release that a report can be made from; the message says what to do."""


@dataclass(frozen=True)
class MovedMeasure:
    """The measure behind a movement, this week and the week before."""

    feature: str
    raw_before: float | None
    raw_after: float | None
    status_before: str | None
    status_after: str


@dataclass(frozen=True)
class ReleaseData:
    """Everything a weekly report shows, as rows of the published tables.

    Attributes
    ----------
    week : the newest published week
    before : the published week before it; None where it is the first
    manifest : of the release
    health, movements, changes, watermelons, plan, plan_accounts, capacity, freshness, themes, support, packets, queue
        Rows of the week.
    theme_features : (theme, feature_key, accounts, tickets_91d, arr_reporting, accounts_without_arr) of the week
    moved_measures : account_id to the main driver of its movement
    domains : (domain, status, accounts) of the week
    went_dark : domain to accounts that were known in it the week before and are not this week
    usage_change_median : of all accounts, against the four weeks before; None where it is not measured
    records : (source kind, week) to records known then, of up to ten weeks
    versions : column to its values, of policy_version and code_version, this week and the week before
    review_metrics : rows of review_metrics_weekly, all weeks in order
    risks : what the parts of the decision packet rate read of risk_packets, all weeks in order; none unless asked for
    queue_places : (week, account_id, queue_rank) of exception_queue_weekly, all weeks in order; none unless asked for
    trend : (week, effective_tier, accounts, arr_reporting) of up to 26 weeks
    tasks, models, unmatched : whole snapshots
    rows : rows of each table, all weeks; known values of a metric, and events of a type, as `table.name`
    names : account_id to account name
    scores_before : account_id to the score of the week before
    """

    week: date
    before: date | None
    manifest: dict[str, Any]
    health: list[Row]
    movements: list[Row]
    changes: list[Row]
    watermelons: list[Row]
    plan: list[Row]
    plan_accounts: list[Row]
    capacity: list[Row]
    freshness: list[Row]
    themes: list[Row]
    theme_features: list[Row]
    support: list[Row]
    packets: list[Row]
    queue: list[Row]
    review_metrics: list[Row]
    risks: list[Row]
    queue_places: list[Row]
    moved_measures: dict[str, MovedMeasure]
    domains: list[Row]
    went_dark: dict[str, set[str]]
    usage_change_median: float | None
    records: dict[tuple[str, date], int]
    versions: dict[str, tuple[set[str], set[str]]]
    trend: list[Row]
    tasks: list[Row]
    models: list[Row]
    unmatched: list[Row]
    rows: dict[str, int]
    names: dict[str, str]
    scores_before: dict[str, float | None]

    @cached_property
    def mail_domain(self) -> str | None:
        """What stands after the @ of every owner; None where they differ."""
        owners = {row["owner_email"] for row in self.health if row["owner_email"]}
        domains = {owner.rpartition("@")[2].lower() for owner in owners}
        return next(iter(domains)) if len(domains) == 1 and all("@" in owner for owner in owners) else None

    def owner_of(self, owner_email: str) -> str:
        """An owner's address, without the part that all owners share."""
        local, _, domain = owner_email.rpartition("@")
        return local if local and domain.lower() == self.mail_domain else owner_email

    def name_of(self, row: Row) -> str:
        """The name of a row's account; its id where the accounts table has none."""
        account_id = str(row["account_id"])
        return self.names.get(account_id, account_id)

    @property
    def trend_weeks(self) -> list[date]:
        """The weeks of the trend, in order."""
        return sorted({row["week"] for row in self.trend})


def read_release(release_folder: Path, pilot: PilotPolicy | None = None) -> ReleaseData:
    """Read what the weekly report of a release shows.

    Parameters
    ----------
    release_folder : of a published release
    pilot : of one on the first of the queue, every week's risks and queue are read; else none of them

    Raises
    ------
    NoReportError
        If the folder is no release, or holds no published week.
    """
    file, manifest_file = release_folder / "customer_health.duckdb", release_folder / "manifest.json"
    for needed in (file, manifest_file):
        if not needed.is_file():
            raise NoReportError(f"{needed} is not there; name the folder of a published release.")
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    with _opened(file) as connection:
        weeks = [row["week"] for row in _query(connection, _WEEKS)]
        if not weeks:
            raise NoReportError(f"{release_folder.name} holds no published week; run `health-pipeline weekly` first.")
        week = weeks[0]
        before = weeks[1] if len(weeks) > 1 else None
        first_of_trend = week - timedelta(weeks=TREND_WEEKS - 1)

        there = {row["table_name"] for row in _query(connection, _TABLES)}
        is_sampled = pilot is not None and pilot.start is not None and pilot.is_of_queue

        def of_week(table: str) -> list[Row]:
            # A release from before a table was published has nothing in it.
            query = f"select * from {table} where week = ? order by all"
            return _query(connection, query, [week]) if table in there else []

        return ReleaseData(
            week=week,
            before=before,
            manifest=manifest,
            health=of_week("account_health_weekly"),
            movements=of_week("tier_movements_weekly"),
            changes=of_week("score_changes_weekly"),
            watermelons=of_week("watermelon_accounts_weekly"),
            plan=of_week("action_plan_weekly"),
            plan_accounts=sorted(of_week("action_plan_accounts_weekly"), key=lambda row: row["plan_rank"]),
            capacity=of_week("plan_capacity_weekly"),
            freshness=of_week("source_freshness_weekly"),
            themes=of_week("defect_themes_weekly"),
            theme_features=_query(connection, _THEME_FEATURES, [week])
            if "defect_theme_accounts_weekly" in there
            else [],
            support=sorted(of_week("support_load_weekly"), key=lambda row: row["load_rank"]),
            packets=of_week("risk_packets"),
            queue=of_week("exception_queue_weekly"),
            review_metrics=_query(connection, "select * from review_metrics_weekly order by week, metric"),
            risks=_query(connection, _RISKS) if is_sampled and "risk_packets" in there else [],
            queue_places=_query(connection, _QUEUE_PLACES) if is_sampled and "exception_queue_weekly" in there else [],
            moved_measures=_moved_measures(connection, week, before),
            domains=_query(connection, _DOMAINS, [week]),
            went_dark=_went_dark(connection, week, before),
            usage_change_median=_query(connection, _USAGE_CHANGE, [week])[0]["change"],
            records={
                (row["source_kind"], row["week"]): row["records"]
                for row in _query(connection, _RECORDS, [week - timedelta(weeks=RECORD_WEEKS)])
            },
            versions=_versions(connection, week, before),
            trend=_query(connection, _TREND, [first_of_trend]),
            tasks=_query(connection, "select * from review_tasks order by priority, due_date, task_id"),
            models=_query(connection, "select * from segment_models order by segment_model_id"),
            unmatched=_query(connection, "select * from unmatched_records order by all"),
            rows=_rows(connection, sorted(there)),
            names={row["account_id"]: row["account_name"] for row in _query(connection, _NAMES)},
            scores_before={row["account_id"]: row["score"] for row in _query(connection, _SCORES, [before or week])}
            if before
            else {},
        )


_TABLES = "select table_name from information_schema.tables where table_schema = 'main'"
_WEEKS = "select distinct week from account_health_weekly order by week desc limit 2"
_RISKS = """
    select week, account_id, side, state, category, supporting_evidence, severity, owner_email, mitigation_options,
        escalation_role, escalation_decision, follow_up_date
    from risk_packets order by week, packet_id
"""
_QUEUE_PLACES = """
    select week, account_id, queue_rank from exception_queue_weekly where queue_rank is not null
    order by week, queue_rank
"""
_TREND = """
    select week, effective_tier, count(*) as accounts, sum(arr_reporting) as arr_reporting
    from account_health_weekly where week >= ? group by week, effective_tier order by week, effective_tier
"""
_MOVED_MEASURES = """
    select m.account_id, now.feature, now.raw_value as raw_after, now.status as status_after,
        was.raw_value as raw_before, was.status as status_before
    from tier_movements_weekly as m
    inner join score_contributions_weekly as now
        on m.account_id = now.account_id and m.week = now.week and m.main_driver = now.measure
    left join score_contributions_weekly as was
        on m.account_id = was.account_id and was.week = ? and m.main_driver = was.measure
    where m.week = ? order by m.account_id
"""
_THEME_FEATURES = """
    with by_account as (
        select theme, feature_key, account_id, sum(tickets_91d) as tickets_91d, max(arr_reporting) as arr_reporting
        from defect_theme_accounts_weekly where week = ? group by all having sum(tickets_91d) > 0
    )
    select theme, feature_key, count(*) as accounts, cast(sum(tickets_91d) as bigint) as tickets_91d,
        sum(arr_reporting) as arr_reporting, count(*) - count(arr_reporting) as accounts_without_arr
    from by_account group by all order by arr_reporting desc nulls last, theme, feature_key
"""
_STATUSES = " union all ".join(
    f"select account_id, week, '{domain}' as domain, {domain}_status as status from account_features_weekly"
    for domain in DOMAIN_KINDS
)
_DOMAINS = f"""
    select domain, status, count(*) as accounts from ({_STATUSES})
    where week = ? and status is not null group by all order by all
"""
_WENT_DARK = f"""
    with statuses as ({_STATUSES})
    select now.domain, now.account_id
    from statuses as now
    inner join statuses as was on now.account_id = was.account_id and now.domain = was.domain and was.week = ?
    where now.week = ? and was.status in ('measured', 'zero') and now.status in ('missing', 'stale')
    order by all
"""
_USAGE_CHANGE = "select median(usage_change_share_4w) as change from account_features_weekly where week = ?"
_RECORDS = "select source_kind, week, records from source_freshness_weekly where week >= ? and records is not null"
_NAMES = "select account_id, coalesce(account_name, account_id) as account_name from accounts"
_SCORES = "select account_id, score from account_health_weekly where week = ?"


def _moved_measures(connection: duckdb.DuckDBPyConnection, week: date, before: date | None) -> dict[str, MovedMeasure]:
    rows = _query(connection, _MOVED_MEASURES, [before or week, week])
    return {row.pop("account_id"): MovedMeasure(**row) for row in rows}


def _went_dark(connection: duckdb.DuckDBPyConnection, week: date, before: date | None) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in _query(connection, _WENT_DARK, [before, week]) if before else []:
        found.setdefault(row["domain"], set()).add(row["account_id"])
    return found


def _versions(
    connection: duckdb.DuckDBPyConnection, week: date, before: date | None
) -> dict[str, tuple[set[str], set[str]]]:
    def values(column: str, of: date | None) -> set[str]:
        query = f"select distinct {column} as value from account_health_weekly where week = ? and {column} is not null"
        return {row["value"] for row in _query(connection, query, [of])} if of else set()

    return {column: (values(column, before), values(column, week)) for column in ("policy_version", "code_version")}


@contextmanager
def _opened(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(str(file), read_only=True)
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set threads = 2")
        yield connection
    finally:
        connection.close()


_HELD = {
    "review_metrics_weekly": "select metric as name, count(value) as rows from review_metrics_weekly group by metric",
    "measurement_events": "select event_type as name, count(*) as rows from measurement_events group by event_type",
}


def _rows(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> dict[str, int]:
    counts = {name: _query(connection, f"select count(*) as rows from {name}")[0]["rows"] for name in tables}
    held = {
        f"{table}.{row['name']}": row["rows"]
        for table, query in _HELD.items()
        if table in counts
        for row in _query(connection, query)
    }
    return counts | held


def _query(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
    rows: list[Row] = connection.execute(statement, list(parameters)).fetch_arrow_table().to_pylist()
    return rows
