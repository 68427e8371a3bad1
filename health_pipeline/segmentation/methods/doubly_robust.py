"""The effect of a strategy that nobody randomised: adjusted two ways, and only where the arms can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from health_pipeline.segmentation.methods.intervals import Interval
from health_pipeline.segmentation.methods.kmeans import one_thread

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Crump, Hotz, Imbens and Mitnik's rule of thumb; outside of it a few accounts stand for very many.
LEAST_PROPENSITY = 0.1
# Share of the accounts that must be inside, and the accounts that an arm needs.
LEAST_OVERLAP, LEAST_ARM = 0.5, 30


@dataclass(frozen=True)
class Overlap:
    """Whether treated and untreated accounts can be compared.

    Attributes
    ----------
    inside_share : accounts with a propensity within [0.1, 0.9]
    treated, control : accounts of each arm inside
    largest_difference : largest standardised difference of a covariate between the arms, before adjustment
    reason : why the effect can't be judged; None where it can
    """

    inside_share: float
    treated: int
    control: int
    largest_difference: float
    reason: str | None


@dataclass(frozen=True)
class AdjustedEffect:
    """Mean effect over the accounts inside the overlap; `effect` is None where it can't be judged.

    `raw` is the plain difference of the arms, which confounding is in. `influence` has each inside account's
    contribution, shape (accounts inside,), and `inside` says which those are, shape (n,): effects of segments are
    means of contributions.
    """

    effect: Interval | None
    raw: float | None
    overlap: Overlap
    folds: int
    seed: int
    inside: Flags
    influence: Floats


@one_thread
def adjusted_effect(
    covariates: Floats, treated: Flags, event: Flags, folds: int = 5, seed: int = 0, confidence: float = 0.95
) -> AdjustedEffect:
    """Risk difference by augmented inverse propensity weighting, cross-fitted, with an overlap check first.

    Right if either the model of who is treated or that of what happens is right, and if nothing outside `covariates`
    decided both: that can't be tested, so it is a judgement to be said beside the figure.

    Parameters
    ----------
    covariates : shape (n, p), known before treatment, no NaN
    treated, event : shape (n,)
    folds : each account's propensity and risks come from models that did not see it
    seed : of the folds

    Returns
    -------
    AdjustedEffect

    References
    ----------
    Robins, Rotnitzky, Zhao (1994), JASA 89; Chernozhukov et al. (2018), The Econometrics Journal 21(1), for
    cross-fitting; Crump, Hotz, Imbens, Mitnik (2009), Biometrika 96, for the overlap.
    """
    n, on = len(treated), np.asarray(treated, dtype=bool)
    happened = np.asarray(event, dtype=float)
    difference = _largest_difference(covariates, on)
    few = min(int(on.sum()), int((~on).sum()))
    raw = float(happened[on].mean() - happened[~on].mean()) if few else None
    if few < LEAST_ARM:
        too_few = f"{few} accounts in the smaller arm, {LEAST_ARM} are needed"
        overlap = Overlap(0.0, int(on.sum()), int((~on).sum()), difference, too_few)
        return AdjustedEffect(None, raw, overlap, folds, seed, np.zeros(n, dtype=bool), np.empty(0))
    propensity, risk_on, risk_off = _cross_fitted(covariates, on, happened, folds, seed)
    inside = (propensity >= LEAST_PROPENSITY) & (propensity <= 1 - LEAST_PROPENSITY)
    share, arms = float(inside.mean()), (int((inside & on).sum()), int((inside & ~on).sum()))
    reason: str | None = None
    if share < LEAST_OVERLAP:
        reason = (
            f"{1 - share:.0%} of the accounts were almost sure to be treated, or not to be: no like to compare with"
        )
    elif min(arms) < LEAST_ARM:
        reason = f"{min(arms)} comparable accounts in the smaller arm, {LEAST_ARM} are needed"
    overlap = Overlap(share, *arms, difference, reason)
    influence = (
        risk_on - risk_off + on * (happened - risk_on) / propensity - ~on * (happened - risk_off) / (1 - propensity)
    )[inside]
    effect = None if reason else mean_effect(influence, confidence)
    return AdjustedEffect(effect, raw, overlap, folds, seed, inside, influence)


def mean_effect(influence: Floats, confidence: float = 0.95) -> Interval:
    """Mean of the contributions with its normal interval; two or more."""
    mean, error = float(influence.mean()), float(influence.std(ddof=1) / np.sqrt(len(influence)))
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * error
    return Interval(mean, mean - reach, mean + reach)


def heterogeneity(influence: Floats, segment: NDArray[np.object_]) -> tuple[float, int, float]:
    """Cochran's Q that segments' mean effects are the same: statistic, degrees of freedom, p-value.

    Cochran (1954), Biometrics 10. Segments with fewer than two accounts are left out; NaN where one is left.
    """
    groups = [influence[segment == name] for name in sorted(set(segment.tolist()))]
    groups = [group for group in groups if len(group) > 1 and group.std(ddof=1) > 0]
    if len(groups) < 2:
        return float("nan"), max(len(groups) - 1, 0), float("nan")
    means = np.array([group.mean() for group in groups])
    weights = np.array([len(group) / group.var(ddof=1) for group in groups])
    common = (weights * means).sum() / weights.sum()
    q = float((weights * (means - common) ** 2).sum())
    return q, len(groups) - 1, float(stats.chi2.sf(q, len(groups) - 1))


def _cross_fitted(
    covariates: Floats, on: Flags, happened: Floats, folds: int, seed: int
) -> tuple[Floats, Floats, Floats]:
    propensity, risk_on, risk_off = (np.zeros(len(on)) for _ in range(3))
    strata = on.astype(int) * 2 + happened.astype(int)
    # A stratum smaller than the folds would only bring a warning.
    strata = strata if np.bincount(strata)[np.unique(strata)].min() >= folds else on.astype(int)
    for learn, judge in StratifiedKFold(folds, shuffle=True, random_state=seed).split(covariates, strata):
        propensity[judge] = _probability(covariates[learn], on[learn].astype(float), covariates[judge])
        for arm, risk in ((on, risk_on), (~on, risk_off)):
            rows = learn[arm[learn]]
            risk[judge] = _probability(covariates[rows], happened[rows], covariates[judge])
    return np.clip(propensity, 0.01, 0.99), risk_on, risk_off


def _probability(covariates: Floats, target: Floats, wanted: Floats) -> Floats:
    if target.min() == target.max():
        # Never seen to differ: half an account speaks for the other outcome.
        return np.full(len(wanted), (target.sum() + 0.5) / (len(target) + 1))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, solver="newton-cholesky")).fit(covariates, target)
    return np.asarray(model.predict_proba(wanted)[:, 1])


def _largest_difference(covariates: Floats, on: Flags) -> float:
    if not on.any() or on.all():
        return float("nan")
    spread = np.sqrt((covariates[on].var(axis=0) + covariates[~on].var(axis=0)) / 2)
    gap = np.abs(covariates[on].mean(axis=0) - covariates[~on].mean(axis=0))
    return float(np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 0).max(initial=0.0))
