"""Accounts that are green outside and weak inside: healthy by tier, with a reason to look again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from health_pipeline.scoring.conditions import meets
from health_pipeline.scoring.scorer import STALE, Codes, Flags, HealthScorer, Judged
from health_pipeline.scoring.tier_path import EXPANSION_READY, HEALTHY

WATERMELON_REASONS: tuple[str, ...] = (
    "low_coverage",
    "stale_inputs",
    "falling_trend",
    "single_threaded",
    "missed_goal",
    "csm_disagrees",
)


def watermelon_reasons(scorer: HealthScorer, features: pd.DataFrame, judged: Judged, tier: Codes) -> Flags:
    """Which reasons hold for which account.

    Returns
    -------
    ndarray of bool, shape (n, WATERMELON_REASONS); all False for accounts that are not healthy
    """
    policy = scorer.policy_.watermelon
    stale = np.where(judged.statuses == STALE, judged.weighed.nominal_weights, 0.0).sum(axis=1)
    holds = np.zeros((len(features), len(WATERMELON_REASONS)), dtype=bool)
    holds[:, 0] = judged.weighed.coverage < policy.coverage_below
    holds[:, 1] = stale >= policy.stale_weight_share
    for reason, conditions in policy.any_of.items():
        position = WATERMELON_REASONS.index(reason)
        for condition in conditions:
            holds[:, position] |= meets(condition, features, judged.weighed.group_values, scorer)
    holds[~np.isin(tier, (HEALTHY, EXPANSION_READY))] = False
    return holds
