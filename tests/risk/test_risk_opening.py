"""What opens a risk: a strong signal, a decisive one, or two medium ones of different categories; nothing explained."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from signal_cases import MONDAY, policy, record, review, signal

from health_pipeline.policy.risk_signals import BenignExplanation, Comparison, Observation, RiskSignalPolicy
from health_pipeline.risk.opening import openers
from health_pipeline.risk.strength import LEVELS

RULES = {"opens_at": "high", "opens_together_at": "medium", "opens_when_explained": False}


def one(name: str, contribution: str, category: str = "support", **given: object):
    return signal(name, "open_backlog", ">=", 3, category=category, contribution=contribution, **given)


CASES = {
    "a medium one alone": ([("a", "medium", "support", False)], []),
    "a high one alone": ([("a", "high", "support", False), ("b", "low", "support", False)], ["a"]),
    "a critical one": ([("a", "critical", "renewal_posture", False)], ["a"]),
    "two medium ones of one category": ([("a", "medium", "support", False), ("b", "medium", "support", False)], []),
    "two medium ones of two categories": (
        [("a", "medium", "support", False), ("b", "medium", "sentiment", False)],
        ["a", "b"],
    ),
    "a medium and a low one": ([("a", "medium", "support", False), ("b", "low", "sentiment", False)], []),
    "two medium ones, one explained": (
        [("a", "medium", "support", False), ("b", "medium", "adoption", True)],
        [],
    ),
    "a high one that is explained": ([("a", "high", "adoption", True)], []),
    "a critical one is never explained away": ([("a", "critical", "renewal_posture", True)], ["a"]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_opens_a_risk(case):
    fired, opening = CASES[case]
    signals = [(one(name, level, category), is_explained) for name, level, category, is_explained in fired]
    assert openers(signals, policy(**RULES)) == opening


def test_a_decisive_signal_opens_alone_whatever_it_contributes():
    assert openers([(one("a", "low", opens_alone=True), False)], policy(**RULES)) == ["a"]
    assert openers([(one("a", "low", opens_alone=True), True)], policy(**RULES)) == []


fired_signals = st.lists(
    st.tuples(st.sampled_from(LEVELS), st.sampled_from(["support", "sentiment", "adoption"]), st.booleans()), max_size=5
)


@given(fired_signals, st.tuples(st.sampled_from(LEVELS), st.sampled_from(["support", "sentiment"]), st.booleans()))
def test_one_more_signal_never_closes_what_the_others_open(fired, more):
    signals = [
        (one(f"s{place}", level, category), is_explained) for place, (level, category, is_explained) in enumerate(fired)
    ]
    level, category, is_explained = more
    rules = policy(**RULES)
    without = openers(signals, rules)
    assert set(without) <= set(openers([*signals, (one("more", level, category), is_explained)], rules))


def test_two_medium_signals_open_and_one_of_them_does_not_keep_it_going():
    rules = policy(
        signal("backlog", "open_backlog", ">=", 3),
        signal("pulse", "csm_sentiment", "<=", 2, category="sentiment", evidence=("pulses",)),
        **RULES,
    )
    records = {"a": [record("open_tickets", "T1"), record("pulses", "P1")]}
    weeks = [MONDAY, MONDAY + timedelta(weeks=1), MONDAY + timedelta(weeks=2)]
    rows = [
        {"account_id": "a", "open_backlog": 3, "csm_sentiment": 4},
        {"account_id": "a", "open_backlog": 3, "csm_sentiment": 2, "week": weeks[1]},
        {"account_id": "a", "open_backlog": 3, "csm_sentiment": 4, "week": weeks[2]},
    ]
    first, second, third = review(rules, *rows, records=records, weeks=weeks)
    assert first.risks == ()
    assert [signal.signal_id for signal in second.risks[0].signals] == ["backlog", "pulse"]
    # what is left is shown beside it, and is no occurrence
    assert [signal.signal_id for signal in third.risks[0].signals] == ["backlog"]
    assert (third.risks[0].occurrences, third.risks[0].last_fired_week) == (1, weeks[1])


def test_a_quiet_risk_is_shown_once_and_waits_for_a_person():
    rules = policy(signal("backlog", "open_backlog", ">=", 3, contribution="high"), **{**RULES, "quiet_weeks": 1})
    weeks = [MONDAY + timedelta(weeks=number) for number in range(5)]
    backlogs = (3, 0, 0, 0, 3)
    rows = [
        {"account_id": "a", "open_backlog": backlog, "week": week}
        for week, backlog in zip(weeks, backlogs, strict=True)
    ]
    records = {"a": [record("open_tickets", "T1")]}
    found = review(rules, *rows, records=records, weeks=weeks)
    assert [[risk.is_quiet for risk in one.risks] for one in found] == [[False], [True], [], [], [False]]
    assert [one.waiting for one in found] == [0, 0, 1, 1, 0]
    worked_on = {weeks[2]: frozenset({found[0].risks[0].packet_id})}
    found = review(rules, *rows, records=records, weeks=weeks, taken_up=worked_on)
    assert [[risk.is_quiet for risk in one.risks] for one in found] == [[False], [True], [True], [], [False]]


def test_an_explained_fall_opens_nothing_by_itself():
    fell = signal(
        "fell", "usage_change_share_4w", "<=", -0.3, category="adoption", contribution="high",
        evidence=("newest_use",), benign=("season",),
    )  # fmt: skip
    season = BenignExplanation(
        explanation="season",
        any_of=(
            Observation(
                when=(Comparison(feature="usage_change_share_4w_year_before", comparator="<=", threshold=-0.2),),
                evidence=("newest_use",),
            ),
        ),
    )
    rules = policy(fell, benign_explanations=(season,), **RULES)
    use = {"a": [record("newest_use", "U1")]}
    same = {"usage_change_share_4w": -0.6, "usage_change_share_4w_year_before": -0.5}
    (explained,) = review(rules, same, records=use)
    (unexplained,) = review(rules, {**same, "usage_change_share_4w_year_before": 0.0}, records=use)
    assert explained.risks == ()
    assert [risk.account_id for risk in unexplained.risks] == ["a"]


def test_two_that_open_only_above_what_one_does_are_refused():
    content = {**RULES, "quiet_weeks": 4, "combine_within_days": 30, "renewal_near_days": 120, "path_weeks": 8}
    content |= {"records_per_set": 3, "signals": (one("a", "low"),), "opens_at": "low"}
    with pytest.raises(ValidationError, match="opens_together_at"):
        RiskSignalPolicy.model_validate(content)
