"""The gap statistic: how many clusters there are, one being a possible answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.segmentation.methods.kmeans import Floats, fit_kmeans, one_thread

STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class GapStatistic:
    """Gaps of 1, 2, ... segments with their standard errors, for both references, and the number chosen.

    Attributes
    ----------
    chosen : by globalSEmax, the smaller of the two references' answers
    first_se_max : by firstSEmax, the smaller of the two: the first local maximum, which stops early where clusters nest
    """

    along_features: tuple[float, ...]
    along_features_error: tuple[float, ...]
    along_components: tuple[float, ...]
    along_components_error: tuple[float, ...]
    chosen: int
    first_se_max: int


@one_thread
def gap_statistic(points: Floats, most: int, references: int, n_init: int, seed: int) -> GapStatistic:
    """Compare the within-cluster dispersion with that of structureless data, for 1..`most` clusters.

    Structureless means uniform over a box, once along the features and once along the principal components. For
    each the choice is globalSEmax (the smallest k whose gap is within two standard errors of the largest: with one,
    a third of uniform squares had clusters); the smaller of the two is taken. A box of either kind alone finds
    clusters in noise of the other shape: the components' box is larger than a uniform cube, the features' box
    larger than a correlated cloud.

    Parameters
    ----------
    points : shape (n, features), scaled
    most : largest number of clusters to look at; fewer where there are fewer distinct points
    references : number of samples of each reference
    n_init : starts of k-means
    seed : seeds the references and k-means

    Returns
    -------
    GapStatistic

    References
    ----------
    Tibshirani, Walther, Hastie (2001), Estimating the number of clusters in a data set via the gap statistic,
    JRSS B 63(2), references (a) and (b). globalSEmax: Dudoit, Fridlyand (2002), Genome Biology 3(7), as in R's
    cluster::maxSE.
    """
    most = max(1, min(most, len(np.unique(points, axis=0)) - 1))
    centred = points - points.mean(axis=0)
    observed = _log_dispersions(centred, most, n_init, seed)
    found = []
    components = np.linalg.svd(centred, full_matrices=False)[2]
    for position, axes in enumerate((np.eye(points.shape[1]), components)):
        rotated = centred @ axes.T
        rng = np.random.default_rng([seed, position])
        low, high = rotated.min(axis=0), rotated.max(axis=0)
        samples = [rng.uniform(low, high, rotated.shape) @ axes for _ in range(references)]
        simulated = np.array([_log_dispersions(sample, most, n_init, seed) for sample in samples])
        error = simulated.std(axis=0) * np.sqrt(1 + 1 / references)
        found.append((simulated.mean(axis=0) - observed, error))
    chosen = min(_global_se_max(gap, error) for gap, error in found)
    first = min(_first_se_max(gap, error) for gap, error in found)
    (features_gap, features_error), (components_gap, components_error) = found
    return GapStatistic(
        tuple(map(float, features_gap)),
        tuple(map(float, features_error)),
        tuple(map(float, components_gap)),
        tuple(map(float, components_error)),
        chosen,
        first,
    )


def _global_se_max(gap: Floats, error: Floats) -> int:
    best = int(np.argmax(gap))
    return int(np.argmax(gap >= gap[best] - STANDARD_ERRORS * error[best])) + 1


def _first_se_max(gap: Floats, error: Floats) -> int:
    falls = np.flatnonzero(np.diff(gap) <= 0)
    best = int(falls[0]) if len(falls) else len(gap) - 1
    return int(np.argmax(gap[: best + 1] >= gap[best] - STANDARD_ERRORS * error[best])) + 1


def _log_dispersions(points: Floats, most: int, n_init: int, seed: int) -> Floats:
    total = float(((points - points.mean(axis=0)) ** 2).sum())
    within = [total]
    within += [float(fit_kmeans(points, k, n_init, seed).inertia_) for k in range(2, most + 1)]
    return np.asarray(np.log(np.maximum(within, np.finfo(np.float64).tiny)))
