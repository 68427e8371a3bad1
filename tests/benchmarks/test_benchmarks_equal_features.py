"""dbt's models, bare DuckDB SQL and pandas give the same usage features of every account and week."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import duckdb
import pytest

from benchmarks.benchmark import opened, prepare
from benchmarks.scales import FIRST_WEEK, HISTORY_WEEKS, SCALES
from benchmarks.usage_comparison import Comparison, UsageComparison
from health_pipeline.contract.clocks import Week
from health_pipeline.identity.landed import build_landed
from health_pipeline.identity.store import write_crosswalk
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.pull import pull

WEEKS = 12


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> tuple[Comparison, UsageComparison]:
    """Ten weeks of the historical load and two weekly loads, with their late and repeated events and roll-ups."""
    folder = tmp_path_factory.mktemp("comparison")
    prepare(replace(SCALES["tiny"], accounts=150, events_per_account_week=3), folder)
    settings, company = opened(folder)
    last = Week(FIRST_WEEK + timedelta(weeks=HISTORY_WEEKS + 1))
    pull(settings, company, last.known_at(company.cutoff_hours))
    write_crosswalk(settings, build_landed(settings, Landing(settings.landing, settings.quarantine).manifest()))
    settings.warehouse.parent.mkdir(parents=True)
    duckdb.connect(str(settings.warehouse)).close()
    comparison = UsageComparison(settings, company, folder / "comparison")
    comparison.give_weeks([last.shift(number) for number in range(1 - WEEKS, 1)])
    return comparison.compare(1, ("models", "bare", "pandas")), comparison


def test_all_ways_ran_and_agree(compared):
    # `compare` refuses any difference
    comparison, _ = compared
    assert [timing.way for timing in comparison.timings] == ["models", "bare", "pandas"]
    assert comparison.weeks == WEEKS
    assert all(timing.seconds > 0 and timing.peak_bytes > 50_000_000 for timing in comparison.timings)


def test_what_was_compared_holds_late_and_repeated_events_and_roll_ups(compared):
    _, comparison = compared
    warehouse = str(comparison.copy.warehouse)
    with duckdb.connect(warehouse, read_only=True) as connection:
        landed = comparison.manifest.to_pylist()
        files = [row["path"] for row in landed if row["table_name"] == "usage_event"]
        rows, events = connection.execute(
            "select count(*), count(distinct event_id) from read_parquet(?)", [files]
        ).fetchone()
        late = connection.execute(
            "select count(*) from intermediate.int_usage_days where counts_from_week > usage_date + 7"
        )
        assert rows > events > 10_000
        assert late.fetchone()[0] > 0
        roll_ups = connection.execute("select count(*) from intermediate.int_usage_days where is_roll_up")
        assert roll_ups.fetchone()[0] > 0
        statuses = connection.execute("select distinct usage_status from intermediate.int_usage_weekly").fetchall()
    assert {"measured", "missing"} <= {status for (status,) in statuses}
