"""Whether a new dimension says something that the segments do not: a nested test, and log loss out of sample."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.discrete.discrete_model import Logit
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationError, PerfectSeparationWarning

from health_pipeline.segmentation.methods.kmeans import one_thread
from health_pipeline.segmentation.methods.nadeau_bengio import CorrectedDifference, corrected_difference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NestedTest:
    """Likelihood-ratio test of added columns: statistic, degrees of freedom, p-value.

    `reason` says why there is none (then the figures are NaN).
    """

    chi_square: float
    degrees_of_freedom: int
    p_value: float
    reason: str | None


@dataclass(frozen=True)
class LogLossGain:
    """Log loss out of sample without and with the added columns; `gain` is the first less the second."""

    without: float
    with_added: float
    gain: CorrectedDifference
    folds: int
    repeats: int
    seed: int


def nested_test(base: Floats, added: Floats, event: Floats) -> NestedTest:
    """Test whether added columns improve a logistic model of the event.

    Parameters
    ----------
    base : shape (n, p), p may be 0; an intercept is added
    added : shape (n, q)
    event : shape (n,), 0 or 1, after the columns were known

    Returns
    -------
    NestedTest
        DeLong's test is not for nested models: under the null hypothesis its variance is wrong (Demler, Pencina,
        D'Agostino 2012, Statistics in Medicine 31).

    References
    ----------
    Wilks (1938); statsmodels' maximum likelihood.
    """
    constant = np.ones((len(event), 1))
    small = np.hstack([constant, base])
    large = np.hstack([small, added])
    freedom = int(np.linalg.matrix_rank(large) - np.linalg.matrix_rank(small))
    if freedom == 0:
        return NestedTest(float("nan"), 0, float("nan"), "the added columns say nothing that the others do not")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            warnings.simplefilter("error", PerfectSeparationWarning)
            likelihoods = [Logit(event, _full_rank(design)).fit(disp=0, maxiter=100).llf for design in (small, large)]
    except (ConvergenceWarning, PerfectSeparationWarning, PerfectSeparationError, np.linalg.LinAlgError):
        return NestedTest(float("nan"), freedom, float("nan"), "a group has the event always or never: no maximum")
    chi_square = max(0.0, 2 * float(likelihoods[1] - likelihoods[0]))
    return NestedTest(chi_square, freedom, float(stats.chi2.sf(chi_square, freedom)), None)


@one_thread
def log_loss_gain(
    base: Floats, added: Floats, event: Floats, folds: int = 5, repeats: int = 10, seed: int = 0
) -> LogLossGain:
    """Log loss of a logistic model without and with the added columns, by repeated cross-validation.

    Parameters
    ----------
    base, added, event : as in `nested_test`
    folds, repeats, seed : stratified folds; both models see the same ones

    Raises
    ------
    ValueError
        If an outcome is rarer than the folds.
    """
    rarer = int(min(event.sum(), len(event) - event.sum()))
    if rarer < folds:
        raise ValueError(f"the rarer outcome has {rarer} accounts; {folds} folds need {folds}")
    losses = []
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    for learn, judge in splitter.split(added, event):
        losses.append(
            [
                log_loss(event[judge], _predicted(design[learn], event[learn], design[judge]), labels=[0, 1])
                for design in (base, np.hstack([base, added]))
            ]
        )
    without, with_added = np.asarray(losses).T
    test_rows = len(event) / folds
    gain = corrected_difference(without - with_added, len(event) - test_rows, test_rows)
    return LogLossGain(float(without.mean()), float(with_added.mean()), gain, folds, repeats, seed)


def _predicted(columns: Floats, event: Floats, wanted: Floats) -> Floats:
    if columns.shape[1] == 0:
        return np.full(len(wanted), event.mean())
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, solver="newton-cholesky")).fit(columns, event)
    return np.asarray(model.predict_proba(wanted)[:, 1])


def _full_rank(columns: Floats) -> Floats:
    """The columns without those that the ones before them already give."""
    kept: list[int] = []
    for place in range(columns.shape[1]):
        if np.linalg.matrix_rank(columns[:, [*kept, place]]) > len(kept):
            kept.append(place)
    return columns[:, kept]
