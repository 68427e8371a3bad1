"""Which cluster of one labelling is which of another, and where clusters split, merged, appeared or vanished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

# MONIC: a cluster survives in one that holds half of it; it is split where parts of a quarter make up half together.
SURVIVES, PART = 0.5, 0.25


@dataclass(frozen=True)
class LabelMatch:
    """What became of each cluster.

    Attributes
    ----------
    successor : cluster after, by cluster before, one to one; only pairs that share a point
    jaccard : of each pair, by cluster before
    kept_share : points in a pair, of all points
    splits : by cluster before, its parts after, the largest first
    merges : by cluster after, those before that went into it
    births : clusters after in which none survives, that are no part of a split, and that have no predecessor or one
        that gave them fewer than half of their points
    deaths : clusters before that have no successor, did not split, and were not absorbed
    overlap : points by cluster before (rows) and after (columns)
    """

    successor: dict[str, str]
    jaccard: dict[str, float]
    kept_share: float
    splits: dict[str, tuple[str, ...]]
    merges: dict[str, tuple[str, ...]]
    births: tuple[str, ...]
    deaths: tuple[str, ...]
    overlap: pd.DataFrame


def match_labels(before: Sequence[Any], after: Sequence[Any]) -> LabelMatch:
    """Match the clusters of two labellings of the same points so that as many points as can be keep their cluster.

    Splits, merges, births and deaths follow the shares of a cluster's own points (MONIC): it survives in, or is
    absorbed by, a cluster that holds at least half of it; it is split where parts of a quarter or more, in
    which no other cluster survives, together make up half.

    Parameters
    ----------
    before, after : shape (n,), names of the clusters

    Raises
    ------
    ValueError
        If they differ in length or are empty.

    References
    ----------
    Kuhn (1955), The Hungarian method for the assignment problem. Spiliopoulou, Ntoutsi, Theodoridis, Schult (2006),
    MONIC: modeling and monitoring cluster transitions, KDD.
    """
    if len(before) != len(after) or not len(before):
        raise ValueError(f"two labellings of the same points are matched; these have {len(before)} and {len(after)}")
    overlap = pd.crosstab(
        pd.Series(list(before), name="before").astype(str), pd.Series(list(after), name="after").astype(str)
    )
    counts = overlap.to_numpy()
    rows, columns = linear_sum_assignment(counts, maximize=True)
    pairs = [(row, column) for row, column in zip(rows, columns, strict=True) if counts[row, column] > 0]
    old, new = list(overlap.index), list(overlap.columns)
    either = counts.sum(axis=1)[:, None] + counts.sum(axis=0)[None, :] - counts
    went = counts / counts.sum(axis=1, keepdims=True)
    survives = {row: int(np.argmax(went[row])) for row in range(len(old)) if went[row].max() >= SURVIVES}
    splits = {}
    for row in range(len(old)):
        others = {column for other, column in survives.items() if other != row}
        parts = [n for n in np.argsort(-went[row], kind="stable") if went[row, n] >= PART and n not in others]
        if len(parts) > 1 and went[row, parts].sum() >= SURVIVES:
            splits[old[row]] = tuple(new[column] for column in parts)
    absorbed: dict[int, list[str]] = {}
    for row, column in survives.items():
        absorbed.setdefault(column, []).append(old[row])
    matched = {old[row]: new[column] for row, column in pairs}
    came = counts / counts.sum(axis=0, keepdims=True)
    # Parts of a split were not born; what many clusters gave a little to was.
    parts_of_splits = {part for parts in splits.values() for part in parts}
    births = [
        new[column]
        for column in range(len(new))
        if column not in survives.values()
        and new[column] not in parts_of_splits
        and (came[:, column].max() < SURVIVES or new[column] not in matched.values())
    ]
    deaths = [
        old[row]
        for row in range(len(old))
        if old[row] not in matched and old[row] not in splits and row not in survives
    ]
    return LabelMatch(
        successor=matched,
        jaccard={old[row]: float(counts[row, column] / either[row, column]) for row, column in pairs},
        kept_share=float(sum(counts[row, column] for row, column in pairs) / counts.sum()),
        splits=splits,
        merges={new[column]: tuple(names) for column, names in sorted(absorbed.items()) if len(names) > 1},
        births=tuple(births),
        deaths=tuple(deaths),
        overlap=overlap,
    )
