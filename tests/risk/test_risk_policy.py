"""The risk policy: every category has a signal, nothing is half added, every name in it is there elsewhere."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml

from health_pipeline.mart.dbt import DBT_PROJECT
from health_pipeline.policy.check import check_documents, unknown_risk_names
from health_pipeline.policy.documents import BUILT_IN, PolicyError
from health_pipeline.policy.features import features
from health_pipeline.policy.playbooks import load_playbooks
from health_pipeline.policy.record_sets import RECORD_SETS
from health_pipeline.policy.risk_signals import CATEGORIES, TONE, load_risk_signals

POLICY = load_risk_signals(None).model
EVIDENCE_MODELS = DBT_PROJECT / "models" / "intermediate" / "evidence"
DEFAULTS = {
    # the design's defaults: feature, comparator, threshold
    ("usage_change_share_4w", "<=", -0.3),
    ("active_users_change_share_4w", "<=", -0.3),
    ("license_utilisation", "<", 0.4),
    ("overdue_goals", ">=", 1.0),
    ("days_since_goal_validated", ">", 90.0),
    ("oldest_open_high_priority_ticket_days", ">", 14.0),
    ("open_backlog", ">=", 3.0),
    ("ticket_volume_ratio_28d", ">", 2.0),
    ("nps_points_90d", "<", 6.0),
    ("nps_points_change_90d", "<=", -2.0),
    ("days_since_last_two_way_touch", ">=", 60.0),
    ("silent_channels_60d", ">=", 2.0),
    ("sponsor_left_90d", "==", 1.0),
    ("max_days_past_due", ">=", 15.0),
    ("failed_payment_count_28d", ">=", 1.0),
    ("mrr_change_share_90d", "<=", -0.1),
    ("competitive_phrases_28d", ">=", 1.0),
    ("max_milestone_slip_days", ">=", 30.0),
    ("renewal_pushed_days_91d", ">=", 14.0),
    ("is_cancellation_scheduled", "==", 1.0),
}


def content() -> dict[str, Any]:
    return yaml.safe_load((BUILT_IN / "risk_signals.yaml").read_text())


def load(tmp_path, document: dict[str, Any]) -> Any:
    (tmp_path / "risk_signals.yaml").write_text(yaml.safe_dump(document))
    return load_risk_signals(tmp_path).model


def test_every_category_has_a_signal_and_the_defaults_are_there():
    assert {signal.category for signal in POLICY.signals} == set(CATEGORIES)
    assert len(CATEGORIES) == 14
    there = {(one.feature, one.comparator, one.threshold) for signal in POLICY.signals for one in signal.when}
    assert there >= DEFAULTS


def test_a_notice_is_always_critical():
    assert {signal.id for signal in POLICY.signals if signal.contribution == "critical"} == {"notice_given"}


def test_every_name_is_there_elsewhere():
    playbooks = {playbook.id for playbook in load_playbooks(None).model.playbooks}
    assert {name for signal in POLICY.signals for name in signal.playbooks} <= playbooks
    named = {name for observation in POLICY.observations for name in observation.features}
    assert named <= set(features())
    assert unknown_risk_names(check_documents(None)) == []


def test_every_set_of_records_is_found_by_a_model_and_is_used():
    sql = "\n".join(path.read_text() for path in EVIDENCE_MODELS.glob("int_evidence_*.sql"))
    found = set(re.findall(r"^\s+'([a-z_]+)': \(", sql, flags=re.MULTILINE))
    found |= set(re.findall(r"  '([a-z_]+)' as record_set", sql))
    phrases = {f"{category}_phrases" for category in CATEGORIES}
    assert set(RECORD_SETS) == found | phrases
    used = {name for observation in POLICY.observations for name in observation.evidence}
    assert set(RECORD_SETS) - used <= {
        "newest_ticket",
        "goals_off_track",
        "won_deals",
        "completed_milestones",
        "engagement_silence_phrases",
    }


HALF_ADDED = {
    "no evidence": lambda signal: signal.pop("evidence"),
    "no playbook": lambda signal: signal.pop("playbooks"),
    "no comparison": lambda signal: signal.update(when=[]),
    "no category": lambda signal: signal.pop("category"),
    "an unknown category": lambda signal: signal.update(category="weather"),
    "an unknown feature": lambda signal: signal["when"][0].update(feature="open_backlogs"),
    "an unknown comparator": lambda signal: signal["when"][0].update(comparator="=>"),
    "a threshold that is no number": lambda signal: signal["when"][0].update(threshold=float("nan")),
    "an unknown set of records": lambda signal: signal.update(evidence=["open_ticket"]),
    "an explanation nobody describes": lambda signal: signal.update(benign=["weather"]),
    "a prediction": lambda signal: signal.update(title="The customer will cancel the contract"),
    "a typing error in a key": lambda signal: signal.update(evidenc=["open_tickets"]),
}


@pytest.mark.parametrize("fault", HALF_ADDED)
def test_a_half_added_signal_is_refused(tmp_path, fault):
    document = content()
    added = copy.deepcopy(next(one for one in document["signals"] if one["id"] == "unresolved_tickets"))
    added["id"] = "added"
    load(tmp_path, {**document, "signals": [*document["signals"], added]})
    HALF_ADDED[fault](added)
    with pytest.raises(PolicyError):
        load(tmp_path, {**document, "signals": [*document["signals"], added]})


def test_no_signal_rests_on_the_tone_of_texts_alone(tmp_path):
    assert not any(TONE in one.features for one in POLICY.observations)
    document = content()
    changed = next(one for one in document["signals"] if one["id"] == "sentiment_words")
    changed["when"] = [{"feature": TONE, "comparator": "<", "threshold": -0.5}]
    with pytest.raises(PolicyError, match="a general lexicon is a hint in English"):
        load(tmp_path, document)
    changed["when"].append({"feature": "sentiment_phrases_28d", "comparator": ">=", "threshold": 1})
    assert load(tmp_path, document)


def test_the_same_id_twice_and_a_category_without_a_signal_are_refused(tmp_path):
    document = content()
    with pytest.raises(PolicyError, match="'notice_given' is taken"):
        twice = [one for one in document["signals"] if one["id"] == "notice_given"]
        load(tmp_path, {**document, "signals": [*document["signals"], *twice]})
    with pytest.raises(PolicyError, match="no signal of the category competitive"):
        load(
            tmp_path, {**document, "signals": [one for one in document["signals"] if one["category"] != "competitive"]}
        )


def test_a_playbook_that_is_not_there_is_an_error_of_the_check(tmp_path):
    document = content()
    document["signals"][0]["playbooks"] = ["onboarding_revue"]
    (tmp_path / "risk_signals.yaml").write_text(yaml.safe_dump(document))
    (finding,) = unknown_risk_names(check_documents(tmp_path))
    assert finding.severity == "error"
    assert "onboarding_revue" in str(finding)
    assert "onboarding_review" in str(finding)
