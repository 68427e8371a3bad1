"""Accounts that are green outside and weak inside: healthy by tier, with a reason to look again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from health_pipeline.scoring.conditions import meets
from health_pipeline.scoring.scorer import STALE, Codes, Flags, HealthScorer, Judged, Weighed
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
    weighed = judged.weighed
    stale = np.where(judged.statuses == STALE, weighed.nominal_weights, 0.0).sum(axis=1)
    could_decide = _gaps_could_decide(scorer, weighed)
    holds = np.zeros((len(features), len(WATERMELON_REASONS)), dtype=bool)
    holds[:, 0] = (weighed.coverage < policy.coverage_below) & could_decide
    holds[:, 1] = (stale >= policy.stale_weight_share) & could_decide
    for reason, items in policy.any_of.items():
        position = WATERMELON_REASONS.index(reason)
        for conditions in items:
            together = [meets(condition, features, weighed.group_values, scorer) for condition in conditions]
            holds[:, position] |= np.logical_and.reduce(together)
    holds[~np.isin(tier, (HEALTHY, EXPANSION_READY))] = False
    return holds


def _gaps_could_decide(scorer: HealthScorer, weighed: Weighed) -> Flags:
    """Whether the account would not be healthy if what is not known were worth the policy's points; True without."""
    worth = scorer.policy_.watermelon.unknown_worth
    if worth is None:
        return np.ones(len(weighed.score), dtype=bool)
    filled = weighed.coverage * weighed.score + (1 - weighed.coverage) * worth
    return np.asarray(filled < scorer.policy_.tiers[-1].from_, dtype=bool)
