"""The emitted plan: the published week's proposals and open tasks, formulas shown and not run, written whole."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.planning.emission import emit_plan, escape_formula

WEEK = Week(date(2026, 11, 9))


def plan_row(account: str, rank: int, week: date = WEEK.monday, **values) -> dict:
    row = dict.fromkeys(mart_tables()["action_plan_accounts_weekly"].arrow_schema.names)
    return {**row, "account_id": account, "week": week, "plan_rank": rank, "as_of_at": datetime(2026, 11, 16), **values}


def task_row(task: str, state: str, priority: int, **values) -> dict:
    row = dict.fromkeys(mart_tables()["review_tasks"].arrow_schema.names)
    return {**row, "task_id": task, "state": state, "priority": priority, **values}


def emitted(folder, plan: list[dict], tasks: list[dict]):
    return emit_plan(
        folder,
        "r000001",
        WEEK,
        pa.Table.from_pylist(plan, mart_tables()["action_plan_accounts_weekly"].arrow_schema),
        pa.Table.from_pylist(tasks, mart_tables()["review_tasks"].arrow_schema),
    )


def test_the_weeks_plan_comes_in_its_order_and_only_open_tasks(tmp_path):
    files = emitted(
        tmp_path,
        [plan_row("b", 2), plan_row("a", 1, drivers="=HYPERLINK(1)"), plan_row("old", 1, week=date(2026, 11, 2))],
        [task_row("t2", "open", 2), task_row("t1", "open", 1), task_row("t0", "quiet", 1)],
    )
    assert [path.relative_to(tmp_path).as_posix() for path in files] == [
        "2026-11-09/action_plan.csv",
        "2026-11-09/action_plan.jsonl",
        "2026-11-09/review_tasks.csv",
        "2026-11-09/review_tasks.jsonl",
    ]
    rows = list(csv.DictReader(files[0].open()))
    assert [(row["account_id"], row["release"], row["drivers"]) for row in rows] == [
        ("a", "r000001", "'=HYPERLINK(1)"),
        ("b", "r000001", ""),
    ]
    lines = [json.loads(line) for line in files[1].read_text().splitlines()]
    assert [line["drivers"] for line in lines] == ["=HYPERLINK(1)", None]
    assert [row["task_id"] for row in csv.DictReader(files[2].open())] == ["t1", "t2"]


def test_emitting_again_writes_the_same_bytes(tmp_path):
    first = [path.read_bytes() for path in emitted(tmp_path, [plan_row("a", 1)], [])]
    assert [path.read_bytes() for path in emitted(tmp_path, [plan_row("a", 1)], [])] == first
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_run_is_shown(text):
    assert escape_formula(text) == "'" + text


@given(st.one_of(st.integers(), st.none(), st.text().filter(lambda text: text[:1] not in tuple("=+-@\t\r"))))
def test_everything_else_stays_as_it_is(value):
    assert escape_formula(value) == value
