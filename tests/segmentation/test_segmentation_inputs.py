"""What a review reads from a release: as of its own time, and only the rows it asks for."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.published import read_published
from health_pipeline.segmentation.inputs import read_inputs
from health_pipeline.settings import Settings

QUARTER = Quarter(date(2026, 7, 1))
BEFORE = QUARTER.previous.last_week


@pytest.fixture
def settings(tmp_path: Path, as_table: Any) -> Settings:
    """A release with two accounts over the quarter; `b` is seen for four weeks of it."""
    settings = Settings(home=tmp_path)
    folder = settings.published / "releases" / "r1"
    folder.mkdir(parents=True)
    (settings.published / "current").symlink_to(folder)
    weeks = [BEFORE.shift(n) for n in range(-1, 14)]
    live = [(account, week) for week in weeks for account in ("a", "b") if account == "a" or week <= BEFORE.shift(4)]
    features = as_table([{"account_id": account, "week": week.monday} for account, week in live])
    outcomes = [
        {
            "account_id": account,
            "week": week.monday,
            "known_week": week.shift(13).monday,
            "has_churned_13w": account == "b",
        }
        for account, week in live
        if week <= BEFORE
    ]
    assigned = datetime.combine(BEFORE.monday, datetime.min.time()) + timedelta(days=8)
    treatments = [
        {"account_id": "a", "treatment_id": name, "strategy": "s", "arm": "treated", "source_system": "cs",
         "source_instance": "main", "assigned_at": at, "available_at": at}
        for name, at in (("early", assigned - timedelta(days=2)), ("late", assigned + timedelta(days=30)))
    ]  # fmt: skip
    with duckdb.connect(str(folder / "customer_health.duckdb")) as connection:
        for name, rows in (("account_outcomes_weekly", outcomes), ("account_treatments", treatments)):
            schema = mart_tables()[name].arrow_schema
            full = [dict.fromkeys(schema.names) | row for row in rows]
            connection.register("rows", pa.Table.from_pylist(full, schema=schema))
            connection.execute(f"create table {name} as from rows")
        connection.register("rows", features)
        connection.execute("create table account_features_weekly as from rows")
    return settings


def test_the_review_reads_its_own_time(settings: Settings) -> None:
    found = read_inputs(settings, QUARTER, 6)
    assert found.features["account_id"].tolist() == ["a"]
    assert found.features_before["account_id"].tolist() == ["a", "b"]
    assert found.before is None
    days = found.outcomes.set_index("account_id")["days_to_churn"]
    # b was still seen four weeks later, and not in the fifth.
    assert days["b"] == 4 * 7 + 3.5
    assert days.isna()["a"]
    # A treatment whose 13 weeks are not over by the quarter's end is of the next review.
    assert found.treatments["treatment_id"].tolist() == ["early"]
    # What was known of the account before it was assigned, in the week that was over then.
    assert [day.isoformat() for day in found.treatments["week"]] == [BEFORE.shift(-1).monday.isoformat()]


def test_only_the_rows_that_are_asked_for(settings: Settings) -> None:
    wanted = pa.table({"account_id": ["b"], "week": pa.array([BEFORE.monday], pa.date32())})
    rows = read_published(settings, "account_outcomes_weekly", rows_of=wanted)
    assert rows.select(["account_id", "week"]).to_pylist() == wanted.to_pylist()
    none = read_published(settings, "account_outcomes_weekly", rows_of=wanted.slice(0, 0))
    assert none.num_rows == 0
