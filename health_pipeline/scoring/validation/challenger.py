"""A challenger to the policy in force: the same curves with learnt weights, and how it did out of time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from health_pipeline.contract.yaml_text import parse_yaml
from health_pipeline.policy.company import Domain
from health_pipeline.policy.documents import Document
from health_pipeline.policy.health_score import HealthScorePolicy
from health_pipeline.policy.validation import ValidationPolicy
from health_pipeline.scoring.scorer import Floats, HealthScorer
from health_pipeline.scoring.validation.intervals import AccountResamples, percentile_interval
from health_pipeline.scoring.validation.learning import JudgedReadings, Multiples, ScoreModel, choose_pull
from health_pipeline.scoring.validation.ranking import RankedOutcomes, riskiest
from health_pipeline.scoring.validation.readings import KEY, Readings, known_at_start

COMPARED = {
    "auc": "area under the ROC curve",
    "average_precision": "average precision",
    "recall_at_top_share": "share of the leavers among the lowest scores of each week",
}


class NotEnoughEventsError(ValueError):
    """Too few accounts left to learn weights from, or to compare them on; the message says how many there are."""


@dataclass(frozen=True)
class Challenger:
    """Learnt weights as a policy document, with what they were learnt from and how they did on later weeks.

    Attributes
    ----------
    content : the whole document of the policy in force, with other weights
    weights : DataFrame, a row per scorecard and measure: normalised weight in force and learnt
    fit_weeks, test_weeks : first and last week each; every label of the first was known before the second begin
    fit_events, fit_readings, test_events, test_readings : accounts that left, and readings
    pull : strength of the pull towards the policy in force, chosen by folds of accounts
    figures : DataFrame of statistic, policy, challenger, difference, low, high: on the test weeks, on which nothing
        was fitted; the interval is the difference's, from resampled accounts
    """

    content: dict[str, Any]
    weights: pd.DataFrame
    fit_weeks: tuple[str, str]
    test_weeks: tuple[str, str]
    fit_events: int
    fit_readings: int
    test_events: int
    test_readings: int
    pull: float
    figures: pd.DataFrame

    def figure(self, statistic: str) -> dict[str, float]:
        """One row of the figures."""
        row = self.figures[self.figures["statistic"] == statistic].iloc[0]
        return {name: float(row[name]) for name in ("policy", "challenger", "difference", "low", "high")}

    @property
    def is_better(self) -> bool:
        """The whole interval of the difference in AUC is above zero."""
        return float(self.figure("auc")["low"]) > 0


def challenge(
    readings: Readings,
    features: pd.DataFrame,
    policy: Document[HealthScorePolicy],
    not_applicable_domains: Sequence[Domain],
    validation: ValidationPolicy,
) -> Challenger:
    """Learn weights on earlier weeks and hold them against the policy in force on later ones.

    Both score the features as they were published; nothing that became known later is read. No probability of
    an account is returned or kept.

    Parameters
    ----------
    readings : from `join_readings`
    features : rows of account_features_weekly
    policy : in force
    not_applicable_domains : of the company
    validation : weeks to test on, events that are needed, pulls to choose from

    Raises
    ------
    NotEnoughEventsError
        If too few accounts left in the weeks to fit on, or in those to test on.
    """
    rules = validation.challenger
    scorer = HealthScorer(policy.model, not_applicable_domains).fit()
    rows = _labelled(readings, features)
    rows = rows[scorer.is_scored(scorer.judge(rows).weighed)]
    weeks = sorted(rows["week_number"].unique())
    later = weeks[-rules.test_weeks :]
    test = rows[rows["week_number"].isin(later)]
    fit = rows[known_at_start(rows, int(later[0]))] if later else rows
    _check_events(fit, f"before the {len(later)} newest weeks, to learn weights from", rules.minimum_fit_events)
    _check_events(test, f"in the {len(later)} newest weeks, to compare weights on", validation.minimum_events)
    known = _judged(scorer, fit)
    model = ScoreModel(scorer, rules.largest_multiple)
    multiples, _ = model.fit(known, choose_pull(model, known, rules.pulls))
    content = reweighted(parse_yaml(policy.path.read_text(encoding="utf-8")), scorer, multiples)
    learnt = HealthScorer(HealthScorePolicy.model_validate(content), not_applicable_domains).fit()
    return Challenger(
        content=content,
        weights=_weights(scorer, learnt),
        fit_weeks=_span(fit),
        test_weeks=_span(test),
        fit_events=_leavers(fit),
        fit_readings=len(fit),
        test_events=_leavers(test),
        test_readings=len(test),
        pull=multiples.pull,
        figures=_compare(test, scorer, learnt, validation),
    )


def reweighted(content: dict[str, Any], scorer: HealthScorer, multiples: Multiples) -> dict[str, Any]:
    """The document with multiplied weights, rounded; groups keep the sum of their weights, and measures inside a group.

    Parameters
    ----------
    content : the parsed document of the scorer's policy
    multiples : what each of its weights is multiplied by
    """
    new = copy.deepcopy(content)
    by_group = dict(zip(scorer.groups_, np.exp(multiples.groups).tolist(), strict=True))
    by_measure = dict(zip(scorer.measures_, np.exp(multiples.measures).tolist(), strict=True))
    scale = _scale(content["groups"], by_group)
    new["groups"] = {name: _rounded(weight * by_group[name] * scale) for name, weight in content["groups"].items()}
    for card in new["scorecards"].values():
        # They stand beside the document's own, so they are scaled by the same number.
        for name, weight in (card or {}).get("group_weights", {}).items():
            card["group_weights"][name] = _rounded(weight * by_group[name] * scale)
    for group in scorer.groups_:
        weights = {name: m["weight"] for name, m in content["measures"].items() if m["group"] == group}
        scale = _scale(weights, by_measure)
        for name, weight in weights.items():
            new["measures"][name]["weight"] = _rounded(weight * by_measure[name] * scale)
    return new


def _scale(weights: dict[str, float], multiples: dict[str, float]) -> float:
    return float(sum(weights.values()) / sum(weight * multiples[name] for name, weight in weights.items()))


def _rounded(weight: float) -> float:
    """Three digits, so that a small weight stays positive; 0 stays 0 (a group that is left out)."""
    return float(f"{weight:.3g}")


def _labelled(readings: Readings, features: pd.DataFrame) -> pd.DataFrame:
    """Published features beside the outcome and the segment in force then."""
    given = features.assign(week=pd.to_datetime(features["week"])).drop(columns="segment", errors="ignore")
    return readings.rows[[*KEY, "week_number", "churned", "segment"]].merge(given, on=KEY, how="inner")


def _judged(scorer: HealthScorer, rows: pd.DataFrame) -> JudgedReadings:
    judged = scorer.judge(rows)
    happened, accounts = rows["churned"].to_numpy(dtype=float), rows["account_id"].to_numpy(dtype=object)
    weeks = rows["week_number"].to_numpy(dtype=np.int64)
    return JudgedReadings(judged.curve_values, judged.scorecards, happened, accounts, weeks)


def _check_events(rows: pd.DataFrame, what_for: str, least: int) -> None:
    events = _leavers(rows)
    if events < least:
        raise NotEnoughEventsError(
            f"No challenger: {events} accounts are known to have left {what_for}, and {least} are needed "
            "(validation.yaml)."
        )


def _leavers(rows: pd.DataFrame) -> int:
    return int(rows.loc[rows["churned"] == 1, "account_id"].nunique())


def _span(rows: pd.DataFrame) -> tuple[str, str]:
    return f"{rows['week'].min():%Y-%m-%d}", f"{rows['week'].max():%Y-%m-%d}"


def _weights(in_force: HealthScorer, learnt: HealthScorer) -> pd.DataFrame:
    keys = ["scorecard", "measure_group", "measure"]
    both = in_force.weights_shown().merge(learnt.weights_shown(), on=keys, suffixes=("", "_learnt"))
    return both[[*keys, "normalised_weight", "normalised_weight_learnt"]]


def _compare(
    test: pd.DataFrame, in_force: HealthScorer, learnt: HealthScorer, validation: ValidationPolicy
) -> pd.DataFrame:
    """Both policies on the same later readings, with the paired interval of the difference."""
    happened = test["churned"].to_numpy(dtype=float)
    scores = [scorer.judge(test).weighed.score for scorer in (in_force, learnt)]
    ranked = [RankedOutcomes(happened, -score) for score in scores]
    listed = [riskiest(test.assign(risk=-score), "risk", validation.top_share) for score in scores]

    def values(weights: Floats | None = None) -> Floats:
        given = np.ones((len(test), 1)) if weights is None else weights
        # A resample without a leaver has no share of them; such a resample is left out of the interval.
        left = np.where(happened @ given > 0, happened @ given, np.nan)
        recalls = [(happened * on_list) @ given / left for on_list in listed]
        columns = [np.column_stack([r.both(given), recall]) for r, recall in zip(ranked, recalls, strict=True)]
        return np.column_stack([*columns, columns[1] - columns[0]])

    names = list(COMPARED)
    found = values()[0]
    accounts = test["account_id"].to_numpy(dtype=object)
    resampled = AccountResamples(accounts, validation.resamples, validation.seed).of_rows(values)
    rows = []
    for place, name in enumerate(names):
        difference = place + 2 * len(names)
        interval = percentile_interval(float(found[difference]), resampled[:, difference], validation.confidence)
        rows.append((name, found[place], found[place + len(names)], interval.value, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["statistic", "policy", "challenger", "difference", "low", "high"])
