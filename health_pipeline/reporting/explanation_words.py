"""Sentences of an explanation: why a tier is what it is, and the unit of a feature's value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from health_pipeline.policy.features import features
from health_pipeline.policy.wording import TIER_WORDS, counted, percent

YES_NO = "1 yes, 0 no"
_SHARES = ("license_utilisation", "stickiness", "csat_91d")
_UNITS = {
    "csm_sentiment": "of 5",
    "max_open_risk_severity": "of 25",
    "nps_account_90d": "points, -100 to 100",
    "nps_points_90d": "points, 0 to 10",
    "nps_points_change_90d": "points, against the answer before",
    "ticket_baseline_28d": "tickets in 28 days",
    "ticket_volume_ratio_28d": "times the usual",
    "usage_depth_28d": "events per active user",
    "seats_licensed": "seats",
    "text_sentiment_91d": "score of a general lexicon, -1 to 1",
}


def unit_of(feature: str, currency: str | None = None) -> str:
    """The unit of a feature's raw value, such as `days`, `share, 0 to 1`; '' where a count says it all.

    Parameters
    ----------
    feature : a column of account_features_weekly
    currency : the row's currency, for amounts
    """
    if feature in _UNITS:
        return _UNITS[feature]
    known = features().get(feature)
    if known is not None and known.type == "boolean":
        return YES_NO
    if known is not None and known.type == "decimal":
        return currency or "in the account's currency"
    if feature in _SHARES or "_share" in feature or "_rate" in feature:
        return "share of before" if "_change_share" in feature else "share, 0 to 1"
    if "minutes" in feature:
        return "minutes"
    if "days" in feature.split("_"):
        return "days"
    return ""


def tier_word(tier: str | None) -> str:
    """A tier in lower-case words; `none` where there is none."""
    return "none" if tier is None else TIER_WORDS.get(tier, tier).lower()


def tier_sentence(health: Mapping[str, Any]) -> str:
    """Why the account has its tier: the rule of the tier path that decided, in one sentence.

    Parameters
    ----------
    health : a row of account_health_weekly
    """
    words = _REASONS[health["tier_reason"]]
    return words.format(
        tier=tier_word(health["tier"]),
        by_score=tier_word(health["score_tier"]),
        before=tier_word(health["previous_tier"]),
        score="none" if health["score"] is None else f"{health['score']:.2f}",
        coverage=percent(health["coverage"]),
        healthy_weeks=counted(health["healthy_weeks"], "week"),
    )


_REASONS: dict[str, str] = {
    "score": "its score of {score} lies in the band of {tier}, and no other rule changed that",
    "first_week": "this is its first week, so its score of {score} decides alone",
    "hysteresis": (
        "its score of {score} alone would say {by_score}; a tier changes only when the crossing is seen in two weeks "
        "in a row, or at once when it is wider than the margin"
    ),
    "single_measure": (
        "its score of {score} alone would say {by_score}, but one single measure would carry it across the boundary, "
        "and no single measure may"
    ),
    "outcome_cap": "its score of {score} alone would say {by_score}, but with outcomes this weak {tier} is the most",
    "expansion": (
        "it has been healthy for {healthy_weeks}, and every condition of expansion-ready held in two weeks in a row"
    ),
    "coverage_floor": "only {coverage} of the weight was measured, less than the policy's floor: no score, no guess",
    "decisive": "a fact that the policy names decisive is on record (a notice not to renew), whatever the score",
}
