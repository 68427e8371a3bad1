"""Scores rolled up to families: an account, its topmost parent, and everybody below that one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from health_pipeline.scoring.scorer import Codes, Floats
from health_pipeline.scoring.tier_path import NO_TIER, NOT_SCORED


@dataclass(frozen=True)
class Families:
    """The family of each account, rows by accounts.

    Attributes
    ----------
    ids : shape (n,), the topmost account's id; the account's own where none is known above it
    accounts, scored_accounts : shape (n,), members with a row this week; those of them that have a score
    score : shape (n,), 0 to 100, mean of the scored members by revenue; NaN where none is scored
    lowest_tier : shape (n,), positions in TIERS; NO_TIER where every member is not_scored
    """

    ids: np.ndarray
    accounts: Codes
    scored_accounts: Codes
    score: Floats
    lowest_tier: Codes


def roll_up(
    accounts: Sequence[str], topmost: Sequence[str | None], score: Floats, tier: Codes, revenue: Floats
) -> Families:
    """Roll the accounts of one week up to their families.

    The mean is weighted by revenue in the reporting currency; where a scored member's revenue is not known, or
    nobody has any, each counts the same: an unknown revenue is not zero.

    Parameters
    ----------
    accounts : ids in order, each once
    topmost : `ultimate_parent_account_id` of each; it need not have a row of its own. None: the account alone.
    score, revenue : shape (n,); NaN where not known
    tier : shape (n,), positions in TIERS, by rule

    Returns
    -------
    Families
    """
    heads = [account if top is None else top for account, top in zip(accounts, topmost, strict=True)]
    ids, family = np.unique(np.array(heads, dtype=object), return_inverse=True)
    count = len(ids)
    scored = ~np.isnan(score)
    members = np.bincount(family, minlength=count)
    scored_members = np.bincount(family[scored], minlength=count)
    mean = _means(family, score, revenue, scored, count)
    lowest = np.full(count, NOT_SCORED)
    np.minimum.at(lowest, family, tier)
    lowest[lowest == NOT_SCORED] = NO_TIER
    return Families(ids[family], members[family], scored_members[family], mean[family], lowest[family])


def _means(family: Codes, score: Floats, revenue: Floats, scored: np.ndarray, count: int) -> Floats:
    known = np.nan_to_num(revenue, nan=0.0)
    total = np.bincount(family[scored], weights=known[scored], minlength=count)
    is_unknown = np.bincount(family[scored & np.isnan(revenue)], minlength=count) > 0
    equally = is_unknown | (total <= 0)
    weight = np.where(equally[family], 1.0, known)
    weight_total = np.bincount(family[scored], weights=weight[scored], minlength=count)
    # The share first, so that an account alone has exactly its own score.
    share = np.divide(weight, weight_total[family], out=np.zeros(len(score)), where=weight_total[family] > 0)
    mean = np.bincount(family[scored], weights=(share * np.nan_to_num(score))[scored], minlength=count)
    # Shares may add up to a rounding error above 1.
    return np.where(weight_total > 0, np.clip(mean, 0.0, 100.0), np.nan)
