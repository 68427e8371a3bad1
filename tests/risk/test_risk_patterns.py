"""Patterns on paths written by hand, and common causes: they fit, do not fit, or can't be told."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from signal_cases import MONDAY, policy, record, review, signal

from health_pipeline.policy.risk_signals import BenignExplanation, Comparison, Observation
from health_pipeline.risk.patterns import FeaturePaths, pace, patterns_of

NAN = float("nan")


@pytest.mark.parametrize(
    ("path", "is_rising", "way"),
    [
        ([20, 20, 20, 20, 20, 12, 6, 4, 4], False, "sudden"),
        ([20, 18, 16, 14, 12, 10, 8, 6, 4], False, "gradual"),
        ([4, 4, 4, 4, 4, 8, 14, 20, 20], True, "sudden"),
        # exactly four fifths in the newer half, and a little less
        ([10, 10, 9, 9, 8, 6, 4, 2, 0], False, "sudden"),
        ([10, 10, 9, 8, 7.9, 6, 4, 2, 0], False, "gradual"),
        # it moved the other way, not at all, or is hardly known
        ([4, 8, 12, 16, 20], False, None),
        ([5, 5, 5, 5, 5], False, None),
        ([20, NAN, NAN, 10, NAN, 4], False, None),
        ([20, NAN, 20, NAN, 20, 4], False, "sudden"),
        ([], True, None),
    ],
)
def test_the_pace_of_a_move(path, is_rising, way):
    assert pace(path, is_rising) == way


def test_paths_are_by_account_and_week():
    rows = pa.table(
        {
            "account_id": ["a", "b", "a"],
            "week": pa.array([MONDAY, MONDAY, MONDAY - timedelta(weeks=2)], pa.date32()),
            "open_backlog": pa.array([3, None, 1], pa.int64()),
        }
    )
    paths = FeaturePaths(rows, ["open_backlog"])
    np.testing.assert_array_equal(paths.path("open_backlog", "a", MONDAY, 8), [1, NAN, 3])
    np.testing.assert_array_equal(paths.path("open_backlog", "a", MONDAY, 1), [NAN, 3])
    np.testing.assert_array_equal(paths.path("open_backlog", "b", MONDAY, 0), [NAN])
    assert paths.path("open_backlog", "c", MONDAY, 8).size == 0


@pytest.mark.parametrize(("days", "near"), [(-1, False), (0, True), (120, True), (121, False), (NAN, False)])
def test_near_a_renewal(days, near):
    found = patterns_of(
        signal("backlog", "open_backlog", ">=", 3),
        path=np.empty(0), days_to_renewal=days, renewal_near_days=120, is_new=True, levels_before=(),
    )  # fmt: skip
    assert ("renewal_near" in found) is near


@pytest.mark.parametrize(
    ("contribution", "is_new", "before", "escalates"),
    [
        ("high", True, ("medium", "low"), True),
        ("medium", True, ("medium",), False),
        ("high", False, ("medium",), False),
        ("high", True, (), False),
    ],
)
def test_an_escalation_is_a_new_signal_above_those_known_before(contribution, is_new, before, escalates):
    found = patterns_of(
        signal("backlog", "open_backlog", ">=", 3, contribution=contribution),
        path=np.empty(0), days_to_renewal=NAN, renewal_near_days=120, is_new=is_new, levels_before=before,
    )  # fmt: skip
    assert found == (("escalation",) if escalates else ())


def test_stakeholders_are_a_pattern():
    found = patterns_of(
        signal("gone", "sponsor_left_90d", "==", 1, category="sponsor_stakeholder"),
        path=np.empty(0), days_to_renewal=NAN, renewal_near_days=120, is_new=True, levels_before=(),
    )  # fmt: skip
    assert found == ("stakeholder",)


def observation(feature, comparator, threshold, *record_sets):
    return Observation(
        when=(Comparison(feature=feature, comparator=comparator, threshold=threshold),), evidence=record_sets
    )


EXPLAINED = policy(
    signal("fell", "usage_change_share_4w", "<=", -0.3, category="adoption", evidence=("newest_use",),
           benign=("season", "migration")),
    benign_explanations=(
        BenignExplanation(
            explanation="season",
            any_of=(observation("usage_change_share_4w_year_before", "<=", -0.2, "newest_use"),),
        ),
        BenignExplanation(
            explanation="migration",
            any_of=(
                observation("workspaces_started_56d", ">=", 1, "newest_use"),
                observation("migration_projects", ">=", 1, "migration_projects"),
            ),
        ),
    ),
)  # fmt: skip
USE = record("newest_use", "E1")


@pytest.mark.parametrize(
    ("seen", "verdicts"),
    [
        ({"usage_change_share_4w_year_before": -0.2, "workspaces_started_56d": 0, "migration_projects": 0},
         {"season": "fits", "migration": "does_not_fit"}),
        ({"usage_change_share_4w_year_before": -0.19, "workspaces_started_56d": 1, "migration_projects": None},
         {"season": "does_not_fit", "migration": "fits"}),
        ({"usage_change_share_4w_year_before": None, "workspaces_started_56d": 0, "migration_projects": None},
         {"season": "unknown", "migration": "unknown"}),
        # a project says so, and no record of it is there to show
        ({"usage_change_share_4w_year_before": 0.0, "workspaces_started_56d": 0, "migration_projects": 1},
         {"season": "does_not_fit", "migration": "unknown"}),
    ],
)  # fmt: skip
def test_common_causes_are_looked_for(seen, verdicts):
    (reviewed,) = review(EXPLAINED, {"usage_change_share_4w": -0.6, **seen}, records={"a": [USE]})
    (risk,) = reviewed.risks
    (fired,) = risk.signals
    assert {check.explanation: check.verdict for check in fired.benign} == verdicts
    pieces = {piece.evidence_id: piece for piece in risk.evidence}
    for check in fired.benign:
        assert bool(check.evidence_ids) is (check.verdict == "fits")
        assert {pieces[name].direction for name in check.evidence_ids} <= {"contradicts"}
        assert {pieces[name].subject for name in check.evidence_ids} <= {check.explanation}


def test_a_low_signal_alone_opens_nothing_and_keeps_nothing_open():
    rules = policy(
        signal("low", "overdue_goals", ">=", 1, category="value_outcome", evidence=("overdue_goals",),
               contribution="low"),
        signal("backlog", "open_backlog", ">=", 3),
        opens_at="medium",
    )  # fmt: skip
    goal, ticket = record("overdue_goals", "G1"), record("open_tickets", "T1")
    (alone,) = review(rules, {"overdue_goals": 1, "open_backlog": 0}, records={"a": [goal, ticket]})
    assert alone.risks == ()
    later = MONDAY + timedelta(weeks=1)
    rows = [
        {"account_id": "a", "overdue_goals": 1, "open_backlog": 3},
        {"account_id": "a", "overdue_goals": 1, "open_backlog": 0, "week": later},
    ]
    first, second = review(rules, *rows, records={"a": [goal, ticket]}, weeks=[MONDAY, later])
    assert [one.signal_id for one in first.risks[0].signals] == ["backlog", "low"]
    assert [one.signal_id for one in second.risks[0].signals] == ["low"]
    assert (second.risks[0].occurrences, second.risks[0].last_fired_week) == (1, MONDAY)
