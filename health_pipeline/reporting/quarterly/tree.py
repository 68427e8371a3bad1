"""The solution tree: segments of each number of segments on the published features, and how one becomes the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from health_pipeline.segmentation.methods.kmeans import fit_kmeans, subsample
from health_pipeline.segmentation.model import SegmentModel

# More accounts than this tell the picture nothing more.
MOST_ACCOUNTS = 5_000
# Links of fewer accounts than this share of all are left out.
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Node:
    """A segment of the solution with `k` segments: place from the left, share of the accounts, position from 0 to 1."""

    k: int
    place: int
    share: float
    position: float


@dataclass(frozen=True)
class Link:
    """Accounts in segment `place` of k that are in segment `into` of k + 1, as a share of all accounts."""

    k: int
    place: int
    into: int
    share: float


@dataclass(frozen=True)
class SolutionTree:
    """Nodes and links of every number of segments, and how many accounts and starts it was drawn from."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    accounts: int
    starts: int


def grow_tree(model: SegmentModel, features: pd.DataFrame, most: int, starts: int, seed: int) -> SolutionTree | None:
    """Fit 1 to `most` segments in the model's space, and cross each solution with the next.

    With as many accounts as the model was fitted on, these are the solutions of the review: the same space, starts and
    seed. Drawn as by Zappia and Oshlack, GigaScience 7 (2018).

    Parameters
    ----------
    model : the recommended model; its frozen space is used
    features : account_features_weekly of the quarter's last week
    most : the largest number of segments
    starts, seed : of k-means

    Returns
    -------
    SolutionTree or None
        None where fewer accounts than `most` are known well enough.
    """
    positions, coverage = model.space.place(features)
    points, _ = subsample(positions[coverage >= model.space.minimum_coverage], MOST_ACCOUNTS, seed)
    if len(points) < max(most, 2):
        return None
    nodes: list[Node] = []
    links: list[Link] = []
    before: np.ndarray | None = None
    for k in range(1, most + 1):
        labels = np.asarray(fit_kmeans(points, k, starts, seed).labels_)
        labels = _ordered(labels, before, k)
        sizes = np.bincount(labels, minlength=k)
        nodes += [Node(k, n, float(size / len(points)), (n + 0.5) / k) for n, size in enumerate(sizes)]
        if before is not None:
            crossed = pd.crosstab(before, labels)
            links += [
                Link(k - 1, int(old), int(new), float(crossed.loc[old, new] / len(points)))
                for old in crossed.index
                for new in crossed.columns
                if crossed.loc[old, new] >= LEAST_SHARE * len(points)
            ]
        before = labels
    return SolutionTree(tuple(nodes), tuple(links), len(points), starts)


def _ordered(labels: np.ndarray, before: np.ndarray | None, k: int) -> np.ndarray:
    """The labels numbered from the left, by where their accounts stood before: so links cross little."""
    if before is None:
        return labels
    centre = [float(before[labels == n].mean()) for n in range(k)]
    order = sorted(range(k), key=lambda n: (centre[n], -int((labels == n).sum()), n))
    numbers = np.empty(k, dtype=int)
    numbers[order] = np.arange(k)
    return numbers[labels]
