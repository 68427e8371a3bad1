"""What a report reads of a release: one file and its manifest, read-only, closed at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

Row = dict[str, Any]
# A quarter of a year before and after a change can be seen; more columns could not be told apart on paper.
TREND_WEEKS = 26


class NoReportError(ValueError):
    """A folder holds no release that a report can be made from; the message says what to do."""


@dataclass(frozen=True)
class ReleaseData:
    """Everything a weekly report shows, as rows of the published tables.

    Attributes
    ----------
    week : the newest published week
    before : the published week before it; None where it is the first
    manifest : of the release
    health, movements, changes, watermelons, plan, plan_accounts, freshness : rows of the week
    moved_measures : account_id to (feature, raw_value) of the main driver of its movement
    tier_counts, tier_revenue : (week, effective tier) to accounts and to revenue, of up to 26 weeks
    tasks, models, unmatched : whole snapshots
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
    freshness: list[Row]
    moved_measures: dict[str, tuple[str, float | None]]
    trend: list[Row]
    tasks: list[Row]
    models: list[Row]
    unmatched: list[Row]
    names: dict[str, str]
    scores_before: dict[str, float | None]

    def name_of(self, row: Row) -> str:
        """The name of a row's account; its id where the accounts table has none."""
        account_id = str(row["account_id"])
        return self.names.get(account_id, account_id)

    @property
    def trend_weeks(self) -> list[date]:
        """The weeks of the trend, in order."""
        return sorted({row["week"] for row in self.trend})


def read_release(release_folder: Path) -> ReleaseData:
    """Read what the weekly report of a release shows.

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

        def of_week(table: str) -> list[Row]:
            return _query(connection, f"select * from {table} where week = ? order by all", [week])

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
            freshness=of_week("source_freshness_weekly"),
            moved_measures={
                row["account_id"]: (row["feature"], row["raw_value"])
                for row in _query(connection, _MOVED_MEASURES, [week])
            },
            trend=_query(connection, _TREND, [first_of_trend]),
            tasks=_query(connection, "select * from review_tasks order by priority, due_date, task_id"),
            models=_query(connection, "select * from segment_models order by segment_model_id"),
            unmatched=_query(connection, "select * from unmatched_records order by all"),
            names={row["account_id"]: row["account_name"] for row in _query(connection, _NAMES)},
            scores_before={row["account_id"]: row["score"] for row in _query(connection, _SCORES, [before or week])}
            if before
            else {},
        )


_WEEKS = "select distinct week from account_health_weekly order by week desc limit 2"
_TREND = """
    select week, effective_tier, count(*) as accounts, sum(arr_reporting) as arr_reporting
    from account_health_weekly where week >= ? group by week, effective_tier order by week, effective_tier
"""
_MOVED_MEASURES = """
    select m.account_id, c.feature, c.raw_value
    from tier_movements_weekly as m
    inner join score_contributions_weekly as c
        on m.account_id = c.account_id and m.week = c.week and m.main_driver = c.measure
    where m.week = ? order by m.account_id
"""
_NAMES = "select account_id, coalesce(account_name, account_id) as account_name from accounts"
_SCORES = "select account_id, score from account_health_weekly where week = ?"


@contextmanager
def _opened(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(str(file), read_only=True)
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set threads = 2")
        yield connection
    finally:
        connection.close()


def _query(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
    rows: list[Row] = connection.execute(statement, list(parameters)).fetch_arrow_table().to_pylist()
    return rows
