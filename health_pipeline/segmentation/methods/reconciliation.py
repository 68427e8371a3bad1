"""How far a team's own segments and the model's say the same: association both ways, agreement, matched overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import adjusted_mutual_info_score, cohen_kappa_score, mutual_info_score

from health_pipeline.segmentation.methods.information import entropy
from health_pipeline.segmentation.methods.matching import match_labels


@dataclass(frozen=True)
class TeamAgreement:
    """One team's segments beside others of the same accounts.

    Attributes
    ----------
    cramers_v : bias corrected, 0 to 1
    theils_u_of_other : share of the uncertainty about the other's segment that knowing the team's takes away
    theils_u_of_team : the other way round
    ami : adjusted mutual information
    kappa : Cohen's, where both use the same words; else None
    matched_share : accounts in segments that were matched one to one
    matched : team's segment -> other's segment
    accounts : with a segment on both sides
    """

    cramers_v: float
    theils_u_of_other: float
    theils_u_of_team: float
    ami: float
    kappa: float | None
    matched_share: float
    matched: dict[str, str]
    accounts: int


def cramers_v(counts: NDArray[np.float64]) -> float:
    """Bias corrected Cramer's V of a table of counts; 0 where a side has one category.

    References
    ----------
    Bergsma (2013), A bias-correction for Cramer's V and Tschuprow's T, Journal of the Korean Statistical Society 42(3).
    """
    table = np.asarray(counts, dtype=float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    n = table.sum()
    if min(rows, columns) < 2 or n < 2:
        return 0.0
    phi = stats.chi2_contingency(table, correction=False).statistic / n
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    fewer = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(corrected / fewer)) if fewer > 0 else 0.0


def theils_u(of: Sequence[Any], given: Sequence[Any]) -> float:
    """Uncertainty coefficient: share of the entropy of `of` that knowing `given` takes away; 1 where there is none.

    References
    ----------
    Theil (1970), On the estimation of relationships involving qualitative variables, American Journal of Sociology 76.
    """
    own = entropy(of)
    return float(mutual_info_score(of, given) / own) if own > 0 else 1.0


def team_agreement(team: Sequence[Any], other: Sequence[Any]) -> TeamAgreement:
    """Compare a team's segments with others of the same accounts, shape (n,) each.

    Raises
    ------
    ValueError
        If they differ in length or are empty.
    """
    one, two = (pd.Series(list(labels)).astype(str) for labels in (team, other))
    match = match_labels(one.tolist(), two.tolist())
    # One vocabulary holds the other: then a word means the same on both sides.
    same_words = set(one) <= set(two) or set(two) <= set(one)
    return TeamAgreement(
        cramers_v=cramers_v(match.overlap.to_numpy(dtype=float)),
        theils_u_of_other=theils_u(two.tolist(), one.tolist()),
        theils_u_of_team=theils_u(one.tolist(), two.tolist()),
        ami=float(adjusted_mutual_info_score(one, two)),
        kappa=float(cohen_kappa_score(one, two)) if same_words else None,
        matched_share=match.kept_share,
        matched=match.successor,
        accounts=len(one),
    )
