"""Common causes: found from hand-made weeks, told once, and each movement counted for one of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from health_pipeline.policy.company import load_company
from health_pipeline.reporting.causes import common_causes, is_unusual, largest_part, usual_records
from health_pipeline.reporting.release_data import MovedMeasure, read_release
from health_pipeline.reporting.sections import movement_table
from health_pipeline.reporting.verdict import verdict

USAGE = MovedMeasure("usage_change_share_4w", 0.1, -0.3, "measured", "measured")
CSAT = MovedMeasure("csat_91d", 0.9, 0.4, "measured", "measured")


def movement(account: str, direction: str = "down", **more):
    return {
        "account_id": account,
        "movement": direction,
        "tier_before": "healthy",
        "tier_after": "watch",
        "tier_reason": "score",
        "main_driver": "some_measure",
        "arr_reporting": None,
        **more,
    }


def change(account: str, moved: float = -5.0, **parts: float):
    split = {
        f"change_from_{part}": parts.get(part, 0.0) for part in ("code", "policy", "scorecard", "coverage", "data")
    }
    return {
        "account_id": account,
        "score_before": 70.0,
        "score_after": 70.0 + moved,
        "score_change": moved,
        "main_driver": "some_measure",
        "main_driver_change": moved,
        **(split if parts else {**split, "change_from_data": moved}),
    }


def records_of(data, kind: str, weekly: list[int]) -> dict:
    """What was known week by week when the newest week brought the last number."""
    total, known = 1000, {(kind, data.week - timedelta(weeks=len(weekly))): 1000}
    for back, count in zip(range(len(weekly) - 1, -1, -1), weekly, strict=True):
        total += count
        known[(kind, data.week - timedelta(weeks=back))] = total
    return known


@pytest.fixture
def calm(release):
    """A week in which two accounts fell and nothing is shared."""
    data = read_release(release)
    return replace(
        data,
        movements=[movement("acc-00001"), movement("acc-00002")],
        changes=[change("acc-00001"), change("acc-00002")],
        moved_measures={"acc-00001": USAGE, "acc-00002": CSAT},
        records={},
        went_dark={},
        usage_change_median=0.01,
    )


def test_a_calm_week_has_no_common_cause(calm):
    assert common_causes(calm) == []
    assert common_causes(replace(calm, before=None, usage_change_median=-0.5)) == []


def test_a_source_that_brought_half_explains_what_rests_on_it(calm):
    data = replace(calm, records=records_of(calm, "usage", [8000, 8200, 8100, 8300, 8000, 4100]))
    (cause,) = common_causes(data)
    assert cause.movements == {"acc-00001"}
    assert cause.tag == "unusual product usage data"
    # The median of the five weeks before is 8,100; 4,100 is 49 % less.
    assert cause.sentence.startswith(
        "Product usage brought 4,100 new records this week, 49 % fewer than usual (8,100): an outage, late records"
    )
    rows = {row[0].text: row for row in movement_table(data, "USD", [cause]).rows}
    details = [rows[data.name_of({"account_id": name})][-1].detail for name in ("acc-00001", "acc-00002")]
    assert details == ["common cause: unusual product usage data; −5.0 of −5.0 points", "−5.0 of −5.0 points"]
    sentence = dict(verdict(data, load_company(None).model).statements)["Since last week"]
    assert "Common causes: unusual product usage data; they may explain 1 of 2 movements." in sentence


@pytest.mark.parametrize(
    ("now", "usual", "expected"),
    [
        (75, 100, False),  # at the bound
        (59, 100, True),  # 41 below 100: more than 4 x 10
        (61, 100, False),  # far, and within chance
        (20, 36, False),
        (7400, 10_000, True),
        (13_400, 10_000, True),
        (13_300, 10_000, False),
        (5, 0.0, False),
    ],
)
def test_unusual_is_far_and_more_than_chance(now, usual, expected):
    assert is_unusual(now, usual) is expected


def test_too_few_weeks_say_nothing_of_a_source(calm):
    data = replace(calm, records=records_of(calm, "usage", [8000, 8200, 8100, 100]))
    assert usual_records(data, "usage") == (None, None)
    assert common_causes(data) == []


def test_a_changed_policy_is_told_once_and_takes_the_movements_it_made(calm):
    data = replace(
        calm,
        versions={"policy_version": ({"a"}, {"b"}), "code_version": ({"1"}, {"1"})},
        changes=[change("acc-00001", policy=-4.0, data=-1.0), change("acc-00002", policy=1.0, data=-6.0)],
    )
    (cause,) = common_causes(data)
    assert cause.movements == {"acc-00001"}
    assert cause.sentence == (
        "The policy documents are others than last week's: 2 scores changed by that, by −1.5 points on average."
    )
    assert movement_table(data, "USD", [cause]).rows[0][-1].text in {
        "changed policy documents",
        movement_table(data, "USD").rows[0][-1].text,
    }


def test_another_code_and_another_scorecard_are_causes_too(calm):
    data = replace(
        calm,
        versions={"policy_version": ({"a"}, {"a"}), "code_version": ({"1"}, {"2"})},
        changes=[change("acc-00001", code=-4.0), change("acc-00002", scorecard=-5.0)],
    )
    found = {cause.tag: cause.movements for cause in common_causes(data)}
    assert found == {"changed code": {"acc-00001"}, "another scorecard": {"acc-00002"}}


def test_a_domain_that_went_dark_for_many_is_one_cause(calm):
    dark = {"support": {f"acc-{number:05d}" for number in range(2, 12)}}
    data = replace(calm, went_dark=dark, changes=[change("acc-00001"), change("acc-00002", coverage=-5.0)])
    (cause,) = common_causes(data)
    assert cause.movements == {"acc-00002"}
    assert cause.sentence.startswith("10 accounts lost everything known of their support this week (from support desk)")
    few = replace(data, went_dark={"support": {"acc-00002", "acc-00003"}})
    assert common_causes(few) == []


def test_a_season_explains_use_that_moves_with_it(calm):
    down = replace(calm, usage_change_median=-0.18)
    (cause,) = common_causes(down)
    assert (cause.tag, cause.movements) == ("everybody uses it less", {"acc-00001"})
    assert "at least 18 % less than in the four weeks before" in cause.sentence
    # Everybody uses it more: an account that uses it less is news.
    (rise,) = common_causes(replace(calm, usage_change_median=0.2))
    assert (rise.tag, rise.movements) == ("everybody uses it more", frozenset())


def test_a_movement_counts_for_one_cause_only(calm):
    data = replace(
        calm,
        usage_change_median=-0.3,
        records=records_of(calm, "usage", [8000, 8200, 8100, 8300, 8000, 4100]),
        versions={"policy_version": ({"a"}, {"b"}), "code_version": ({"1"}, {"1"})},
        changes=[change("acc-00001", policy=-5.0), change("acc-00002")],
    )
    found = {cause.tag: len(cause.movements) for cause in common_causes(data)}
    assert found == {"changed policy": 1, "unusual product usage data": 0, "everybody uses it less": 0}


def test_the_largest_part_of_a_change():
    assert largest_part(change("a", policy=-1.0, data=0.5)) == "policy"
    assert largest_part({"account_id": "a"}) is None
    assert largest_part(None) is None
