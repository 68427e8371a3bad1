"""One step of the tier path: this week's tier from this week's score and the week before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from health_pipeline.policy.health_score import BAND_TIERS, HealthScorePolicy
from health_pipeline.scoring.scorer import NOT_ON_CARD, Codes, Flags, Floats, HealthScorer, Judged, Weighed

TIERS: tuple[str, ...] = (*BAND_TIERS, "expansion_ready", "not_scored")
AT_RISK, WATCH, HEALTHY, EXPANSION_READY, NOT_SCORED = range(len(TIERS))
NO_TIER = -1
REASONS: tuple[str, ...] = (
    "score",
    "first_week",
    "hysteresis",
    "single_measure",
    "outcome_cap",
    "expansion",
    "coverage_floor",
    "decisive",
)
(
    BY_SCORE,
    BY_FIRST_WEEK,
    BY_HYSTERESIS,
    BY_SINGLE_MEASURE,
    BY_OUTCOME_CAP,
    BY_EXPANSION,
    BY_COVERAGE_FLOOR,
    BY_DECISIVE,
) = range(len(REASONS))


@dataclass(frozen=True)
class TierState:
    """Where each account's path stands after a week, shape (n,) each; `reference` is (n, measures).

    Attributes
    ----------
    tier, pending : positions in TIERS; NO_TIER where there is none
    weeks_in_tier, healthy_weeks : consecutive weeks, that week included
    reference : curve values of the newest week in which the tier was what the score gives; NaN: none
    """

    tier: Codes
    pending: Codes
    weeks_in_tier: Codes
    healthy_weeks: Codes
    reference: Floats


@dataclass(frozen=True)
class TierStep:
    """The step's outcome: the new state, the tier the score alone gives, and the rule that decided."""

    state: TierState
    score_tier: Codes
    reason: Codes


@dataclass(frozen=True)
class _Crossing:
    """Where the path starts this week, where the score would put it, and the cap; shape (n,) each."""

    start: Codes
    score_tier: Codes
    cap: Codes


def step_tiers(
    scorer: HealthScorer,
    judged: Judged,
    *,
    is_scored: Flags,
    is_decisive: Flags,
    may_expand: Flags,
    before: TierState,
) -> TierStep:
    """Take every account one week further.

    Precedence: decisive fact, coverage floor, outcome cap, then hysteresis over what the score gives. A
    crossing holds when it is seen in two consecutive scored weeks, or at once as far as the score goes beyond
    the margin. A boundary that one single measure crosses alone is not crossed.

    Parameters
    ----------
    scorer : fitted HealthScorer
    judged : this week's accounts, shape (n, ...)
    is_scored, is_decisive, may_expand : shape (n,); the coverage reaches the floor; a decisive fact holds;
        the conditions of expansion_ready hold, the number of healthy weeks apart
    before : the same accounts a week earlier; `tier` is NO_TIER in an account's first week

    Returns
    -------
    TierStep
    """
    policy = scorer.policy_
    score = judged.weighed.score
    score_tier = np.where(is_scored, band_of(policy, score), NO_TIER)
    cap = _cap(scorer, judged.weighed)
    candidate = np.minimum(score_tier, cap)
    has_path = (before.tier >= 0) & (before.tier != NOT_SCORED)
    start = np.where(has_path, np.minimum(before.tier, HEALTHY), candidate)

    crosses = is_scored & (score_tier != start)
    path = _Crossing(start, score_tier, cap)
    held = _without_single_measures(scorer, judged, path, np.flatnonzero(crosses), before.reference)
    moved = _moved(policy, score, path, held, before.pending)
    base = np.minimum(moved, cap)
    pending = np.where(held != base, held, NO_TIER)

    reason = np.full(len(score), BY_SCORE)
    reason[base != candidate] = BY_HYSTERESIS
    reason[(base == held) & (held != candidate)] = BY_SINGLE_MEASURE
    reason[before.tier == NO_TIER] = BY_FIRST_WEEK
    reason[(score_tier > cap) & (base == cap)] = BY_OUTCOME_CAP
    tier = np.where(is_scored, base, NOT_SCORED)
    reason[~is_scored] = BY_COVERAGE_FLOOR
    tier[is_decisive] = AT_RISK
    reason[is_decisive] = BY_DECISIVE
    pending[~is_scored | is_decisive] = NO_TIER

    is_green = tier == HEALTHY
    healthy_weeks = np.where(is_green, before.healthy_weeks + 1, 0)
    may_expand = may_expand & is_green & (pending == NO_TIER)
    expanded, waits = _expand(policy, healthy_weeks, may_expand, before)
    tier, pending = np.where(expanded, EXPANSION_READY, tier), np.where(waits, EXPANSION_READY, pending)
    reason[expanded] = BY_EXPANSION
    weeks_in_tier = np.where(tier == before.tier, before.weeks_in_tier + 1, 1)
    keeps_reference = is_scored & ~is_decisive & (base != candidate)
    reference = np.where(keeps_reference[:, None], before.reference, judged.curve_values)
    reference[~is_scored & ~is_decisive] = np.nan
    # Only what the account's scorecard has is published, and only that may be handed on.
    reference[judged.statuses == NOT_ON_CARD] = np.nan
    return TierStep(TierState(tier, pending, weeks_in_tier, healthy_weeks, reference), score_tier, reason)


def band_of(policy: HealthScorePolicy, score: Floats) -> Codes:
    """Position in TIERS of the band that holds each score, shape (n,); outside 0..100 the nearest band."""
    starts = np.array([band.from_ for band in policy.tiers[1:]])
    return np.asarray(np.searchsorted(starts, score, side="right"), dtype=np.int64)


def _cap(scorer: HealthScorer, weighed: Weighed) -> Codes:
    rule = scorer.policy_.outcome_cap
    outcomes = weighed.group_values[:, scorer.groups_.index(rule.group)]
    # NaN compares false: outcomes that are not known lower the coverage, they are not weak.
    return np.where(outcomes < rule.below, TIERS.index(rule.tier), HEALTHY)


def _moved(policy: HealthScorePolicy, score: Floats, path: _Crossing, held: Codes, pending: Codes) -> Codes:
    """How far the path goes this week from its start towards `held`."""
    if policy.hysteresis_weeks == 1:
        return held
    start = path.start
    was_pending = np.where(pending == NO_TIER, start, np.minimum(pending, HEALTHY))
    down_at_once = band_of(policy, score + policy.margin)
    # Wider than the margin, not as wide: the float just below keeps a crossing of exactly the margin waiting.
    up_at_once = np.minimum(band_of(policy, np.nextafter(score - policy.margin, -np.inf)), path.cap)
    down = np.minimum(np.maximum(was_pending, held), np.maximum(down_at_once, held))
    up = np.maximum(np.minimum(was_pending, held), np.minimum(up_at_once, held))
    return np.where(held < start, np.minimum(down, start), np.where(held > start, np.maximum(up, start), start))


def _without_single_measures(
    scorer: HealthScorer, judged: Judged, path: _Crossing, rows: Codes, reference: Floats
) -> Codes:
    """What the score gives, stopped before the first boundary that one measure crosses alone.

    A measure crosses alone where its own change since the reference is enough to cross, and the crossing is gone
    without it. Two measures that only cross together do cross.
    """
    held = path.score_tier.copy()
    rows = rows[~np.isnan(reference[rows]).all(axis=1)]
    now, then = judged.curve_values[rows], reference[rows]
    which, column = np.nonzero((now != then) & ~(np.isnan(now) & np.isnan(then)))
    target, pair = rows[which], (np.arange(len(which)), column)
    without, alone = now[which], then[which]
    without[pair], alone[pair] = then[which, column], now[which, column]
    start, goal = path.start[target], path.score_tier[target]
    tier_without = _tier_of_values(scorer, judged, without, target)
    tier_alone = _tier_of_values(scorer, judged, alone, target)
    for tier in (WATCH, HEALTHY):
        # The boundary between `tier` and the one below it.
        falls = (goal < tier) & (tier <= start)
        rises = (start < tier) & (tier <= goal)
        gone = tier_without == NO_TIER
        stops_fall = falls & (tier_alone < tier) & (tier_alone != NO_TIER) & ((tier_without >= tier) | gone)
        stops_rise = rises & (tier_alone >= tier) & ((tier_without < tier) | gone)
        np.maximum.at(held, target[stops_fall], tier)
        np.minimum.at(held, target[stops_rise], tier - 1)
    return np.minimum(held, path.cap)


def _tier_of_values(scorer: HealthScorer, judged: Judged, curve_values: Floats, rows: Codes) -> Codes:
    score = scorer.weigh(curve_values, judged.statuses[rows], judged.scorecards[rows]).score
    return np.where(np.isnan(score), NO_TIER, band_of(scorer.policy_, score))


def _expand(
    policy: HealthScorePolicy, healthy_weeks: Codes, may_expand: Flags, before: TierState
) -> tuple[Flags, Flags]:
    """Who is expansion_ready, and who would be next week."""
    needed = policy.expansion_ready.healthy_weeks
    # In at the second week in which the conditions hold, out at the first in which they do not.
    is_second = (before.pending == EXPANSION_READY) | (before.tier == EXPANSION_READY)
    expanded = may_expand & (healthy_weeks >= needed) & (is_second | (policy.hysteresis_weeks == 1))
    return expanded, may_expand & ~expanded & (healthy_weeks >= needed - 1)
