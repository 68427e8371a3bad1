"""Weights learnt from outcomes: a logistic model of the score itself, its weights pulled towards the policy's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, minimize
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from health_pipeline.scoring.scorer import Codes, Floats, HealthScorer
from health_pipeline.scoring.validation.readings import LABEL_WEEKS

# A reading counts a 13th: labels of 13 weeks in a row say the same of an account.
_ROW_WEIGHT = 1 / LABEL_WEEKS
# The policy wants outcomes to weigh more than any other group: by this much, so that rounding can't undo it.
_LEAD_OF_OUTCOMES = np.log(1.03)
_FOLDS = 5
_CHOOSE_EVERY = 4


class LearningError(RuntimeError):
    """The optimiser found no weights; the message says at which pull, and why."""


@dataclass(frozen=True)
class JudgedReadings:
    """What the scorer saw of each reading, and what happened after.

    Attributes
    ----------
    curve_values : shape (n, measures), 0 to 100; NaN where a measure is left out
    scorecards : shape (n,), positions in the policy
    happened : shape (n,), 1 or 0
    accounts : shape (n,)
    weeks : shape (n,), numbers
    """

    curve_values: Floats
    scorecards: Codes
    happened: Floats
    accounts: NDArray[np.object_]
    weeks: Codes

    def part(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> JudgedReadings:
        """Some of the readings."""
        return JudgedReadings(
            self.curve_values[chosen],
            self.scorecards[chosen],
            self.happened[chosen],
            self.accounts[chosen],
            self.weeks[chosen],
        )


@dataclass(frozen=True)
class Multiples:
    """By how much each weight of the policy is multiplied, as natural logarithms; 0 leaves it as it is.

    Attributes
    ----------
    groups, measures : shape (groups,) and (measures,), the same on every scorecard
    pull : the strength that was used
    """

    groups: Floats
    measures: Floats
    pull: float


class ScoreModel:
    """log odds of leaving = level - slope x (score - 50) / 10, where the score is the scorer's own with other weights.

    Each weight is the policy's times exp(u). So weights stay positive, a measure that is missing hands its weight on
    exactly as in the scorer, and u = 0 is the policy in force. The loss is the log loss, a 13th per reading, plus
    pull x sum(u^2): ridge regression towards the policy instead of towards nothing (Hoerl, Kennard 1970; a normal prior
    around the policy's weights, on the log scale). That outcomes weigh most stays a constraint.

    Parameters
    ----------
    scorer : fitted HealthScorer of the policy in force
    largest_multiple : no weight is multiplied by more than this, or divided
    """

    def __init__(self, scorer: HealthScorer, largest_multiple: float) -> None:
        self.scorer = scorer
        self.groups, self.measures = len(scorer.groups_), len(scorer.measures_)
        self.limit = float(np.log(largest_multiple))

    def fit(self, readings: JudgedReadings, pull: float) -> tuple[Multiples, Floats]:
        """Multiples of the weights, and level and slope, for one strength of the pull.

        Raises
        ------
        LearningError
            If the optimiser stops without a solution.
        """
        rate = float(np.clip(readings.happened.mean(), 1e-6, 1 - 1e-6))
        start = np.concatenate([np.zeros(self.groups + self.measures), [np.log(rate / (1 - rate)) + 1.0, 0.5]])
        limits = [(-self.limit, self.limit)] * (self.groups + self.measures)
        rows, least = self._outcomes_lead()
        found = minimize(
            self._loss,
            start,
            args=(readings, pull),
            jac=True,
            method="SLSQP",
            bounds=[*limits, (None, None), (0.0, None)],
            constraints=LinearConstraint(rows, least, np.inf),
            options={"maxiter": 300, "ftol": 1e-8},
        )
        if not found.success:
            raise LearningError(f"no weights were found at a pull of {pull:g}: {found.message}")
        groups, measures = found.x[: self.groups], found.x[self.groups : -2]
        return Multiples(groups, measures, pull), found.x[-2:]

    def score(self, readings: JudgedReadings, groups: Floats, measures: Floats) -> Floats:
        """The score with multiplied weights, shape (n,), 0 to 100."""
        return self._score(readings, groups, measures)[0]

    def _score(self, readings: JudgedReadings, groups: Floats, measures: Floats) -> tuple[Floats, Floats, Floats]:
        """Score with its derivatives by the groups' and the measures' u."""
        known = ~np.isnan(readings.curve_values)
        values = np.where(known, readings.curve_values, 0.0)
        weights = self.scorer.measure_weights_[readings.scorecards] * np.exp(measures) * known
        belongs = np.eye(self.groups)[self.scorer.group_of_]
        inside = weights @ belongs
        group_values = np.divide((weights * values) @ belongs, inside, out=np.zeros_like(inside), where=inside > 0)
        group_weights = self.scorer.group_weights_[readings.scorecards] * np.exp(groups) * (inside > 0)
        shares = group_weights / group_weights.sum(axis=1, keepdims=True)
        score = (shares * group_values).sum(axis=1)
        by_group = shares * (group_values - score[:, None])
        of = self.scorer.group_of_
        part = np.divide(weights, inside[:, of], out=np.zeros_like(weights), where=inside[:, of] > 0)
        by_measure = shares[:, of] * part * (values - group_values[:, of])
        return score, by_group, by_measure

    def _loss(self, x: Floats, readings: JudgedReadings, pull: float) -> tuple[float, Floats]:
        groups, measures, (level, slope) = x[: self.groups], x[self.groups : -2], x[-2:]
        score, by_group, by_measure = self._score(readings, groups, measures)
        centred = (score - 50) / 10
        log_odds = level - slope * centred
        loss = np.logaddexp(0, log_odds) - readings.happened * log_odds
        error = (expit(log_odds) - readings.happened) * _ROW_WEIGHT
        through_score = -slope / 10 * error
        gradient = np.concatenate(
            [
                through_score @ by_group + 2 * pull * groups,
                through_score @ by_measure + 2 * pull * measures,
                [error.sum(), -(error * centred).sum()],
            ]
        )
        return float(loss.sum() * _ROW_WEIGHT + pull * (groups @ groups + measures @ measures)), gradient

    def _outcomes_lead(self) -> tuple[Floats, Floats]:
        """Rows of A and least values of A x: on every scorecard outcomes weigh more than each other group."""
        outcome = self.scorer.groups_.index(self.scorer.policy_.outcome_cap.group)
        rows, least = [], []
        for weights in self.scorer.group_weights_:
            for other in np.flatnonzero(weights):
                if other != outcome:
                    row = np.zeros(self.groups + self.measures + 2)
                    row[outcome], row[other] = 1, -1
                    rows.append(row)
                    least.append(_LEAD_OF_OUTCOMES - np.log(weights[outcome] / weights[other]))
        # A policy in force may lead by less than that already.
        return np.array(rows), np.minimum(np.array(least), 0.0)


def choose_pull(model: ScoreModel, readings: JudgedReadings, pulls: tuple[float, ...]) -> float:
    """The pull whose weights give the smallest log loss on accounts they were not fitted on.

    Folds hold whole accounts (scikit-learn's `GroupKFold`); of equal losses the strongest pull is taken. Every fourth
    week is enough to choose by: a week's readings say nearly what those of the week before said.
    """
    if len(pulls) == 1:
        return pulls[0]
    some = readings.part((readings.weeks.max() - readings.weeks) % _CHOOSE_EVERY == 0)
    losses = {}
    for pull in pulls:
        losses[pull] = 0.0
        for fitted, held in GroupKFold(_FOLDS).split(some.curve_values, groups=some.accounts):
            # Fewer readings stand for as many events, so that a pull means the same as in the fit on all of them.
            found, (level, slope) = model.fit(some.part(fitted), pull / _CHOOSE_EVERY)
            out = some.part(held)
            log_odds = level - slope * (model.score(out, found.groups, found.measures) - 50) / 10
            losses[pull] += float((np.logaddexp(0, log_odds) - out.happened * log_odds).sum())
    return min(sorted(losses, reverse=True), key=lambda pull: losses[pull])
