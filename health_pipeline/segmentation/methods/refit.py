"""Last quarter's frozen model against a refit on this quarter's accounts, in the space that was frozen with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.segmentation.methods.information import Agreement, agreement
from health_pipeline.segmentation.methods.kmeans import Floats, Labels, fit_kmeans, nearest_centre
from health_pipeline.segmentation.methods.matching import LabelMatch, match_labels


@dataclass(frozen=True)
class FrozenAgainstRefit:
    """How the same accounts are divided by the old centres, and by centres fitted anew.

    Attributes
    ----------
    agreement : of the two labellings
    match : clusters of both by position, as text
    ari_low, ari_high : smallest and largest ARI over `seeds` seeds: where k-means has optima that are nearly as good as
        each other, the ARI is not determined by the data alone
    frozen, refitted : labels, shape (n,)
    """

    agreement: Agreement
    match: LabelMatch
    ari_low: float
    ari_high: float
    seeds: int
    n_init: int
    frozen: Labels
    refitted: Labels


def frozen_against_refit(points: Floats, centres: Floats, n_init: int, seed: int, seeds: int = 3) -> FrozenAgainstRefit:
    """Compare a frozen model with a refit of as many clusters.

    Parameters
    ----------
    points : shape (n, axes), this quarter's accounts in last quarter's frozen space
    centres : shape (k, axes), of last quarter's model
    n_init, seed : of the refit
    seeds : how many seeds the refit is made with, `seed` first

    Raises
    ------
    ValueError
        If there are fewer accounts than clusters.
    """
    if len(points) < len(centres):
        raise ValueError(f"{len(points)} accounts can't be refitted into {len(centres)} clusters")
    frozen = nearest_centre(points, centres)
    refits = [np.asarray(fit_kmeans(points, len(centres), n_init, seed + n).labels_) for n in range(seeds)]
    found = [agreement(frozen.tolist(), labels.tolist()) for labels in refits]
    return FrozenAgainstRefit(
        agreement=found[0],
        match=match_labels(frozen.tolist(), refits[0].tolist()),
        ari_low=min(one.ari for one in found),
        ari_high=max(one.ari for one in found),
        seeds=seeds,
        n_init=n_init,
        frozen=frozen,
        refitted=refits[0],
    )
