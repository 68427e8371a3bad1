"""The comparison refuses a way that is wrong; samples and stretches of time are counted by hand."""

from __future__ import annotations

import duckdb
import pytest

from benchmarks.dbt_times import NodeRun, busy_intervals, busy_seconds
from benchmarks.page import put_section
from benchmarks.sampling import Samples
from benchmarks.usage_comparison import UnequalFeaturesError, UsageComparison


def written(folder, name, **changed):
    row = {
        "account_id": "'a'", "week": "date '2026-01-05'", "active_users_28d": "3", "license_utilisation": "0.5",
        "active_days_28d": "4", "stickiness": "0.25", "feature_breadth_28d": "2", "usage_depth_28d": "1.5",
        "usage_change_share_4w": "null::double", "features_first_used_28d": "0", "days_since_last_activity": "1",
        "usage_status": "'measured'", "usage_newest_fact_age_days": "1", **changed,
    }  # fmt: skip
    select = ", ".join(f"{value} as {column}" for column, value in row.items())
    duckdb.sql(f"copy (select {select}) to '{folder / name}.parquet' (format parquet)")


def compared(folder):
    comparison = object.__new__(UsageComparison)
    comparison.folder = folder
    comparison.refuse_difference("bare")


def test_equal_features_pass(tmp_path):
    written(tmp_path, "models")
    written(tmp_path, "bare", stickiness="0.25 + 1e-12")
    compared(tmp_path)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"active_users_28d": "4"}, "active_users_28d"),
        ({"active_users_28d": "null::bigint"}, "active_users_28d"),
        ({"stickiness": "0.26"}, "stickiness"),
        ({"usage_change_share_4w": "0.0"}, "usage_change_share_4w"),
        ({"usage_status": "'zero'"}, "usage_status"),
        ({"account_id": "'b'"}, "missing_rows"),
    ],
)
def test_any_other_value_is_refused(tmp_path, changed, named):
    written(tmp_path, "models")
    written(tmp_path, "bare", **changed)
    with pytest.raises(UnequalFeaturesError, match=named):
        compared(tmp_path)


def test_stretches_of_time_are_counted_once():
    nodes = [NodeRun("a", "g", 0.0, 2.0), NodeRun("b", "g", 1.0, 3.0), NodeRun("c", "g", 5.0, 6.0)]
    assert busy_intervals(nodes) == [(0.0, 3.0), (5.0, 6.0)]
    assert busy_seconds(nodes) == 4.0


def test_cpu_between_samples_is_interpolated_and_the_peak_is_of_the_stretch():
    samples = Samples([0.0, 1.0, 2.0], [0.0, 1.0, 3.0], [10, 50, 20])
    assert samples.cpu_between(0.5, 1.5) == 1.5
    assert samples.peak_between(1.5, 2.0) == 20
    assert samples.peak_between(0.0, 2.0) == 50


def test_a_section_is_replaced_and_the_others_stay(tmp_path):
    page = tmp_path / "benchmarks.md"
    for name, text in (("medium", "old"), ("small", "first"), ("medium", "new")):
        put_section(page, name, f"## {name}\n\n### inside\n\n{text}\n", ["small", "medium"])
    content = page.read_text()
    assert content.index("## small") < content.index("## medium")
    assert "first" in content and "new" in content and "old" not in content


def test_a_section_that_is_no_scale_stays_behind_them(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\n## texts\n\nby hand\n", encoding="utf-8")
    put_section(page, "small", "## small\n\nmeasured\n", ["small", "medium"])
    content = page.read_text()
    assert content.index("measured") < content.index("## texts") < content.index("by hand")
