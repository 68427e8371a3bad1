"""What plans and playbooks may say: proposals in plain words, no order to contact anybody, no prediction."""

from __future__ import annotations

import pytest
import yaml

from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.capacity import load_capacity
from health_pipeline.policy.documents import PolicyError
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.policy.playbooks import contact_orders, load_playbooks, predictions
from health_pipeline.policy.wording import describe, readable

ORDERS = [
    "Call the customer today.",
    "Review the account. Then email the sponsor.",
    "The owner should contact the customer.",
    "Reach out to the champion.",
    "A map is drawn; send it over.",
    "Please schedule a meeting.",
    "Offer a discount of 10 %.",
    "The leader must call them.",
]
PROPOSALS = [
    "The owner could compare the score with what is known first-hand.",
    "Whether any message is prepared would be decided by the approver.",
    "Support calls and e-mails of the last weeks could be read together.",
]
PREDICTING = [
    "They are likely to go.",
    "The account will churn.",
    "Churn probability 80 %.",
    "It may not renew.",
]


@pytest.mark.parametrize("text", ORDERS)
def test_an_order_to_contact_somebody_is_found(text):
    assert contact_orders(text)


@pytest.mark.parametrize("text", PROPOSALS)
def test_a_proposal_is_not_an_order(text):
    assert contact_orders(text) == []


@pytest.mark.parametrize("text", PREDICTING)
def test_a_prediction_is_found(text):
    assert predictions(text)


def test_built_in_playbooks_read_as_proposals():
    for playbook in load_playbooks(None).model.playbooks:
        for text in (playbook.title, playbook.proposal):
            assert contact_orders(text) == []
            assert predictions(text) == []
    assert any(playbook.is_save_offer for playbook in load_playbooks(None).model.playbooks)


def test_every_name_a_playbook_goes_by_is_in_the_score():
    score = load_health_score(None).model
    known = set(score.groups) | set(score.measures) | {measure.feature for measure in score.measures.values()}
    for playbook in load_playbooks(None).model.playbooks:
        assert set(playbook.when_low) <= known, playbook.id


def test_everything_a_plan_produces_reads_as_a_proposal(planner):
    week = planner.first
    score = load_health_score(None).model
    tiers = ("at_risk", "watch", "healthy", "expansion_ready", "not_scored")
    health, contributions, melons = [], [], []
    for name, measure in score.measures.items():
        for tier in tiers:
            account = f"{name}-{tier}"
            reason = "decisive" if tier == "at_risk" and name == "nps" else "score"
            stage = "onboarding" if name == "go_live" else "established"
            owner = None if name == "meetings" else "ana@example.com"
            health.append(
                planner.health_row(account, week, tier, tier_reason=reason, lifecycle_stage=stage, owner_email=owner)
            )
            contributions.append(
                planner.contribution_row(
                    account, week, measure.feature, 1.0, 10.0, measure=name, measure_group=measure.group
                )
            )
            if tier == "healthy":
                melons.append({"account_id": account, "week": week.monday, "reasons": "missed_goal,csm_disagrees"})
    plan = planner.plan(health, contributions=contributions, watermelons=melons)
    chosen = {row["playbook"] for row in plan.action_plan_accounts.to_pylist()}
    offered = {p.id for p in load_playbooks(None).model.playbooks if p.is_preselected}
    assert offered <= chosen, "every playbook that may be pre-selected is reached by this test"
    for row in plan.action_plan_accounts.to_pylist():
        for text in (row["proposed_action"], row["drivers"]):
            assert contact_orders(text) == [], text
            assert predictions(text) == [], text
    for row in plan.review_tasks.to_pylist():
        assert contact_orders(row["reason"]) == [], row["reason"]
        assert predictions(row["reason"]) == [], row["reason"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"proposal": "Call the customer and offer a discount."}, "reads as an order to contact a customer"),
        ({"proposal": "The customer is likely to leave in spring."}, "predicts what a customer does"),
        ({"hours": 0}, "greater than 0"),
        ({"id": "watch_review"}, "is taken"),
        ({"tiers": ["at_risc"]}, "at_risk"),
        ({"id": "persons_choice"}, "is taken"),
    ],
)
def test_a_bad_playbook_is_refused_in_one_sentence(tmp_path, change, sentence):
    document = yaml.safe_load(load_playbooks(None).path.read_text())
    document["playbooks"][0].update(change)
    (tmp_path / "playbooks.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(PolicyError, match=sentence) as refused:
        load_playbooks(tmp_path)
    assert "\n" not in str(refused.value)
    assert "playbooks.yaml" in str(refused.value)


def test_a_tier_without_playbook_and_a_playbook_never_reached_are_refused(tmp_path):
    document = yaml.safe_load(load_playbooks(None).path.read_text())
    last = document["playbooks"].pop()
    (tmp_path / "playbooks.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(PolicyError, match="no playbook without conditions for not_scored"):
        load_playbooks(tmp_path)
    document["playbooks"] += [last, {**last, "id": "second_gap_review"}]
    (tmp_path / "playbooks.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(PolicyError, match="'second_gap_review' is never reached"):
        load_playbooks(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"owners": {"ana@example.com": 90}}, "90.0 hours a week; write 0 to 60"),
        ({"tier_weights": {"at_risk": 1}}, "no weight for expansion_ready, healthy, not_scored, watch"),
        ({"hours_per_owner_week": -1}, "greater than or equal to 0"),
    ],
)
def test_bad_capacity_is_refused_in_one_sentence(tmp_path, change, sentence):
    document = yaml.safe_load(load_capacity(None).path.read_text())
    (tmp_path / "capacity.yaml").write_text(yaml.safe_dump({**document, **change}))
    with pytest.raises(PolicyError, match=sentence):
        load_capacity(tmp_path)


@pytest.mark.parametrize(
    ("feature", "value", "words"),
    [
        ("usage_change_share_4w", -0.4, "usage down 40 % on the four weeks before"),
        ("usage_change_share_4w", 0.123, "usage up 12 % on the four weeks before"),
        ("usage_change_share_4w", 0.001, "usage unchanged on the four weeks before"),
        ("failed_payment_count_28d", 1, "1 failed payment in 28 days"),
        ("failed_payment_count_28d", 0, "no failed payment in 28 days"),
        ("first_reply_minutes_median_91d", 45, "first reply after 45 minutes (median)"),
        ("first_reply_minutes_median_91d", 300, "first reply after 5 hours (median)"),
        ("full_resolution_minutes_median_91d", 10080, "tickets solved after 7 days (median)"),
        ("has_active_champion", 0, "no active champion"),
        ("nps_account_90d", -20, "NPS -20 in 90 days"),
        ("days_since_last_activity", None, "days since last activity unknown"),
        ("a_new_measure_share", 0.5, "a new measure share 50 %"),
        ("a_new_measure_28d", 12.0, "a new measure (28 days) 12"),
    ],
)
def test_a_value_in_words(feature, value, words):
    assert describe(feature, value) == words


def test_every_feature_of_the_contract_reads_as_words():
    for column in mart_tables()["account_features_weekly"].columns:
        assert "_" not in readable(column.name)
        assert "_" not in describe(column.name, 1.0)
