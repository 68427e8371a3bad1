"""Learnt weights: the model is the scorer's own, the pull pulls, it finds what tells, refuses, and is only a file."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.optimize import check_grad
from simulated_company import simulate

from health_pipeline.policy.company import load_company
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.policy.validation import ChallengerPolicy, ValidationPolicy, load_validation
from health_pipeline.scoring.scorer import HealthScorer
from health_pipeline.scoring.validation.challenger import NotEnoughEventsError, challenge, reweighted
from health_pipeline.scoring.validation.challenger_files import verdict, write_challenger
from health_pipeline.scoring.validation.inputs import NothingToValidateError, complete_features, file_inputs
from health_pipeline.scoring.validation.learning import JudgedReadings, Multiples, ScoreModel
from health_pipeline.scoring.validation.readings import join_readings

POLICY = load_health_score(None)
RULES = load_validation(None).model.model_copy(
    update={
        "resamples": 200,
        "challenger": ChallengerPolicy(test_weeks=8, minimum_fit_events=15, pulls=(1.0,), largest_multiple=4),
    }
)


@pytest.fixture(scope="module")
def scorer():
    return HealthScorer(POLICY.model).fit()


@pytest.fixture(scope="module")
def readings_with_gaps(scorer):
    """Judged readings of the simulated company with a fifth of the measures missing."""
    features, outcomes = simulate(accounts=60, weeks=40)
    frame = features.sample(300, random_state=1).merge(outcomes, on=["account_id", "week"], how="left")
    random = np.random.default_rng(3)
    judged = scorer.judge(frame.assign(segment="x"))
    curve_values = np.where(random.uniform(size=judged.curve_values.shape) < 0.2, np.nan, judged.curve_values)
    left = frame["has_churned_13w"].fillna(value=False).to_numpy(dtype=float)
    return JudgedReadings(
        curve_values, judged.scorecards, left, frame["account_id"].to_numpy(dtype=object), np.zeros(300, dtype=np.int64)
    )


def test_with_the_policys_weights_the_model_is_the_scorer(scorer, readings_with_gaps):
    model = ScoreModel(scorer, 4)
    statuses = np.where(np.isnan(readings_with_gaps.curve_values), 2, 0)
    expected = scorer.weigh(readings_with_gaps.curve_values, statuses, readings_with_gaps.scorecards).score
    found = model.score(readings_with_gaps, np.zeros(model.groups), np.zeros(model.measures))
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_gradient_is_the_derivative(scorer, readings_with_gaps):
    model = ScoreModel(scorer, 4)
    random = np.random.default_rng(8)
    for _ in range(3):
        at = np.concatenate([random.normal(0, 0.5, model.groups + model.measures), [-2.0, 0.7]])
        difference = check_grad(
            lambda x: model._loss(x, readings_with_gaps, 0.5)[0],
            lambda x: model._loss(x, readings_with_gaps, 0.5)[1],
            at,
        )
        assert difference < 1e-4


def test_a_strong_pull_leaves_the_policy_as_it_is(scorer, readings_with_gaps):
    model = ScoreModel(scorer, 4)
    found, _ = model.fit(readings_with_gaps, 1e6)
    assert np.abs(np.concatenate([found.groups, found.measures])).max() < 1e-3
    weak, _ = model.fit(readings_with_gaps, 0.01)
    assert np.abs(weak.measures).max() > 0.1
    assert np.abs(np.concatenate([weak.groups, weak.measures])).max() <= np.log(4) + 1e-9


def normalised(content):
    return HealthScorer(type(POLICY.model).model_validate(content)).fit().weights_shown()


def test_reweighting_by_nothing_changes_no_share_and_multiples_do_what_they_say(scorer):
    content = yaml.safe_load(POLICY.path.read_text(encoding="utf-8"))
    nothing = Multiples(np.zeros(len(scorer.groups_)), np.zeros(len(scorer.measures_)), 1.0)
    before, same = scorer.weights_shown(), normalised(reweighted(content, scorer, nothing))
    assert same["normalised_weight"].to_numpy() == pytest.approx(before["normalised_weight"].to_numpy(), rel=0.01)
    double = np.where(np.array(list(scorer.measures_)) == "nps", np.log(2), 0.0)
    new = reweighted(content, scorer, Multiples(nothing.groups, double, 1.0))
    nps, pulse = (new["measures"][name]["weight"] for name in ("nps", "csm_pulse"))
    written = content["measures"]
    assert nps / pulse == pytest.approx(2 * written["nps"]["weight"] / written["csm_pulse"]["weight"], rel=0.01)
    assert sum(new["groups"].values()) == pytest.approx(sum(content["groups"].values()), rel=0.01)
    # Everything else is as it was: curves, tiers, rules.
    for document in (new, content):
        for measure in document["measures"].values():
            measure.pop("weight")
        for card in document["scorecards"].values():
            card.pop("group_weights", None)
    assert {**new, "groups": None} == {**content, "groups": None}


def inputs_of(tmp_path, features, outcomes):
    paths = tmp_path / "features.parquet", tmp_path / "outcomes.parquet"
    features.to_parquet(paths[0])
    outcomes.to_parquet(paths[1])
    return file_inputs(*paths, POLICY, load_company(None))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A challenger of a company whose support and payment alone decide about leaving."""
    features, outcomes = simulate(accounts=300, telling=("support", "payment"))
    inputs = inputs_of(tmp_path_factory.mktemp("learnt"), features, outcomes)
    rows = inputs.features.to_pandas()
    readings = join_readings(inputs.health.to_pandas(), inputs.outcomes.to_pandas(), rows)
    return challenge(readings, rows, POLICY, (), RULES), readings, rows


def test_it_finds_what_tells_and_ranks_later_leavers_better(learnt):
    found, _, _ = learnt
    by_group = (
        found.weights[found.weights["scorecard"] == "established"].groupby("measure_group").sum(numeric_only=True)
    )
    change = by_group["normalised_weight_learnt"] / by_group["normalised_weight"]
    assert change["support"] > 1.3
    assert change["payment"] > 1.3
    assert change["usage"] < 1
    assert found.is_better
    assert found.figure("auc")["challenger"] > found.figure("auc")["policy"] + 0.02


def test_nothing_of_the_test_weeks_is_fitted_on(learnt):
    found, readings, rows = learnt
    fit_end, test_start = pd.Timestamp(found.fit_weeks[1]), pd.Timestamp(found.test_weeks[0])
    assert test_start - fit_end >= pd.Timedelta(weeks=13)
    spoilt = readings.rows.copy()
    later = spoilt["week"] > fit_end
    spoilt.loc[later, "churned"] = np.random.default_rng(1).permutation(spoilt.loc[later, "churned"])
    again = challenge(type(readings)(spoilt, readings.calendar, 0, 0, 0), rows, POLICY, (), RULES)
    assert again.content == found.content


def test_outcomes_stay_the_heaviest_group_on_every_scorecard(learnt):
    found, _, _ = learnt
    policy = type(POLICY.model).model_validate(found.content)
    for card in policy.scorecards:
        weights = policy.group_weights(card)
        assert max(weights, key=weights.get) == "outcomes"
    assert min(measure.weight for measure in policy.measures.values()) > 0


def test_it_refuses_with_a_sentence_where_too_few_left(learnt):
    _, readings, rows = learnt
    strict = RULES.model_copy(update={"challenger": RULES.challenger.model_copy(update={"minimum_fit_events": 500})})
    with pytest.raises(NotEnoughEventsError, match=r"accounts are known to have left .* and 500 are needed"):
        challenge(readings, rows, POLICY, (), strict)
    with pytest.raises(NotEnoughEventsError, match="to compare weights on"):
        challenge(readings, rows, POLICY, (), RULES.model_copy(update={"minimum_events": 500}))
    nobody = type(readings)(readings.rows.iloc[:0], readings.calendar, 0, 0, 0)
    with pytest.raises(NotEnoughEventsError, match="0 accounts"):
        challenge(nobody, rows, POLICY, (), RULES)


def test_the_folder_is_a_policy_and_says_who_may_adopt_it(learnt, tmp_path):
    found, _, _ = learnt
    own = tmp_path / "policy"
    own.mkdir()
    shutil.copy(load_company(None).path, own / "company.yaml")
    folder = write_challenger(found, tmp_path / "challenger", POLICY, own, "Simulated: holds by construction.")
    loaded = load_health_score(folder)
    assert loaded.path == folder / "health_score.yaml"
    assert loaded.hash != POLICY.hash
    assert (folder / "company.yaml").read_text() == (own / "company.yaml").read_text()
    text = (folder / "README.md").read_text()
    assert "only once a person puts this `health_score.yaml` into the folder that HEALTH_POLICY names" in text
    assert f"in which {found.fit_events} accounts are known to have left" in text
    assert f"{found.figure('auc')['challenger']:.3f}" in text
    assert "Simulated: holds by construction." in text
    assert f"policy what-if {folder}" in text
    assert verdict(found) in text
    assert "better than the policy in force" in text
    assert "the cut-offs are a person's to set anew" in text
    # The same figures come from the written document: what is described is what would be adopted.
    assert yaml.safe_load((folder / "health_score.yaml").read_text()) == json.loads(json.dumps(found.content))


def test_nothing_written_names_an_account(learnt, tmp_path):
    found, readings, _ = learnt
    folder = write_challenger(found, tmp_path / "challenger", POLICY, None, "")
    text = "".join(path.read_text() for path in folder.iterdir())
    assert not any(account in text for account in readings.rows["account_id"].unique())


def test_the_verdict_is_plain_where_it_is_no_better(learnt):
    found, _, _ = learnt
    figures = found.figures.copy()
    figures.loc[figures["statistic"] == "auc", ["low", "high"]] = [-0.02, 0.03]
    same = type(found)(**{**found.__dict__, "figures": figures})
    assert not same.is_better
    assert "are not shown to rank better" in verdict(same)
    figures.loc[figures["statistic"] == "auc", ["low", "high"]] = [-0.05, -0.01]
    assert "rank those who left worse" in verdict(same)


def test_features_of_any_company_are_completed_and_never_made_up():
    given = pd.DataFrame(
        {"account_id": ["a", "b"], "week": ["2026-01-05", "2026-01-05"], "csm_sentiment": [3, None], "extra": [1, 2]}
    )
    import pyarrow as pa

    rows = complete_features(pa.Table.from_pandas(given)).to_pylist()
    assert [row["sentiment_status"] for row in rows] == ["measured", "missing"]
    assert {row["usage_status"] for row in rows} == {"missing"}
    assert rows[0]["csm_sentiment"] == 3
    assert rows[0]["active_users_28d"] is None
    assert "extra" not in rows[0]
    with pytest.raises(NothingToValidateError, match="csm_sentiment must be"):
        complete_features(pa.Table.from_pandas(given.assign(csm_sentiment=["good", "bad"])))


def test_weeks_with_holes_are_scored_stretch_by_stretch(tmp_path):
    features, outcomes = simulate(accounts=12, weeks=30)
    weeks = sorted(features["week"].unique())
    kept = features[features["week"].isin([*weeks[:3], *weeks[8:10]])]
    health = inputs_of(tmp_path, kept, outcomes).health.to_pandas()
    first = health[health["week"].isin([weeks[0], weeks[8]])]
    assert set(first["tier_reason"]) <= {"first_week", "outcome_cap"}
    assert len(health) == len(kept)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f, o, p: (f, p / "nowhere.parquet"), "nowhere.parquet is not there"),
        (lambda f, o, p: (o, o), "lacks"),
        (lambda f, o, p: (f, f), "outcomes|features.parquet lacks the columns has_churned_13w"),
    ],
)
def test_files_that_can_not_be_used_are_told_in_a_sentence(tmp_path, spoil, message):
    features, outcomes = simulate(accounts=5, weeks=20)
    paths = tmp_path / "features.parquet", tmp_path / "outcomes.parquet"
    features.drop(columns="lifecycle_stage").to_parquet(paths[0])
    outcomes.drop(columns="week").to_parquet(paths[1])
    with pytest.raises(NothingToValidateError, match=message):
        file_inputs(*spoil(*paths, tmp_path), POLICY, load_company(None))
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(NothingToValidateError, match="is not a Parquet file"):
        file_inputs(tmp_path / "text.parquet", paths[1], POLICY, load_company(None))


def test_the_policy_document_is_checked():
    content = yaml.safe_load(load_validation(None).path.read_text())
    with pytest.raises(ValueError, match="lead_weeks must rise"):
        ValidationPolicy.model_validate({**content, "lead_weeks": [8, 4]})
    with pytest.raises(ValueError, match="minimum_events"):
        ValidationPolicy.model_validate({**content, "minimum_events": 1})
