"""The benchmark at its smallest: every figure it promises is there, and the three ways give equal features."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from health_pipeline.settings import REPOSITORY

pytestmark = pytest.mark.long

STAGES = {
    "simulate the sources", "land", "identity", "dbt: history", "dbt: weekly features", "dbt: marts", "dbt: tests",
    "score", "plan", "candidate", "audit", "publish", "report",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    command = [sys.executable, "-m", "benchmarks", "--scale", "tiny", "--folder", str(folder)]
    command += ["--page", str(folder / "benchmarks.md")]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def figures(folder):
    return json.loads((folder / "tiny.json").read_text())


def test_each_stage_of_a_next_week_has_seconds_cpu_and_memory(figures):
    for next_week in figures["next_weeks"]:
        stages = {stage["stage"]: stage for stage in next_week["run"]["stages"]}
        assert stages.keys() >= STAGES
        for name in STAGES:
            assert stages[name]["seconds"] > 0
            assert stages[name]["cpu_seconds"] >= 0
            assert stages[name]["peak_bytes"] > 50_000_000


def test_the_stages_sum_to_the_run(figures):
    run = figures["next_weeks"][0]["run"]
    by_dagster = sum(stage["seconds"] for stage in run["stages"] if not stage["stage"].startswith("dbt: "))
    by_dbt = sum(stage["seconds"] for stage in run["stages"] if stage["stage"].startswith("dbt: "))
    # dbt's groups overlap: two nodes run at a time
    assert by_dagster < run["whole"]["seconds"] <= by_dagster + by_dbt + 0.5


def test_the_simulation_is_told_apart_from_the_review(figures):
    runs = [one["run"] for one in figures["next_weeks"] if one["published_before"] == 8]
    simulated = [
        stage["seconds"] for run in runs for stage in run["stages"] if stage["stage"] == "simulate the sources"
    ]
    whole = [run["whole"]["seconds"] for run in runs]
    assert figures["next_week_seconds_with_simulation"] == pytest.approx(sum(whole) / 2)
    assert figures["next_week_seconds"] == pytest.approx((sum(whole) - sum(simulated)) / 2)


def test_the_segments_and_both_histories_are_measured(figures):
    labels = [run["label"] for run in figures["runs"]]
    assert [week["published_before"] for week in figures["next_weeks"]] == [7, 8, 7, 8]
    # each time on the state as it was: the same load lands, the same week is published
    for run in (week["run"] for week in figures["next_weeks"]):
        assert {stage["stage"] for stage in run["stages"]} >= {"simulate the sources", "land", "publish"}
    assert sum(label.startswith("segments") for label in labels) == 1
    assert labels[0].startswith("first load")


def test_all_three_ways_ran_on_every_event_and_account_week(figures):
    # a difference in any feature of any account and week would have ended the benchmark
    first = figures["first_build"]
    assert [timing["way"] for timing in first["timings"]] == ["models", "bare", "pandas"] * 2
    assert first["weeks"] == figures["scale"]["published_before"][-1] + 1
    assert first["account_weeks"] > 30 * first["weeks"]
    assert first["events"] > 10_000
    taken = [timing["seconds"] for timing in first["timings"]]
    assert figures["first_build_to_bare"] == pytest.approx((taken[0] / taken[1] + taken[3] / taken[4]) / 2)


def test_the_page_shows_targets_machine_and_ways(folder, figures):
    page = (folder / "benchmarks.md").read_text()
    assert f"commit {figures['machine']['commit']}" in page
    assert f"cores {figures['machine']['cores']}" in page
    for asked in ("at most 2 x", "90 s, 4 GiB", "at most 1.2 x"):
        assert asked in page
    assert re.search(r"\| bare DuckDB SQL \| [\d.]+, [\d.]+ \|", page)
    assert re.search(r"\| pandas \| [\d.]+, [\d.]+ \|", page)
