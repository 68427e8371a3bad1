"""What the signals miss: Horvitz and Thompson by hand, intervals against SciPy's own, coverage, too little."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from health_pipeline.reporting.missed_risks import (
    LookedWeek,
    missed_lines,
    missed_risks,
    missed_share,
    recall,
)
from health_pipeline.segmentation.methods.intervals import Interval

MONDAY = date(2026, 11, 9)
# Of so many that five drawn ones hardly shorten the list.
MANY = 1_000_000_000


def draws(weeks: int, per_week: int = 5, unflagged: int = 250) -> list[dict[str, Any]]:
    return [
        {
            "week": MONDAY - timedelta(weeks=week),
            "account_id": f"a{number}",
            "subject": "random_audit",
            "packet_id": None,
            "inclusion_share": per_week / unflagged,
        }
        for week in range(weeks)
        for number in range(per_week)
    ]


def finding(row: dict[str, Any], said: str = "no_risk", **more: Any) -> dict[str, Any]:
    plain = {"week": row["week"], "account_id": row["account_id"], "finding": said}
    return {**plain, "missed_category": None, "missed_signal": None, **more}


def flagged(name: str, week: date = MONDAY) -> dict[str, Any]:
    return {"week": week, "account_id": name, "subject": "risk", "packet_id": name, "inclusion_share": None}


def test_each_account_found_counts_for_one_over_its_chance() -> None:
    # 1 of 5 drawn of 250, and 2 of 4 looked at of 100: 50 and 50 missed, of 350
    found = missed_share([LookedWeek(250, 5, 1), LookedWeek(100, 4, 2)])
    assert found.value == pytest.approx(100 / 350)


@pytest.mark.parametrize(("looked_at", "missed"), [(20, 0), (20, 1), (60, 7), (20, 20)])
def test_in_one_week_of_very_many_it_is_clopper_and_pearsons_interval(looked_at: int, missed: int) -> None:
    found = missed_share([LookedWeek(MANY, looked_at, missed)])
    exact = stats.binomtest(missed, looked_at).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_nothing_found_among_twenty_leaves_up_to_a_sixth() -> None:
    # 1 - 0.025 ** (1 / 20)
    assert missed_share([LookedWeek(MANY, 20, 0)]).high == pytest.approx(0.16843, abs=1e-5)


def test_weeks_of_equal_weight_are_one_sample_and_unequal_ones_say_less() -> None:
    one = missed_share([LookedWeek(4 * MANY, 40, 4)])
    four = missed_share([LookedWeek(MANY, 10, missed) for missed in (0, 3, 1, 0)])
    assert (four.low, four.high) == pytest.approx((one.low, one.high), abs=1e-6)
    # the same 40 looked at, but most of the weight on 10 of them: they count for 10 ** 2 / 5.2, which is 19
    uneven = missed_share([LookedWeek(7 * MANY, 10, 1), *[LookedWeek(MANY, 10, 1)] * 3])
    assert uneven.value == pytest.approx(one.value)
    assert uneven.high > one.high and uneven.low < one.low


def test_where_all_were_looked_at_nothing_is_estimated() -> None:
    assert missed_share([LookedWeek(40, 40, 3)]) == Interval(0.075, 0.075, 0.075)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Weeks of unequal size with 4 % missed, five accounts looked at in each, 400 times over."""
    rng = np.random.default_rng(20261121)
    sizes = rng.integers(150, 350, size=12)
    truth = sum(round(size * 0.04) for size in sizes) / sizes.sum()
    covered = 0
    for _ in range(400):
        weeks = [
            LookedWeek(int(size), 5, int(rng.hypergeometric(round(size * 0.04), size - round(size * 0.04), 5)))
            for size in sizes
        ]
        found = missed_share(weeks)
        covered += found.low <= truth <= found.high
    assert covered / 400 >= 0.95


@given(st.lists(st.tuples(st.integers(5, 400), st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_the_estimate_lies_in_its_interval(drawn: list[tuple[int, int, int]]) -> None:
    found = missed_share([LookedWeek(size, looked, min(missed, looked)) for size, looked, missed in drawn])
    assert 0 <= found.low <= found.value + 1e-12 and found.value <= found.high + 1e-12 and found.high <= 1


def test_recall_has_the_limits_of_what_is_estimated() -> None:
    found = recall(60, Interval(40.0, 15.0, 90.0))
    assert found == Interval(0.6, 0.4, 0.8)
    assert recall(0, Interval(0.0, 0.0, 12.0)) is None


def test_draws_findings_and_what_was_flagged_together() -> None:
    queue = [
        *draws(5),
        *(flagged(name) for name in ("c1", "c2", "r1", "u1")),
        flagged("c1", MONDAY - timedelta(weeks=30)),
    ]
    statuses = {"c1": "confirmed", "c2": "confirmed", "r1": "refuted", "u1": "unconfirmed"}
    drawn = [row for row in queue if row["subject"] == "random_audit"]
    findings = [
        *(finding(row) for row in drawn[:19]),
        finding(drawn[19], "missed_risk", missed_category="support", missed_signal="backlog"),
        finding(drawn[20], "cannot_tell"),
        # of a week as it was before it was restated: the published one did not draw it
        finding({"week": MONDAY, "account_id": "gone"}, "missed_risk"),
    ]
    known = [MONDAY - timedelta(weeks=week) for week in range(5)]
    found = missed_risks(queue, findings, statuses, known)
    assert (found.weeks, found.drawn, found.looked_at, found.unclear, found.found) == (4, 25, 20, 1, 1)
    assert (found.unflagged, found.caught, found.undecided) == (1000, 2, 1)
    assert found.total is not None and found.total.value == pytest.approx(50)
    assert found.recall is not None and found.recall.value == pytest.approx(2 / 52)
    assert (found.signals, found.categories) == ({"backlog": 1}, {"support": 1})
    lines = "\n".join(missed_lines(found))
    assert "about 50 had one" in lines and "| backlog | 1 |" in lines and "1 more are not decided" in lines


def test_too_few_looked_at_is_said_and_unknown_is_not_zero() -> None:
    queue = draws(4)
    few = missed_risks(queue, [finding(row) for row in queue[:19]], {}, [row["week"] for row in queue])
    assert (few.looked_at, few.share, few.recall) == (19, None, None)
    assert "Not enough audited: fewer than 20 were looked at" in missed_lines(few)[-1]
    nobody = missed_risks(queue, [], {}, [])
    assert "what the signals miss is unknown" in missed_lines(nobody)[0]
    with pytest.raises(ValueError, match="somebody looked"):
        missed_share([LookedWeek(100, 0, 0)])
