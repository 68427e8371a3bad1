"""How much of an outcome segments tell, beside the ceiling of a model of the individual account."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from health_pipeline.segmentation.methods.kmeans import one_thread
from health_pipeline.segmentation.methods.nadeau_bengio import CorrectedDifference, corrected_difference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SegmentPower:
    """Out of sample, mean over folds: segments alone, and individual features.

    `log_loss_base` is that of the overall rate alone; `log_loss_gap` how much less the individual model has than the
    segments.
    """

    auc_segments: float
    auc_individual: float
    log_loss_base: float
    log_loss_segments: float
    log_loss_individual: float
    log_loss_gap: CorrectedDifference
    folds: int
    repeats: int
    seed: int


@one_thread
def segment_power(
    segment: NDArray[np.object_], features: Floats, event: Floats, folds: int, repeats: int, seed: int
) -> SegmentPower:
    """Compare segment rates, learnt on the other folds, with a logistic model of the features.

    Parameters
    ----------
    segment : shape (n,), frozen before the outcome
    features : shape (n, p), no NaN, known before the outcome
    event : shape (n,), 0 or 1

    Raises
    ------
    ValueError
        If an outcome is rarer than the folds.
    """
    rarer = int(min(event.sum(), len(event) - event.sum()))
    if rarer < folds:
        raise ValueError(f"the rarer outcome has {rarer} accounts; {folds} folds need {folds}")
    codes = np.unique(segment.astype(str), return_inverse=True)[1]
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    scores = []
    for learn, judge in splitter.split(features, event):
        overall = event[learn].mean()
        # One account's worth of the overall rate keeps a segment without an event from a rate of exactly 0.
        rates = np.array(
            [(event[learn][codes[learn] == code].sum() + overall) / ((codes[learn] == code).sum() + 1)
             for code in range(codes.max() + 1)]
        )  # fmt: skip
        by_segment = rates[codes[judge]]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, solver="newton-cholesky"))
        by_account = model.fit(features[learn], event[learn]).predict_proba(features[judge])[:, 1]
        truth = event[judge]
        scores.append(
            [
                roc_auc_score(truth, by_segment),
                roc_auc_score(truth, by_account),
                log_loss(truth, np.full(len(truth), overall), labels=[0, 1]),
                log_loss(truth, by_segment, labels=[0, 1]),
                log_loss(truth, by_account, labels=[0, 1]),
            ]
        )
    table = np.asarray(scores)
    test_rows = len(event) / folds
    gap = corrected_difference(table[:, 3] - table[:, 4], len(event) - test_rows, test_rows)
    auc_segments, auc_individual, base, by_segments, by_accounts = map(float, table.mean(axis=0))
    return SegmentPower(auc_segments, auc_individual, base, by_segments, by_accounts, gap, folds, repeats, seed)
