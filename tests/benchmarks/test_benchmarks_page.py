"""The page and the JSON hold every figure, with the ratios a reader would compute by hand."""

from __future__ import annotations

import json

import pytest

from benchmarks.benchmark import Figures, NextWeek
from benchmarks.page import as_json, section, summary
from benchmarks.reviews import RunFigures, StageFigures
from benchmarks.scales import SCALES
from benchmarks.usage_comparison import Comparison, Timing

GIB = 2**30
MACHINE = {"commit": "0123456789", "cores": 2, "memory_gib": 8.0}


def run(label, seconds, peak, usage=None):
    stages = (
        StageFigures("identity", 5.0, 4.5, GIB),
        StageFigures("simulate the sources", 8.0, 7.0, GIB),
        StageFigures("review risks", 9.0, 8.5, GIB),
        StageFigures("score", 3.0, 2.5, GIB),
    )
    return RunFigures(label, StageFigures("whole", seconds, seconds * 0.8, peak), stages, usage)


@pytest.fixture
def figures():
    next_weeks = (
        NextWeek(52, run("next week, 52", 50.0, 2 * GIB, 2.0)),
        NextWeek(103, run("next week, 103", 55.0, 3 * GIB, 2.5)),
        # the machine is half as fast now: no growth
        NextWeek(52, run("next week, 52", 92.0, 2 * GIB, 4.0)),
        NextWeek(103, run("next week, 103", 109.0, 3 * GIB, 4.5)),
    )
    runs = (run("first load", 80.0, int(3.5 * GIB)), *(week.run for week in next_weeks))
    taken = (("models", 30.0), ("bare", 20.0), ("pandas", 60.0), ("models", 32.0), ("bare", 16.0), ("pandas", 64.0))
    timings = [Timing(way, seconds, seconds, GIB) for way, seconds in taken]
    first = Comparison(50_000_000, 1_040_000, 104, tuple(timings))
    newest = Comparison(50_000_000, 10_000, 1, (Timing("bare", 10.0, 10.0, GIB), Timing("pandas", 40.0, 40.0, GIB)))
    return Figures(SCALES["medium"], 10_000, 50_000_000, runs, next_weeks, first, newest)


def test_ratios_are_of_runs_side_by_side(figures):
    found = summary(figures)
    assert found["first_build_to_bare"] == pytest.approx((30 / 20 + 32 / 16) / 2)
    assert found["next_week_usage_to_bare"] == pytest.approx((2.5 + 4.5) / 2 / 10)
    # without the eight seconds of the simulation in each
    assert found["next_week_seconds"] == pytest.approx((47 + 101) / 2)
    assert found["first_next_week_seconds"] == pytest.approx((42 + 84) / 2)
    assert found["next_week_risk_stage_seconds"] == pytest.approx(9)
    assert found["growth_seconds"] == pytest.approx((47 / 42 + 101 / 84) / 2)
    assert found["growth_cpu_seconds"] == pytest.approx((55 / 50 + 109 / 92) / 2)
    assert found["peak_gib"] == pytest.approx(3.5)


def test_the_page_shows_targets_stages_ways_and_machine(figures):
    page = section(figures, MACHINE)
    for shown in (
        "| at most 2 x | 1.75 x |",
        "| at most 2 x | 0.35 x |",
        "| a next week, 52 published before, release included | 90 s | 63 s |",
        "| 90 s, 4 GiB | 74 s, 3.00 GiB; of it the risk stage 9 s (30 s asked); 82 s with the simulation",
        "| at most 1.2 x | 1.16 x (CPU 1.14 x) |",
        "one after the other, twice, each on the same kept state",
        "next week, 103, median of 2: s, CPU s, peak GiB",
        "| simulate the sources | 8.0, 7.0, 1.00 | 8.0, 7.0, 1.00 |",
        "| 4 GiB | 3.50 GiB |",
        "| identity | 5.0, 4.5, 1.00 | 5.0, 4.5, 1.00 |",
        "| whole | 71.0, 56.8, 2.00 | 82.0, 65.6, 3.00 |",
        "| first load | 80.0 | 64.0 | 3.50 |",
        "| bare DuckDB SQL | 20.00, 16.00 | 18.0 | 1.00 | 1.75 x |",
        "| pandas | 60.00, 64.00 | 62.0 | 1.00 | 0.50 x |",
        "commit 0123456789",
        "int_usage_weekly",
    ):
        assert shown in page


def test_the_json_holds_all_of_it(figures):
    content = json.loads(as_json(figures, MACHINE))
    assert content["machine"] == MACHINE
    assert content["first_build"]["timings"][2] == {
        "way": "pandas",
        "seconds": 60.0,
        "cpu_seconds": 60.0,
        "peak_bytes": GIB,
    }
    assert content["next_weeks"][1]["run"]["stages"][0]["stage"] == "identity"
    assert content["growth_seconds"] == pytest.approx((47 / 42 + 101 / 84) / 2)
