"""Prediction strength: how well the clusters of one half of the points say who belongs together in the other half."""

from __future__ import annotations

import numpy as np

from health_pipeline.segmentation.methods.kmeans import Floats, fit_kmeans, nearest_centre, one_thread


@one_thread
def prediction_strength(points: Floats, k: int, splits: int, n_init: int, seed: int) -> float:
    """How well the clusters of one half predict who belongs together in the other half, mean over random halves.

    Parameters
    ----------
    points : shape (n, features), scaled
    k : number of clusters
    splits : number of random halves
    n_init : starts of k-means
    seed : seeds the halves and k-means

    Returns
    -------
    float
        0 to 1: of the worst cluster's pairs, the share that the other half's centres keep together; 1 for k = 1. From
        0.8 on clusters are taken as real.

    References
    ----------
    Tibshirani, Walther (2005), Cluster validation by prediction strength, JCGS 14(3).
    """
    if k == 1:
        return 1.0
    rng = np.random.default_rng(seed)
    strengths = []
    for _ in range(splits):
        order = rng.permutation(len(points))
        first, second = points[order[::2]], points[order[1::2]]
        predicted = nearest_centre(second, np.asarray(fit_kmeans(first, k, n_init, seed).cluster_centers_))
        counts = np.zeros((k, k))
        np.add.at(counts, (fit_kmeans(second, k, n_init, seed).labels_, predicted), 1)
        sizes = counts.sum(axis=1)
        pairs = np.maximum(sizes * (sizes - 1), 1)
        strengths.append(float(np.where(sizes > 1, (counts * (counts - 1)).sum(axis=1) / pairs, 0.0).min()))
    return float(np.mean(strengths))
