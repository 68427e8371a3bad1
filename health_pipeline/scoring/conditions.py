"""Conditions of the policy against accounts: a feature or a group's value against a number."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from health_pipeline.policy.features import Condition, feature
from health_pipeline.scoring.scorer import (
    MEASURED,
    ZERO,
    Flags,
    Floats,
    HealthScorer,
    as_floats,
    status_codes,
)

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def meets(
    condition: Condition,
    features: pd.DataFrame,
    group_values: Floats,
    scorer: HealthScorer,
    demand_known: bool = True,
) -> Flags:
    """Which accounts meet the condition.

    Parameters
    ----------
    condition : Condition
    features : DataFrame, shape (n, columns of account_features_weekly)
    group_values : shape (n, groups) as in `Weighed`
    scorer : fitted HealthScorer
    demand_known : bool, default True
        True leaves out values whose domain is stale, missing or not applicable. A decisive fact counts even
        then: a notice not to renew stays one when billing is late.

    Returns
    -------
    ndarray of bool, shape (n,); False where the value is not known
    """
    if condition.group is not None:
        values = group_values[:, scorer.groups_.index(condition.group)]
    else:
        read = feature(condition.feature or "")
        values = as_floats(features[read.name])
        if demand_known:
            known = np.isin(status_codes(features[read.status_column]), (MEASURED, ZERO))
            known &= read.domain not in set(scorer.not_applicable_domains)
            values = np.where(known, values, np.nan)
    met: Flags = COMPARISONS[condition.operator](values, condition.value) & ~np.isnan(values)
    return met


def condition_features(conditions: Iterable[Condition]) -> list[str]:
    """The columns that conditions read: their features and the statuses of those features' domains."""
    named = [feature(condition.feature) for condition in conditions if condition.feature is not None]
    return list(dict.fromkeys(name for read in named for name in (read.name, read.status_column)))
