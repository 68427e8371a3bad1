"""The health score as a scikit-learn estimator: curves, weights, what is missing, exact contributions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from health_pipeline.policy.company import Domain
from health_pipeline.policy.features import FEATURE_TABLE, STATUSES, feature
from health_pipeline.policy.health_score import (
    HealthScorePolicy,
    LifecycleStage,
    Measure,
    load_health_score,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

# Status codes are positions in STATUSES; NOT_ON_CARD: the account's scorecard does not have the measure.
MEASURED, ZERO, MISSING, STALE, NOT_APPLICABLE = range(len(STATUSES))
NOT_ON_CARD = -1


@dataclass(frozen=True)
class Weighed:
    """What weighing curve values gave, rows by accounts and columns by measures (or groups).

    Attributes
    ----------
    score : shape (n,), 0 to 100; NaN where nothing is measured
    coverage : shape (n,), share of the applicable weight that is measured, 0 to 1; 0 where nothing applies
    contributions, weights, nominal_weights : shape (n, measures); contributions sum to score
    group_values : shape (n, groups), 0 to 100 inside the group; NaN where nothing of it is measured
    """

    score: Floats
    coverage: Floats
    contributions: Floats
    weights: Floats
    nominal_weights: Floats
    group_values: Floats


@dataclass(frozen=True)
class Judged:
    """Every account judged, before the coverage floor: inputs beside what they gave.

    Attributes
    ----------
    scorecards : shape (n,), position of the scorecard in the policy
    raw, curve_values : shape (n, measures); NaN where not known
    statuses : shape (n, measures), positions in STATUSES, NOT_ON_CARD where the scorecard lacks the measure
    """

    scorecards: Codes
    raw: Floats
    curve_values: Floats
    statuses: Codes
    weighed: Weighed


class HealthScorer(TransformerMixin, BaseEstimator):
    """Score accounts by a policy: a pure function of each row, so a batch and a single account agree.

    Parameters
    ----------
    policy : HealthScorePolicy or None, default None
        None reads the built-in policy for a company that sells software.
    not_applicable_domains : iterable of str, default ()
        Domains that the company does not have; they leave the denominator of the coverage.

    Attributes
    ----------
    policy_ : HealthScorePolicy
        The policy in use.
    measures_ : dict of str to Measure
    groups_ : list of str
    scorecards_ : list of str
    feature_names_in_ : ndarray of str
        Columns that `transform` reads.

    Examples
    --------
    >>> from health_pipeline.scoring.scorer import HealthScorer
    >>> scorer = HealthScorer().fit()
    >>> list(scorer.get_feature_names_out()[:3])
    ['score', 'coverage', 'group__outcomes']
    """

    def __init__(self, policy: HealthScorePolicy | None = None, not_applicable_domains: Iterable[Domain] = ()) -> None:
        self.policy = policy
        self.not_applicable_domains = not_applicable_domains

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags

    def fit(self, X: pd.DataFrame | None = None, y: object = None) -> HealthScorer:
        """Lay the policy out as arrays; the data is only checked for the columns that will be read.

        Parameters
        ----------
        X : DataFrame with columns of `account_features_weekly`, optional
        y : ignored

        Raises
        ------
        ValueError
            If X lacks a column the policy reads.
        """
        self.policy_ = self.policy if self.policy is not None else load_health_score(None).model
        self.measures_: dict[str, Measure] = dict(self.policy_.measures)
        self.groups_: list[str] = list(self.policy_.groups)
        self.scorecards_: list[str] = list(self.policy_.scorecards)
        self.group_of_ = np.array([self.groups_.index(m.group) for m in self.measures_.values()])
        self.measure_weights_, self.group_weights_ = self._weight_arrays()
        read = {m.feature: None for m in self.measures_.values()}
        read |= {feature(m.feature).status_column: None for m in self.measures_.values()}
        self.feature_names_in_ = np.array(["lifecycle_stage", *read], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        if X is not None:
            self._check_columns(X)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame | Floats:
        """Score the accounts; a score below the policy's coverage floor is NaN, and so are its contributions.

        Parameters
        ----------
        X : DataFrame, shape (n, at least the columns of `feature_names_in_`)
            `segment` is read too where the policy has scorecards by segment.

        Returns
        -------
        ndarray or DataFrame (`set_output`), shape (n, 2 + groups + measures)
            score (0 to 100), coverage (0 to 1), `group__*` (0 to 100), `contribution__*` (they sum to score;
            0 where a measure is left out).

        Raises
        ------
        ValueError
            If X lacks a column, or holds a status that the contract does not know.
        """
        judged = self.judge(X)
        weighed = judged.weighed
        unscored = ~self.is_scored(weighed)
        columns = [weighed.score, weighed.coverage, *weighed.group_values.T, *weighed.contributions.T]
        out = np.column_stack(columns) if len(X) else np.empty((0, len(columns)))
        contributions_from = 2 + len(self.groups_)
        out[unscored, 0] = np.nan
        out[unscored, contributions_from:] = np.nan
        return out

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of the columns of `transform`; `input_features` is ignored."""
        check_is_fitted(self, "measures_")
        groups = [f"group__{name}" for name in self.groups_]
        measures = [f"contribution__{name}" for name in self.measures_]
        return np.array(["score", "coverage", *groups, *measures], dtype=object)

    def is_scored(self, weighed: Weighed) -> Flags:
        """Which accounts reach the policy's coverage floor, shape (n,)."""
        return (weighed.coverage >= self.policy_.coverage_floor) & ~np.isnan(weighed.score)

    def judge(self, X: pd.DataFrame, scorecards: Codes | None = None) -> Judged:
        """Score the accounts and keep every input beside it, without the coverage floor.

        Parameters
        ----------
        X : as in `transform`
        scorecards : shape (n,), positions of the scorecards to judge by; None: those the policy chooses

        Returns
        -------
        Judged
        """
        if not hasattr(self, "measures_"):
            self.fit()
        self._check_columns(X)
        scorecards = self._scorecard_codes(X) if scorecards is None else scorecards
        columns = {name: as_floats(X[name]) for name in {m.feature for m in self.measures_.values()}}
        raw = _columns([columns[m.feature] for m in self.measures_.values()], len(X))
        codes = {name: self._domain_codes(X, name) for name in {m.domain for m in self.measures_.values()}}
        domains = _columns([codes[m.domain] for m in self.measures_.values()], len(X)).astype(np.int64)
        curve_values, statuses = self.read(raw, domains, scorecards)
        return Judged(scorecards, raw, curve_values, statuses, self.weigh(curve_values, statuses, scorecards))

    def read(self, raw: Floats, domain_codes: Codes, scorecards: Codes) -> tuple[Floats, Codes]:
        """Turn raw values and the statuses of their domains into curve values and the measures' own statuses.

        Parameters
        ----------
        raw : shape (n, measures)
        domain_codes : shape (n, measures), positions in STATUSES
        scorecards : shape (n,), positions in the policy

        Returns
        -------
        curve values (NaN where the measure is left out) and statuses, both of shape (n, measures)
        """
        curve_values = np.full(raw.shape, np.nan)
        statuses = domain_codes.copy()
        for position, measure in enumerate(self.measures_.values()):
            is_null = np.isnan(raw[:, position])
            known = np.isin(domain_codes[:, position], (MEASURED, ZERO))
            values = evaluate_curve(measure, raw[:, position])
            null_status = MISSING
            if measure.optional_when_null is not None:
                worth = measure.optional_when_null.curve_value
                null_status = NOT_APPLICABLE if worth is None else MEASURED
                values = np.where(is_null, np.nan if worth is None else worth, values)
            statuses[known & is_null, position] = null_status
            usable = known & (~is_null | (null_status == MEASURED))
            curve_values[usable, position] = values[usable]
        off_card = self.measure_weights_[scorecards] == 0
        statuses[off_card] = NOT_ON_CARD
        curve_values[off_card] = np.nan
        return curve_values, statuses

    def weigh(self, curve_values: Floats, statuses: Codes, scorecards: Codes) -> Weighed:
        """Spread the weights over what is measured (in the group first, then over the groups) and add up.

        Sums run measure by measure, so that an account's score does not depend on who else is in the batch.
        """
        base = self.measure_weights_[scorecards]
        group_base = self.group_weights_[scorecards]
        applicable = (statuses != NOT_APPLICABLE) & (statuses != NOT_ON_CARD)
        measured = ~np.isnan(curve_values)
        nominal = self._spread(base, group_base, applicable)
        weights = self._spread(base, group_base, measured)
        values = np.where(measured, curve_values, 0.0)
        contributions = weights * values
        coverage = _row_sums(np.where(measured, nominal, 0.0))
        group_values = self._group_values(base, measured, values)
        # The same measures summed in another order may exceed 100, or 1, by a rounding error.
        score = np.where(measured.any(axis=1), np.minimum(_row_sums(contributions), 100.0), np.nan)
        return Weighed(score, np.minimum(coverage, 1.0), contributions, weights, nominal, group_values)

    def weights_shown(self) -> pd.DataFrame:
        """Weights in both forms, a row per scorecard and measure: as written, and normalised."""
        if not hasattr(self, "measures_"):
            self.fit()
        rows = []
        for position, card in enumerate(self.scorecards_):
            everything = self.measure_weights_[[position]] > 0
            share = self._spread(self.measure_weights_[[position]], self.group_weights_[[position]], everything)
            group_weights = self.policy_.group_weights(card)
            for column, (name, measure) in enumerate(self.measures_.items()):
                if everything[0, column]:
                    written = (group_weights[measure.group], measure.weight)
                    rows.append((card, measure.group, name, *written, share[0, column]))
        columns = [
            "scorecard",
            "measure_group",
            "measure",
            "group_weight",
            "measure_weight",
            "normalised_weight",
        ]
        return pd.DataFrame(rows, columns=columns)

    def _weight_arrays(self) -> tuple[Floats, Floats]:
        measure_weights = np.zeros((len(self.scorecards_), len(self.measures_)))
        group_weights = np.zeros((len(self.scorecards_), len(self.groups_)))
        names = list(self.measures_)
        for row, card in enumerate(self.scorecards_):
            for name, measure in self.policy_.scorecard_measures(card).items():
                measure_weights[row, names.index(name)] = measure.weight
            for group, weight in self.policy_.group_weights(card).items():
                group_weights[row, self.groups_.index(group)] = weight
        return measure_weights, group_weights

    def _spread(self, base: Floats, group_base: Floats, included: Flags) -> Floats:
        kept = np.where(included, base, 0.0)
        group_kept = np.zeros_like(group_base)
        inside = np.zeros_like(group_base)
        for column, group in enumerate(self.group_of_):
            inside[:, group] += kept[:, column]
        np.copyto(group_kept, group_base, where=inside > 0)
        total = _row_sums(group_kept)
        share = np.divide(group_kept, total[:, None], out=np.zeros_like(group_kept), where=total[:, None] > 0)
        by_measure = np.divide(share, inside, out=np.zeros_like(share), where=inside > 0)[:, self.group_of_]
        return kept * by_measure

    def _group_values(self, base: Floats, measured: Flags, values: Floats) -> Floats:
        weight = np.zeros((len(base), len(self.groups_)))
        total = np.zeros_like(weight)
        for column, group in enumerate(self.group_of_):
            kept = np.where(measured[:, column], base[:, column], 0.0)
            weight[:, group] += kept
            total[:, group] += kept * values[:, column]
        return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)

    def _scorecard_codes(self, X: pd.DataFrame) -> Codes:
        given = X["lifecycle_stage"].astype(object)
        stages = np.asarray(given.where(given.notna(), self.policy_.default_lifecycle_stage))
        known: tuple[LifecycleStage, ...] = ("onboarding", "established")
        if unknown := set(stages) - set(known):
            raise ValueError(f"{FEATURE_TABLE}.lifecycle_stage holds {sorted(unknown)}; it must be one of {known}")
        segments = X["segment"].astype(object) if "segment" in X.columns else pd.Series("", index=X.index, dtype=object)
        stage_codes, stage_names = pd.factorize(stages)
        segment_codes, segment_names = pd.factorize(np.asarray(segments.where(segments.notna(), "")))
        choose = self.policy_.scorecard_of
        cards = [[self.scorecards_.index(choose(stage, name)) for name in segment_names] for stage in stage_names]
        return np.array(cards, dtype=np.int64).reshape(len(stage_names), len(segment_names))[stage_codes, segment_codes]

    def _domain_codes(self, X: pd.DataFrame, domain: Domain) -> Codes:
        if domain in set(self.not_applicable_domains):
            return np.full(len(X), NOT_APPLICABLE, dtype=np.int64)
        return status_codes(X[f"{domain}_status"])

    def _check_columns(self, X: pd.DataFrame) -> None:
        if not isinstance(X, pd.DataFrame):
            raise TypeError(f"HealthScorer reads columns by name; give a pandas DataFrame, not {type(X).__name__}")
        if lacking := [name for name in self.feature_names_in_ if name not in X.columns]:
            raise ValueError(f"the features lack {', '.join(lacking)}; give the columns of {FEATURE_TABLE}")


def evaluate_curve(measure: Measure, raw: Floats) -> Floats:
    """Points (0 to 100) that the measure gives to raw values, shape (n,); NaN where raw is NaN."""
    if measure.curve:
        points = np.array(measure.curve, dtype=np.float64)
        values = np.interp(raw, points[:, 0], points[:, 1])
    else:
        starts = np.array([band.from_ for band in measure.bands[1:]], dtype=np.float64)
        worth = np.array([band.value for band in measure.bands])
        values = worth[np.searchsorted(starts, np.nan_to_num(raw), side="right")]
    return np.where(np.isnan(raw), np.nan, values)


def as_floats(column: pd.Series) -> Floats:
    """A feature column as floats, shape (n,): true 1, false 0, decimals as numbers, nulls NaN."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        return column.to_numpy(dtype=np.float64)
    objects = column.astype(object)
    return objects.where(objects.notna(), np.nan).to_numpy().astype(np.float64)


def status_codes(column: pd.Series) -> Codes:
    """Domain statuses as positions in STATUSES, shape (n,); a null reads as missing.

    Raises
    ------
    ValueError
        If a status is not one of the contract's.
    """
    codes: Mapping[str, int] = {name: code for code, name in enumerate(STATUSES)}
    filled = column.astype(object).where(column.notna(), "missing")
    mapped = filled.map(codes)
    if mapped.isna().any():
        unknown = sorted(set(filled[mapped.isna()].astype(str)))
        raise ValueError(f"{FEATURE_TABLE}.{column.name} holds {unknown}; a status is one of {', '.join(STATUSES)}")
    return np.asarray(mapped, dtype=np.int64)


def _columns(columns: list[NDArray[np.generic]], rows: int) -> Floats:
    return np.column_stack(columns).astype(np.float64) if columns and rows else np.empty((rows, len(columns)))


def _row_sums(values: Floats) -> Floats:
    total = np.zeros(len(values))
    for column in values.T:
        total += column
    return total
