"""k-means as every method here fits it: seeded, with several starts, in one thread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

Floats = NDArray[np.float64]
Labels = NDArray[np.int_]

# On some thousand points threads wait for each other longer than they work: twenty times slower on two busy cores.
one_thread = ThreadpoolController().wrap(limits=1)


@one_thread
def fit_kmeans(points: Floats, k: int, n_init: int, seed: int, weights: Floats | None = None) -> KMeans:
    """Fit k-means with that many starts.

    Parameters
    ----------
    points : shape (n, features), scaled
    k : number of clusters
    n_init : starts; the best is kept
    seed : seeds the starts
    weights : shape (n,), how often each point counts; once where it is None
    """
    return KMeans(k, n_init=n_init, random_state=seed).fit(points, sample_weight=weights)


def nearest_centre(points: Floats, centres: Floats) -> Labels:
    """The position of the nearest centre (k, features) of each point (n, features); shape (n,)."""
    # ||x||^2 is the same for every centre, so it is left out: no (n, k, features) array is made.
    distances = (centres**2).sum(axis=1)[None, :] - 2 * points @ centres.T
    return np.asarray(distances.argmin(axis=1))


def subsample(points: Floats, most: int, seed: int) -> tuple[Floats, Labels]:
    """At most `most` of the points, drawn with the seed and in order, and their positions."""
    if len(points) <= most:
        return points, np.arange(len(points))
    chosen = np.sort(np.random.default_rng(seed).choice(len(points), most, replace=False))
    return points[chosen], chosen
