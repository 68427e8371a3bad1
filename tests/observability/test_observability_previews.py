"""Previews in the Dagster UI: short Markdown tables of the newest week, sums only."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.observability.dagster_metadata import MARKDOWN_LIMIT, key_sentence, markdown_table, newest_week

OLD, NEW = date(2026, 11, 2), date(2026, 11, 9)


def test_the_newest_week_is_summed_by_group():
    table = pa.table(
        {
            "week": pa.array([OLD, NEW, NEW, NEW], pa.date32()),
            "tier": ["watch", "watch", "at_risk", "watch"],
            "arr": pa.array([Decimal(9), Decimal("1000.50"), None, Decimal(1)], pa.decimal128(18, 2)),
        }
    )
    assert newest_week(table, "tier", {"arr": "revenue"}).splitlines() == [
        "| tier | rows | revenue |",
        "|---|---:|---:|",
        "| watch | 2 | 1,001.5 |",
        "| at_risk | 1 |  |",
    ]
    assert newest_week(table.slice(0, 0), "tier", {}) == "No row."


@given(
    st.lists(st.fixed_dictionaries({"name": st.text(max_size=300), "count": st.integers() | st.none()}), max_size=80)
)
def test_a_table_is_short_and_says_what_it_leaves_out(rows):
    text = markdown_table(rows)
    assert len(text) < MARKDOWN_LIMIT
    shown = len([line for line in text.split("\n") if line.startswith("|")]) - 2
    assert text.endswith(f"{len(rows) - shown} more rows.") or shown == len(rows) or not rows


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("account_health_weekly", "Key: account_id, week; a slice per week. "),
        ("account_outcomes_weekly", "Key: account_id, week; a slice per week, by known_week. "),
        ("accounts", "Key: account_id; kept whole. "),
    ],
)
def test_an_asset_says_by_what_its_table_is_sliced(table, sentence):
    assert key_sentence(table).startswith(sentence)
