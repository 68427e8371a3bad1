"""Rows of dbt's intermediate tables, in all and by week, as the run's page shows them."""

from __future__ import annotations

from datetime import date

import duckdb

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.warehouse import RowCounts, intermediate_rows
from health_pipeline.settings import Settings


def test_tables_are_counted_by_week_where_they_have_weeks_and_views_are_left_out(tmp_path):
    settings = Settings(home=tmp_path)
    settings.warehouse.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute("create schema intermediate; create schema marts")
        warehouse.execute("create table intermediate.versions as select 1 as id union all select 2")
        warehouse.execute(
            "create table intermediate.weekly as select date '2026-11-02' as week, 1 as id union all "
            "select date '2026-10-26', 1 union all select date '2026-10-26', 2"
        )
        warehouse.execute("create view intermediate.a_view as from intermediate.versions")
        warehouse.execute("create table marts.not_this as select 1 as id")
    weeks = [Week(date(2026, 11, 2)), Week(date(2026, 11, 9))]
    assert intermediate_rows(settings, weeks) == {
        "versions": RowCounts(2, {}),
        "weekly": RowCounts(3, {"2026-11-02": 1, "2026-11-09": 0}),
    }
