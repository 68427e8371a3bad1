"""Signals on hand-made features: met, not met, unknown; evidence or none; what speaks against; what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from signal_cases import MONDAY, features, policy, record, review, signal

from health_pipeline.risk.episodes import packet_id
from health_pipeline.risk.signals import FeatureRows, observe


def test_unknown_never_meets_a_comparison_and_is_told_apart_from_not_met():
    rows = FeatureRows(
        features(
            {"account_id": "met", "open_backlog": 3},
            {"account_id": "not_met", "open_backlog": 2},
            {"account_id": "null", "open_backlog": None},
            {"account_id": "stale", "open_backlog": 3, "support_status": "stale"},
            {"account_id": "missing", "open_backlog": 3, "support_status": "missing"},
        )
    )
    seen = observe(rows, signal("backlog", "open_backlog", ">=", 3))
    assert seen.is_met.tolist() == [True, False, False, False, False]
    assert seen.is_unknown.tolist() == [False, False, True, True, True]


def test_a_failed_comparison_decides_whatever_is_unknown():
    both = signal("both", "open_backlog", ">=", 3).model_copy(
        update={"when": (*signal("a", "open_backlog", ">=", 3).when, *signal("b", "csat_91d", "<", 0.5).when)}
    )
    seen = observe(
        FeatureRows(features({"open_backlog": 1, "csat_91d": None}, {"open_backlog": 5, "csat_91d": None})), both
    )
    assert (seen.is_met.tolist(), seen.is_unknown.tolist()) == ([False, False], [False, True])


@pytest.mark.parametrize(
    ("comparator", "met"),
    [(">=", [3, 4]), (">", [4]), ("<=", [2, 3]), ("<", [2]), ("==", [3]), ("!=", [2, 4])],
)
def test_each_comparator_at_its_threshold(comparator, met):
    rows = FeatureRows(features(*({"open_backlog": value} for value in (2, 3, 4))))
    seen = observe(rows, signal("backlog", "open_backlog", comparator, 3))
    assert np.array([2, 3, 4])[seen.is_met].tolist() == met


def test_an_old_statement_counts_where_the_signal_is_about_it():
    rows = FeatureRows(features({"overdue_goals": 1, "outcomes_status": "stale"}))
    plain = signal("goal", "overdue_goals", ">=", 1)
    assert not observe(rows, plain).is_met[0]
    assert observe(rows, plain.model_copy(update={"is_known_when_stale": True})).is_met[0]


def test_a_fired_signal_says_what_it_saw_on_which_record():
    reviewed = review(
        policy(signal("backlog", "open_backlog", ">=", 3, evidence=("open_tickets",))),
        {"open_backlog": 4},
        records={"a": [record("open_tickets", "T1", days=20, value=20.0), record("open_tickets", "T2", days=3)]},
    )
    (risk,) = reviewed[0].risks
    assert (risk.packet_id, risk.side, risk.episode, risk.occurrences) == (packet_id("a", "risk", 1), "risk", 1, 1)
    (fired,) = risk.signals
    assert (fired.signal_id, fired.weeks_fired, fired.first_fired_week) == ("backlog", 1, MONDAY)
    assert [(one.feature, one.comparator, one.threshold, one.value) for one in fired.readings] == [
        ("open_backlog", ">=", 3.0, 4.0)
    ]
    pieces = {piece.source_record_id: piece for piece in risk.evidence}
    assert set(fired.evidence_ids) == {piece.evidence_id for piece in risk.evidence}
    # a ticket's age is not in the unit of the backlog: the backlog is shown
    assert (pieces["T1"].metric, pieces["T1"].value, pieces["T1"].threshold, pieces["T1"].gap) == (
        "open_backlog", 4.0, 3.0, 1.0
    )  # fmt: skip
    assert (pieces["T1"].age_days, pieces["T2"].age_days) == (20, 3)
    assert {(piece.direction, piece.kind) for piece in risk.evidence} == {("supports", "measured")}


def test_a_records_own_value_is_shown_where_it_is_in_the_features_unit():
    (reviewed,) = review(
        policy(signal("late", "max_days_past_due", ">=", 15, evidence=("overdue_invoices",))),
        {"max_days_past_due": 40},
        records={"a": [record("overdue_invoices", "I1", days=40, value=40.0),
                       record("overdue_invoices", "I2", days=16, value=16.0)]},
    )  # fmt: skip
    assert {(piece.source_record_id, piece.value, piece.gap) for piece in reviewed.risks[0].evidence} == {
        ("I1", 40.0, 25.0),
        ("I2", 16.0, 1.0),
    }


def test_a_minus_before_zero_is_none():
    """An answer kept as -0.0 made a brief that did not verify, and held a release of 10,000 accounts."""
    (reviewed,) = review(
        policy(signal("late", "max_days_past_due", "<=", 6, evidence=("overdue_invoices",))),
        {"max_days_past_due": -0.0},
        records={"a": [record("overdue_invoices", "I1", days=4, value=-0.0)]},
    )
    assert [str(piece.value) for piece in reviewed.risks[0].evidence] == ["0.0"]


def test_without_a_record_a_signal_does_not_fire_and_is_said_to_be_missing():
    two = policy(
        signal("backlog", "open_backlog", ">=", 3, evidence=("open_tickets",)),
        signal("late", "max_days_past_due", ">=", 15, category="commercial_payment", evidence=("overdue_invoices",)),
    )
    (reviewed,) = review(
        two,
        {"open_backlog": 3, "max_days_past_due": 20},
        records={"a": [record("overdue_invoices", "I1", days=20, value=20.0)]},
    )
    (risk,) = reviewed.risks
    assert [one.signal_id for one in risk.signals] == ["late"]
    assert ("support", "no_record") in risk.missing
    assert (reviewed.fired, reviewed.without_record) == ({"late": 1}, {"backlog": 1})


def test_nothing_fires_without_any_record():
    (reviewed,) = review(policy(signal("backlog", "open_backlog", ">=", 3)), {"open_backlog": 3}, records={})
    assert reviewed.risks == ()


def test_what_is_inferred_from_absence_is_called_so_and_is_weak():
    silent = signal("silent", "days_since_last_two_way_touch", ">=", 60, evidence=("two_way_touches",), is_absence=True)
    (reviewed,) = review(
        policy(silent),
        {"days_since_last_two_way_touch": 70},
        records={"a": [record("two_way_touches", "N1", days=70, value=70.0)]},
    )
    (piece,) = reviewed.risks[0].evidence
    assert (piece.kind, piece.strength, piece.value, piece.gap) == ("inferred_from_absence", "low", 70.0, 10.0)


def test_what_speaks_against_is_found_for_the_categories_it_speaks_of():
    rules = policy(
        signal("backlog", "open_backlog", ">=", 3, evidence=("open_tickets",)),
        signal("goal", "overdue_goals", ">=", 1, category="value_outcome", evidence=("overdue_goals",)),
        counter=[("validated", "days_since_goal_validated", "<=", 30, "validated_goals", ("value_outcome",))],
    )
    (reviewed,) = review(
        rules,
        {"open_backlog": 3, "overdue_goals": 1, "days_since_goal_validated": 30},
        records={"a": [record("open_tickets", "T1"), record("overdue_goals", "G1"),
                       record("validated_goals", "G2", days=30, value=30.0)]},
    )  # fmt: skip
    (risk,) = reviewed.risks
    against = {one.signal_id: one.against_ids for one in risk.signals}
    speaking = [piece for piece in risk.evidence if piece.direction == "contradicts"]
    assert [(piece.subject, piece.source_record_id, piece.value) for piece in speaking] == [("validated", "G2", 30.0)]
    assert against == {"goal": (speaking[0].evidence_id,), "backlog": ()}


def test_what_the_company_does_not_have_is_not_evaluated_and_said():
    rules = policy(
        signal("logins", "usage_change_share_4w", "<=", -0.3, category="adoption", evidence=("newest_use",)),
        signal("backlog", "open_backlog", ">=", 3, evidence=("open_tickets",)),
    )
    (reviewed,) = review(
        rules,
        {"open_backlog": 3, "usage_change_share_4w": -0.9, "usage_status": "not_applicable"},
        records={"a": [record("open_tickets", "T1"), record("newest_use", "E1")]},
        not_applicable=("usage",),
    )
    assert reviewed.not_evaluated == ("logins",)
    assert [one.signal_id for one in reviewed.risks[0].signals] == ["backlog"]
    assert ("usage", "not_applicable") in reviewed.risks[0].missing


def test_an_expansion_is_a_case_of_its_own():
    rules = policy(
        signal("backlog", "open_backlog", ">=", 3, evidence=("open_tickets",)),
        signal("full", "license_utilisation", ">=", 0.9, category="expansion", evidence=("newest_use",)),
    )
    (reviewed,) = review(
        rules,
        {"open_backlog": 3, "license_utilisation": 0.95},
        records={"a": [record("open_tickets", "T1"), record("newest_use", "E1")]},
    )
    assert {(risk.side, risk.signals[0].signal_id) for risk in reviewed.risks} == {
        ("risk", "backlog"),
        ("expansion", "full"),
    }


def test_the_order_of_accounts_and_signals_changes_nothing():
    rules = policy(
        signal("backlog", "open_backlog", ">=", 3, evidence=("open_tickets",)),
        signal("goal", "overdue_goals", ">=", 1, category="value_outcome", evidence=("overdue_goals",)),
    )
    turned = rules.model_copy(update={"signals": rules.signals[::-1]})
    rows = [{"account_id": name, "open_backlog": 4, "overdue_goals": 2} for name in "abc"]
    records = {name: [record("open_tickets", f"T{name}", account=name),
                      record("overdue_goals", f"G{name}", account=name)]
               for name in "abc"}  # fmt: skip
    assert review(rules, *rows, records=records) == review(turned, *rows[::-1], records=records)
