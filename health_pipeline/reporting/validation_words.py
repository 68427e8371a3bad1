"""What a validation found, in sentences for the leader of customer success: the verdict first, with its intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from health_pipeline.policy.wording import TIER_WORDS, counted
from health_pipeline.reporting.figures import HARD_SPACE, listed
from health_pipeline.scoring.validation.assessment import NOT_ENOUGH, WITHOUT_NOTICE, Validation
from health_pipeline.scoring.validation.baselines import BASELINES
from health_pipeline.scoring.validation.lead_time import SeenBefore
from health_pipeline.segmentation.methods.intervals import Interval

BY_CONSTRUCTION = "Demo company: holds by construction."
OUTCOME_WORDS = {
    "churned": "Left",
    "contracted": "Shrank",
    "lost_revenue": "Left or shrank",
    "expanded": "Grew",
}


@dataclass(frozen=True)
class ValidationVerdict:
    """The page's first screen: the headline, and sentences each under its label."""

    headline: str
    statements: tuple[tuple[str, str], ...]


def validation_verdict(found: Validation, challenger: str) -> ValidationVerdict:
    """Say what the score is worth, or that nothing can be said.

    Parameters
    ----------
    found : the validation
    challenger : what became of the learnt weights, in a sentence
    """
    readings = found.readings
    area = found.figure("churned", "auc")
    if not len(readings.rows):
        return ValidationVerdict("Nothing can be said yet: of no reading the outcome is known.", (_not_judged(found),))
    if readings.rows["score"].isna().all():
        headline = "No score to judge: too little is measured to score anybody."
        return ValidationVerdict(headline, (_not_judged(found), ("Learnt weights", challenger)))
    if area["note"]:
        left = counted(int(area["events"]), "customer")
        headline = f"Too few customers have left to judge the score: {int(area['events'])}."
        judged = (
            "How many",
            f"{left} left within 13 weeks of a reading; a figure needs {found.policy.minimum_events}.",
        )
        return ValidationVerdict(headline, (judged, _not_judged(found), ("Learnt weights", challenger)))
    statements = (_how_often(found), _how_early(found), _against_baselines(found), _ranking(found))
    more = (_other_outcomes(found), _not_judged(found), ("Learnt weights", challenger))
    return ValidationVerdict(_headline(found), (*statements, *more))


def share(value: float, digits: int = 0) -> str:
    """Write a share: `19 %`; a dash where there is none."""
    return "–" if math.isnan(value) else f"{100 * value:.{digits}f}{HARD_SPACE}%"


def with_interval(row: pd.Series, kind: str = "share") -> str:
    """Write a figure with its interval: `19 % (12 to 28)`, `4.7 times (2.1 to 8.7)`, `0.77 (0.70 to 0.83)`."""
    if row["note"]:
        return str(row["note"])
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if kind == "share":
        return f"{share(value)} ({100 * low:.0f} to {100 * high:.0f})"
    if kind == "times":
        return "–" if math.isnan(value) else f"{value:.1f} times ({low:.1f} to {high:.1f})"
    if kind == "weeks":
        return f"{value:g} weeks ({low:g} to {high:g})"
    sign = "+" if kind == "difference" else ""
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def interval_text(interval: Interval | None) -> str:
    """Write a share with its interval, or that there were too few events."""
    if interval is None:
        return NOT_ENOUGH
    return f"{share(interval.value)} ({100 * interval.low:.0f} to {100 * interval.high:.0f})"


def at_risk_ratio(found: Validation) -> pd.Series:
    """How many times as often accounts at risk left as the others, those that had given notice left out."""
    try:
        return found.figure("churned", "ratio", "at_risk", WITHOUT_NOTICE)
    except KeyError:
        return found.figure("churned", "ratio", "at_risk")


def _headline(found: Validation) -> str:
    ratio = at_risk_ratio(found)
    if ratio["note"] or math.isnan(float(ratio["value"])):
        return "The tier “at risk” could not be judged: hardly anybody was in it."
    before = "Without a notice, accounts" if ratio["population"] == WITHOUT_NOTICE else "Accounts"
    if ratio["low"] > 1:
        return f"{before} at risk left {ratio['value']:.1f} times as often as the others."
    return f"{before} at risk are not shown to leave more often than the others."


def _how_often(found: Validation) -> tuple[str, str]:
    calibration = found.calibrations["churned"]
    known = calibration.tiers[calibration.tiers["rate"].notna() & (calibration.tiers["tier"] != "not_scored")]
    without = calibration.without_notice
    parts = []
    for row in known.to_dict("records"):
        part = f"{share(row['rate'])} of {TIER_WORDS[row['tier']].lower()}"
        if row["tier"] == "at_risk" and without is not None and not math.isnan(without["rate"]):
            part += f" ({share(without['rate'])} of those without a notice)"
        parts.append(part)
    order = {
        True: "The rates fall from tier to tier, as they should.",
        False: "The rates do NOT fall from tier to tier.",
        None: "Too few readings in a tier to say whether the rates fall in order.",
    }[calibration.is_monotone]
    return "How often", f"Within 13 weeks left: {listed(parts)}. {order}{_notices(found)}"


def _notices(found: Validation) -> str:
    """What the headline leaves out: that a customer said so is no merit of the score."""
    ratio, everybody = at_risk_ratio(found), found.figure("churned", "ratio", "at_risk")
    if ratio["population"] != WITHOUT_NOTICE or ratio["note"] or everybody["note"]:
        return ""
    return (
        f" The headline ({ratio['low']:.1f} to {ratio['high']:.1f} times) leaves out accounts that had given notice, "
        f"which nobody needs a score to see; with them it is {everybody['value']:.0f} times."
    )


def _how_early(found: Validation) -> tuple[str, str]:
    seen, by_score = found.leads.seen[0], found.leads_by_score.seen[0]
    if seen.share is None:
        return "How early", f"{counted(seen.events, 'customer')} left after readings enough: too few for a figure."
    alone = "" if _same(seen, by_score) else f", {by_score.seen} of them before or without a notice"
    return (
        "How early",
        f"Of {seen.events} that left, {seen.seen} were at risk at least {seen.weeks} weeks before{alone}. Of those "
        f"that stayed, {share(seen.stayers_share)} had such a reading too.",
    )


def _same(one: SeenBefore, other: SeenBefore) -> bool:
    return one.seen == other.seen


def _against_baselines(found: Validation) -> tuple[str, str]:
    return "Against simple rules", " ".join(baseline_sentence(found, name) for name in BASELINES)


def baseline_sentence(found: Validation, baseline: str) -> str:
    """Whether the score beats a baseline, plainly."""
    words, row = BASELINES[baseline], found.figure("churned", "auc_difference", baseline)
    if row["note"]:
        return f"Against {words}: {row['note']}."
    score = found.figure("churned", "auc", f"score beside {baseline}")["value"]
    other = found.figure("churned", "auc", baseline)["value"]
    figures = f"(AUC {score:.2f} against {other:.2f}, difference {row['low']:+.2f} to {row['high']:+.2f})"
    if row["low"] > 0:
        return f"The score ranks better than {words} {figures}."
    if row["high"] < 0:
        return f"The score ranks WORSE than {words} {figures}."
    return f"The score does not beat {words} {figures}: the difference may be nothing."


def _ranking(found: Validation) -> tuple[str, str]:
    area = found.figure("churned", "auc")
    text = (
        f"Of an account that left and one that did not, the one that left had the lower score in "
        f"{100 * area['value']:.0f} of 100 pairs ({100 * area['low']:.0f} to {100 * area['high']:.0f}); 50 is chance."
    )
    top = found.figure("churned", "recall", "lowest_scores")
    if not top["note"]:
        rule = share(found.policy.top_share)
        text += f" The lowest {rule} of scores held {with_interval(top)} of the readings before leaving."
    return "Ranking", text


def _other_outcomes(found: Validation) -> tuple[str, str]:
    parts = []
    for outcome in ("contracted", "expanded"):
        area = found.figure(outcome, "auc")
        words = {"contracted": "shrinking", "expanded": "growing"}[outcome]
        if area["note"]:
            parts.append(f"{words}: {area['note']}")
        else:
            chance = "" if area["low"] > 0.5 or area["high"] < 0.5 else ", which may be chance"
            parts.append(f"{words}: AUC {with_interval(area, 'number')}{chance}")
    return "Other outcomes", f"{'; '.join(parts)[0].upper()}{'; '.join(parts)[1:]}."


def _not_judged(found: Validation) -> tuple[str, str]:
    """What has no figure, by name: labels, segments, scores."""
    readings, parts = found.readings, []
    if not len(readings.rows):
        parts.append("no reading has a known outcome: labels need subscriptions, and 13 weeks that have passed")
    if readings.outcome_unknown:
        parts.append(f"{readings.outcome_unknown:,} readings whose outcome can't be told")
    parts.append(f"{readings.not_mature:,} readings whose 13 weeks have not passed")
    unscored = int(readings.rows["score"].isna().sum())
    if unscored:
        parts.append(f"{unscored:,} readings without a score")
    few = found.figures[
        (found.figures["kind"] == "segment")
        & (found.figures["outcome"] == "churned")
        & (found.figures["statistic"] == "auc")
        & (found.figures["note"] != "")
    ]
    parts += [
        f"the segment “{row['population']}”: {counted(row['events'], 'customer')} left"
        for row in few.to_dict("records")
    ]
    return "Not judged", f"{'; '.join(parts)[0].upper()}{'; '.join(parts)[1:]}."
