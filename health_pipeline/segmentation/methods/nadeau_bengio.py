"""The corrected resampled t test: repeated cross-validation shares its training data, so it varies too little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from health_pipeline.segmentation.methods.intervals import Interval


@dataclass(frozen=True)
class CorrectedDifference:
    """Mean difference with its interval, the t statistic and two-sided p-value, over `resamples` test sets."""

    difference: Interval
    t: float
    p_value: float
    resamples: int


def corrected_difference(
    differences: NDArray[np.float64], train_rows: float, test_rows: float, confidence: float = 0.95
) -> CorrectedDifference:
    """Judge the mean of differences between two learners on repeated train and test sets.

    The variance of the mean is that of the differences times 1/J + test_rows/train_rows, instead of 1/J.

    Parameters
    ----------
    differences : shape (J,), one per test set; at least two
    train_rows, test_rows : rows learnt on, and rows tested on, per test set

    Raises
    ------
    ValueError
        If there are fewer than two differences.

    References
    ----------
    Nadeau, Bengio (2003), Inference for the generalization error, Machine Learning 52. For repeated cross-validation:
    Bouckaert, Frank (2004), PAKDD.
    """
    values = np.asarray(differences, dtype=float)
    if len(values) < 2:
        raise ValueError(f"a mean difference needs two test sets; there is {len(values)}")
    mean, error = float(values.mean()), float(np.sqrt((1 / len(values) + test_rows / train_rows) * values.var(ddof=1)))
    freedom = len(values) - 1
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    t = mean / error if error > 0 else (0.0 if mean == 0 else float(np.sign(mean) * np.inf))
    p_value = float(2 * stats.t.sf(abs(t), freedom))
    return CorrectedDifference(Interval(mean, mean - reach, mean + reach), t, p_value, len(values))
