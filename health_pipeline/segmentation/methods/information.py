"""How far two labellings of the same points agree: adjusted Rand index, mutual and variation of information."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, mutual_info_score


@dataclass(frozen=True)
class Agreement:
    """Agreement of two labellings of `accounts` points.

    Attributes
    ----------
    ari : 1 the same, 0 what chance gives; pairs of points (Hubert, Arabie 1985)
    ami : 1 the same, 0 what chance gives; fairer where sizes are unbalanced (Vinh, Epps, Bailey 2010; Romano et al.
        2016)
    vi : variation of information in nats, 0 the same; a distance (Meila 2007)
    vi_share : vi by its largest value, log(accounts); 0 to 1
    """

    ari: float
    ami: float
    vi: float
    vi_share: float
    accounts: int


def variation_of_information(one: Sequence[Any], other: Sequence[Any]) -> float:
    """H(one | other) + H(other | one), in nats.

    References
    ----------
    Meila (2007), Comparing clusterings: an information based distance, Journal of Multivariate Analysis 98(5).
    """
    mutual = mutual_info_score(one, other)
    return max(0.0, float(entropy(one) + entropy(other) - 2 * mutual))


def entropy(labels: Sequence[Any]) -> float:
    """Entropy of the labels' shares, in nats; 0 where there is none or one."""
    counts = np.unique(np.asarray(labels, dtype=object).astype(str), return_counts=True)[1]
    shares = counts / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def agreement(one: Sequence[Any], other: Sequence[Any]) -> Agreement:
    """Compare two labellings of the same points, shape (n,) each.

    Raises
    ------
    ValueError
        If they differ in length or are empty.
    """
    if len(one) != len(other) or not len(one):
        raise ValueError(f"two labellings of the same points are compared; these have {len(one)} and {len(other)}")
    first, second = (np.asarray(labels, dtype=object).astype(str) for labels in (one, other))
    vi = variation_of_information(first.tolist(), second.tolist())
    return Agreement(
        ari=float(adjusted_rand_score(first, second)),
        ami=float(adjusted_mutual_info_score(first, second)),
        vi=vi,
        vi_share=vi / float(np.log(len(first))) if len(first) > 1 else 0.0,
        accounts=len(first),
    )
