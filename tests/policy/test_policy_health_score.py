"""The health score's policy: the built-in documents, and one sentence for each thing that can be wrong with one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.documents import BUILT_IN, PolicyError
from health_pipeline.policy.features import features
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score

BUILT = yaml.safe_load((BUILT_IN / "health_score.yaml").read_text())


def message(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> str:
    document = copy.deepcopy(BUILT)
    change(document)
    (tmp_path / "health_score.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(PolicyError) as caught:
        load_health_score(tmp_path)
    text = str(caught.value)
    assert text.startswith(str(tmp_path / "health_score.yaml")), text
    assert text.endswith(".") and "\n" not in text
    return text


@pytest.mark.parametrize("folder", [None, BUILT_IN / "professional_services"])
def test_built_in_documents_load_and_outcomes_weigh_most(folder: Path | None) -> None:
    policy = load_health_score(folder).model
    for card in policy.scorecards:
        weights = policy.group_weights(card)
        assert max(weights, key=lambda group: weights[group]) == "outcomes"


def test_services_read_nothing_of_product_usage() -> None:
    policy = load_health_score(BUILT_IN / "professional_services").model
    assert all(measure.domain != "usage" for measure in policy.measures.values())


def test_every_numeric_feature_has_a_domain_with_a_status_column() -> None:
    columns = set(mart_tables()["account_features_weekly"].column_names)
    assert {feature.status_column for feature in features().values()} <= columns
    assert features()["nps_account_90d"].domain == "sentiment"
    assert features()["open_risks"].domain == "risk"
    assert features()["max_days_past_due"].domain == "payment"
    assert features()["arr"].domain == "commercial"
    assert "usage_newest_fact_age_days" not in features()
    assert "currency" not in features()


def test_a_comment_does_not_change_the_hash_and_a_weight_does(tmp_path: Path) -> None:
    (tmp_path / "health_score.yaml").write_text("# ours\n" + (BUILT_IN / "health_score.yaml").read_text())
    assert load_health_score(tmp_path).hash == load_health_score(None).hash
    changed = BUILT | {"margin": BUILT["margin"] + 1}
    (tmp_path / "health_score.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    assert load_health_score(tmp_path).hash != load_health_score(None).hash


def test_the_order_of_scorecards_is_part_of_the_hash(tmp_path: Path) -> None:
    hashes = []
    for names in (("a", "b"), ("b", "a")):
        cards = {name: {"when": {"segments": [f"*{name}*"]}} for name in names}
        measures = {n: m for n, m in BUILT["measures"].items() if not {"scorecards", "not_on_scorecards"} & set(m)}
        document = BUILT | {"scorecards": {**cards, "rest": {}}, "measures": measures}
        (tmp_path / "health_score.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        loaded = load_health_score(tmp_path)
        assert loaded.model.scorecard_of("established", "a and b") == names[0]
        hashes.append(loaded.hash)
    assert hashes[0] != hashes[1]


def ticket_bands(document: dict[str, Any]) -> None:
    document["measures"]["open_backlog"] |= {
        "bands": [{"to": 0, "value": 100}, {"from": 1, "to": 5, "value": 60}, {"from": 5, "to": 15, "value": 20},
                  {"from": 16, "value": 0}]
    }  # fmt: skip
    del document["measures"]["open_backlog"]["curve"]


def test_bands_1_to_5_and_5_to_15_overlap(tmp_path: Path) -> None:
    text = message(tmp_path, ticket_bands)
    assert "measures.open_backlog: the bands 1-5 and 5-15 both hold 5, worth 60 and 20; bands must be disjoint" in text


def set_measure(name: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["measures"][name] |= values

    return change


def set_top(**values: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document |= values

    return change


def tiers(*bands: tuple[str, dict[str, float]]) -> Callable[[dict[str, Any]], None]:
    return set_top(tiers=[{"tier": tier, **ends} for tier, ends in bands])


def opposite(document: dict[str, Any]) -> None:
    document["measures"]["backlog_is_interest"] = document["measures"]["open_backlog"] | {
        "direction": "higher_is_better",
        "curve": [[0, 0], [10, 100]],
    }


WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "curve unordered": (
        set_measure("stickiness", curve=[[0, 0], [0.6, 80], [0.4, 90]]),
        "measures.stickiness: curve is not ordered: 0.4 follows 0.6; order by raw value",
    ),
    "same raw value green and yellow": (
        set_measure("stickiness", curve=[[0, 0], [0.4, 60], [0.4, 90], [1, 100]]),
        "curve gives the raw value 0.4 both 60 and 90 points; keep one of them",
    ),
    "same condition green and yellow": (
        opposite,
        "the measures open_backlog and backlog_is_interest read open_backlog in opposite directions, so the same "
        "condition is green in one and yellow in the other",
    ),
    "curve turns against its direction": (
        set_measure("stickiness", curve=[[0, 0], [0.4, 90], [0.6, 80]]),
        "measures.stickiness: curve falls although the direction is higher_is_better",
    ),
    "rising curve of a bad thing": (
        set_measure("open_backlog", curve=[[0, 0], [4, 90]]),
        "measures.open_backlog: curve rises although the direction is lower_is_better",
    ),
    "flat curve": (set_measure("stickiness", curve=[[0, 50], [1, 50]]), "curve is flat"),
    "points beyond 100": (
        set_measure("stickiness", curve=[[0, 0], [1, 120]]),
        "measures.stickiness.curve.1.1: Input should be less than or equal to 100 (it says 120)",
    ),
    "negative weight": (
        set_measure("stickiness", weight=-2),
        "measures.stickiness.weight: Input should be greater than 0 (it says -2)",
    ),
    "negative group weight": (
        lambda document: document["groups"].update(usage=-1),
        "groups.usage: Input should be greater than 0 (it says -1)",
    ),
    "unknown feature": (
        set_measure("stickiness", feature="stickyness"),
        "measures.stickiness: account_features_weekly has no numeric feature 'stickyness'; the nearest name is "
        "'stickiness'",
    ),
    "feature of a condition": (
        set_top(decisive=[{"feature": "is_cancelation_scheduled", "operator": "==", "value": True}]),
        "decisive.0: account_features_weekly has no numeric feature 'is_cancelation_scheduled'; the nearest name is "
        "'is_cancellation_scheduled'",
    ),
    "wrong domain": (
        set_measure("stickiness", domain="support"),
        "measures.stickiness: stickiness belongs to the domain usage, write domain: usage",
    ),
    "unknown group": (
        set_measure("stickiness", group="usge"),
        "measures.stickiness.group names the group 'usge', which groups does not have; the nearest name is 'usage'",
    ),
    "unknown scorecard": (
        set_measure("nps", scorecards=["etablished"]),
        "measures.nps names the scorecard 'etablished', which scorecards does not have; the nearest name is "
        "'established'",
    ),
    "bands leave a gap": (
        set_measure("goals_overdue", bands=[{"to": 0, "value": 100}, {"from": 2, "value": 0}]),
        "measures.goals_overdue: no band holds 1, between -0 and 2-; close the gap",
    ),
    "bands of a share": (
        set_measure("stickiness", curve=[], bands=[{"to": 0, "value": 0}, {"from": 1, "value": 100}]),
        "bands are for whole numbers and stickiness is not one; write a curve",
    ),
    "tiers overlap": (
        tiers(("at_risk", {"from": 0, "below": 50}), ("watch", {"from": 45, "below": 68}),
              ("healthy", {"from": 68, "through": 100})),
        "the tiers at_risk 0-50 and watch 45-68 overlap; let watch start at 50",
    ),
    "tiers leave a gap": (
        tiers(("at_risk", {"from": 0, "below": 50}), ("watch", {"from": 55, "below": 68}),
              ("healthy", {"from": 68, "through": 100})),
        "the tiers at_risk 0-50 and watch 55-68 leave a gap",
    ),
    "tiers end below 100": (
        tiers(("at_risk", {"from": 0, "below": 50}), ("watch", {"from": 50, "below": 68}),
              ("healthy", {"from": 68, "through": 99})),
        "tiers must begin with from: 0 and end with through: 100",
    ),
    "outcomes do not weigh most": (
        lambda document: document["groups"].update(usage=31),
        "on the scorecard established the group usage weighs 31 and outcomes 30; outcomes must carry the most weight",
    ),
    "nobody judges onboarding": (
        lambda document: document["scorecards"]["onboarding"]["when"].update(segments=["enterprise"]),
        "no scorecard judges onboarding accounts of every segment",
    ),
    "a scorecard behind one that takes everybody": (
        lambda document: document["scorecards"].update(
            large={"when": {"lifecycle_stages": ["established"], "segments": ["*high revenue*"]}}
        ),
        "the scorecard large judges nobody: established before it takes every segment; the first that fits is taken, "
        "so put the narrower one first",
    ),
    "a scorecard whose segments are taken": (
        lambda document: document.update(
            scorecards={
                "one": {"when": {"segments": ["a", "b"]}},
                "two": {"when": {"lifecycle_stages": ["onboarding"], "segments": ["b"]}},
                "three": {},
            },
            measures={name: m for name, m in document["measures"].items() if "scorecards" not in m
                      and "not_on_scorecards" not in m},
        ),
        "the scorecard two judges nobody: scorecards before it take b; remove it, or name other segments",
    ),
    "a scorecard for no stage": (
        lambda document: document["scorecards"]["established"].update(when={"lifecycle_stages": []}),
        "scorecards.established.when: lifecycle_stages is empty, so nobody is judged; name a stage or leave the key "
        "out",
    ),
    "a scorecard as it was written before `when`": (
        lambda document: document["scorecards"].update(established={"lifecycle_stages": ["established"]}),
        "scorecards.established.lifecycle_stages: Extra inputs are not permitted",
    ),
    "a measure on and not on scorecards": (
        set_measure("nps", scorecards=["established"], not_on_scorecards=["onboarding"]),
        "measures.nps: write either scorecards or not_on_scorecards, and not both",
    ),
    "a measure not on an unknown scorecard": (
        set_measure("stickiness", not_on_scorecards=["onbording"]),
        "measures.stickiness names the scorecard 'onbording', which scorecards does not have; the nearest name is "
        "'onboarding'",
    ),
    "condition of two things": (
        set_top(decisive=[{"feature": "open_risks", "group": "usage", "operator": ">", "value": 1}]),
        "a condition names either a feature or a group, and not both",
    ),
    "unknown key": (set_top(colour="green"), "colour: Extra inputs are not permitted (it says 'green')"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_document_is_refused_in_one_sentence(tmp_path: Path, what: str) -> None:
    change, sentence = WRONG[what]
    assert sentence in message(tmp_path, change)


@pytest.mark.parametrize(
    ("stage", "segment", "scorecard"),
    [
        ("onboarding", "low usage, low revenue", "onboarding"),
        ("onboarding", "unsegmented", "onboarding"),
        ("established", "low usage, low revenue", "established_low_revenue"),
        ("established", "high usage, high revenue", "established"),
        ("established", "unsegmented", "established"),
        (None, "high usage, low revenue", "established_low_revenue"),
    ],
)
def test_a_scorecard_is_chosen_by_stage_and_segment(stage: str | None, segment: str, scorecard: str) -> None:
    assert load_health_score(None).model.scorecard_of(stage, segment) == scorecard


def test_a_new_account_is_judged_on_onboarding_and_not_on_depth() -> None:
    policy = load_health_score(None).model
    onboarding, established = policy.scorecard_measures("onboarding"), policy.scorecard_measures("established")
    assert {"go_live", "seats_activated", "adoption_velocity"} == set(onboarding) - set(established)
    depth = {"license_utilisation", "stickiness", "feature_breadth", "usage_depth", "usage_trend"}
    assert depth < set(established) - set(onboarding)


def test_booleans_of_conditions_read_as_numbers() -> None:
    assert load_health_score(None).model.decisive[0].value == 1.0
    document = copy.deepcopy(BUILT) | {
        "decisive": [{"feature": "is_cancellation_scheduled", "operator": "==", "value": True}]
    }
    assert HealthScorePolicy.model_validate(document).decisive[0].value == 1.0


@pytest.mark.parametrize(("score", "tier"), [(0, "at_risk"), (59.999, "at_risk"), (60, "watch"), (72, "healthy"),
                                             (100, "healthy")])  # fmt: skip
def test_every_score_has_one_tier(score: float, tier: str) -> None:
    assert load_health_score(None).model.tier_of(score) == tier
