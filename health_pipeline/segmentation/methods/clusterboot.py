"""Stability of each cluster under resampling: how much of it comes back, cluster by cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.segmentation.methods.kmeans import (
    Floats,
    Labels,
    fit_kmeans,
    nearest_centre,
    one_thread,
    subsample,
)

# Hennig's bands: at .5 a cluster is dissolved, from .75 on it is valid, from .85 on highly stable.
DISSOLVED, VALID, HIGHLY_STABLE = 0.5, 0.75, 0.85


@dataclass(frozen=True)
class ClusterStability:
    """Jaccard similarities of each cluster over the resamples, and what they were made with.

    Attributes
    ----------
    jaccard : mean per cluster, shape (k,)
    low, high : 2.5 and 97.5 percentiles of the resamples per cluster: the spread, not an interval of the mean
    dissolved, recovered : resamples in which the cluster came back with at most .5, and with at least .75
    resamples, n_init, seed : as asked for
    accounts : points that were resampled, of `of_accounts`
    """

    jaccard: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    dissolved: tuple[int, ...]
    recovered: tuple[int, ...]
    resamples: int
    n_init: int
    seed: int
    accounts: int
    of_accounts: int

    @property
    def smallest(self) -> float:
        """The least stable cluster's mean."""
        return min(self.jaccard)


@one_thread
def clusterboot(
    points: Floats, centres: Floats, resamples: int, n_init: int, seed: int, most_accounts: int = 20_000
) -> ClusterStability:
    """Resample the points with replacement, cluster again, and see how much of each cluster comes back.

    Per resample the Jaccard similarity of a cluster, cut down to the points drawn, with the new cluster that is most
    like it; a point drawn twice is counted once, as in fpc's clusterboot. New clusters may be most like more than one.

    Parameters
    ----------
    points : shape (n, features), scaled
    centres : shape (k, features), of the clustering that is judged
    resamples : number of bootstrap samples
    n_init : starts of k-means in each
    seed : seeds the resamples and k-means
    most_accounts : larger samples are cut to this many, once, with the seed

    Returns
    -------
    ClusterStability
        Clusters in the order of `centres`. One cluster of everything is perfectly stable: it says nothing.

    References
    ----------
    Hennig (2007), Cluster-wise assessment of cluster stability, CSDA 52(1). R: fpc::clusterboot.
    """
    sample, _ = subsample(points, most_accounts, seed)
    labels = nearest_centre(sample, centres)
    k, n = len(centres), len(sample)
    found = np.ones((resamples, k))
    rng = np.random.default_rng(seed)
    for row in range(resamples if k > 1 else 0):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        drawn = np.flatnonzero(times)
        # A point that was drawn three times weighs three: the same clustering, on two thirds of the rows.
        again = fit_kmeans(sample[drawn], k, n_init, seed + row, times[drawn].astype(np.float64)).labels_
        found[row] = best_jaccard(labels[drawn], np.asarray(again), k)
    low, high = np.nanquantile(found, [0.025, 0.975], axis=0)
    return ClusterStability(
        jaccard=tuple(map(float, np.nanmean(found, axis=0))),
        low=tuple(map(float, low)),
        high=tuple(map(float, high)),
        dissolved=tuple(map(int, (found <= DISSOLVED).sum(axis=0))),
        recovered=tuple(map(int, (found >= VALID).sum(axis=0))),
        resamples=resamples,
        n_init=n_init,
        seed=seed,
        accounts=n,
        of_accounts=len(points),
    )


def best_jaccard(before: Labels, after: Labels, k: int) -> Floats:
    """The largest Jaccard similarity of each of the k clusters `before` with any cluster `after`.

    Parameters
    ----------
    before, after : shape (n,), labels 0..k-1 of the same points

    Returns
    -------
    shape (k,); a cluster without a point scores 0: it did not come back
    """
    both = np.zeros((k, int(after.max(initial=0)) + 1))
    np.add.at(both, (before, after), 1)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0).max(axis=1))
