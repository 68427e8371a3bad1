"""What the signals miss, estimated from the accounts that were drawn at random: risks missed, and the recall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from scipy.stats import beta

from health_pipeline.policy.exception_queue import RANDOM_AUDIT
from health_pipeline.policy.wording import counted
from health_pipeline.reporting.judged import share_words
from health_pipeline.segmentation.methods.intervals import Interval

# Fewer accounts looked at than this say nothing about all the others.
ENOUGH_LOOKED_AT = 20
CONFIDENCE = 0.95
Row = Mapping[str, Any]


@dataclass(frozen=True)
class LookedWeek:
    """One week in which somebody looked at accounts that nothing flagged.

    Attributes
    ----------
    unflagged : accounts that nothing flagged
    looked_at : of the drawn ones, those on which a person found a risk or none
    missed : of these, the ones with a risk
    """

    unflagged: int
    looked_at: int
    missed: int


@dataclass(frozen=True)
class MissedRisks:
    """What the random audit says.

    Attributes
    ----------
    weeks : weeks in which somebody looked
    drawn, looked_at, unclear : accounts drawn in all weeks that knew a ledger; looked at; looked at, and not to be told
    found : accounts with a risk that nothing flagged
    unflagged : accounts that nothing flagged, summed over the weeks in which somebody looked
    share, total : of these, the ones with a risk: as a share, and how many; None where too few were looked at
    caught, undecided : accounts flagged in those weeks whose risk a person has confirmed, or not decided on
    recall : caught, by caught and missed; None where too few were looked at, or there is nothing to catch
    signals, categories : how often each was named
    """

    weeks: int = 0
    drawn: int = 0
    looked_at: int = 0
    unclear: int = 0
    found: int = 0
    unflagged: int = 0
    share: Interval | None = None
    total: Interval | None = None
    caught: int = 0
    undecided: int = 0
    recall: Interval | None = None
    signals: Mapping[str, int] = field(default_factory=dict)
    categories: Mapping[str, int] = field(default_factory=dict)


def missed_share(weeks: Sequence[LookedWeek], confidence: float = CONFIDENCE) -> Interval:
    """Share of the unflagged accounts with a risk, over all weeks, from those that were drawn and looked at.

    Each account found counts for one over the chance with which it was drawn and looked at (Horvitz and Thompson, A
    generalization of sampling without replacement from a finite universe, JASA 47, 1952): in a week the accounts looked
    at stand for all that nothing flagged. The interval is Clopper and Pearson's at the effective number of accounts
    looked at, as Korn and Graubard have it for few findings of unequal weight (Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data, Survey Methodology 24, 1998); so it says
    something where nothing was found. The effective number is the one by the weights alone with the correction for
    finite populations, which does not need the misses' own variance.

    Parameters
    ----------
    weeks : each with one account looked at, or more

    Raises
    ------
    ValueError
        If there is no week, or one in which nobody looked.

    Notes
    -----
    Whoever was drawn and not looked at is taken to be like those who were, within the week. Weeks count as independent:
    an account that is drawn in several counts in each.
    """
    if not weeks or any(week.looked_at < 1 for week in weeks):
        raise ValueError("a share of what was missed needs weeks in which somebody looked at an account")
    unflagged = sum(week.unflagged for week in weeks)
    share = sum(week.unflagged * week.missed / week.looked_at for week in weeks) / unflagged
    spread = sum(week.unflagged * (week.unflagged - week.looked_at) / week.looked_at for week in weeks)
    if spread == 0:
        # everybody was looked at: nothing is estimated
        return Interval(share, share, share)
    effective = unflagged**2 / spread
    found, tail = share * effective, (1 - confidence) / 2
    low = float(beta.ppf(tail, found, effective - found + 1)) if found > 0 else 0.0
    high = float(beta.ppf(1 - tail, found + 1, effective - found)) if found < effective else 1.0
    return Interval(share, low, high)


def missed_risks(
    queue: Iterable[Row], findings: Iterable[Row], status_of: Mapping[str, str | None], known_weeks: Iterable[date]
) -> MissedRisks:
    """Put draws, findings and what was flagged together.

    Parameters
    ----------
    queue : rows of exception_queue_weekly
    findings : rows of random_audit_findings; those on accounts that the published week did not draw count for nothing
    status_of : what people made of each packet by now: confirmed, refuted or unconfirmed
    known_weeks : weeks that knew a ledger; the one before the first of them counts where somebody looked at its draws
    """
    findings = list(findings)
    known = {*known_weeks, *(row["week"] for row in findings)}
    rows = [row for row in queue if row["week"] in known]
    drawn = {(row["week"], row["account_id"]): row for row in rows if row["subject"] == RANDOM_AUDIT}
    said = {place: row for row in findings if (place := (row["week"], row["account_id"])) in drawn}
    looked = {place: row for place, row in said.items() if row["finding"] != "cannot_tell"}
    missed = [row for row in looked.values() if row["finding"] == "missed_risk"]
    by_week = Counter(week for week, _ in drawn)
    shares = {week: row["inclusion_share"] for (week, _), row in drawn.items()}
    looked_by_week, missed_by_week = Counter(week for week, _ in looked), Counter(row["week"] for row in missed)
    weeks = {
        week: LookedWeek(round(by_week[week] / shares[week]), count, missed_by_week[week])
        for week, count in looked_by_week.items()
    }
    statuses = Counter(
        status_of.get(row["packet_id"]) for row in rows if row["subject"] == "risk" and row["week"] in weeks
    )
    is_enough = len(looked) >= ENOUGH_LOOKED_AT
    share = missed_share(list(weeks.values())) if is_enough else None
    unflagged, caught = sum(week.unflagged for week in weeks.values()), statuses["confirmed"]
    total = Interval(share.value * unflagged, share.low * unflagged, share.high * unflagged) if share else None
    return MissedRisks(
        weeks=len(weeks),
        drawn=len(drawn),
        looked_at=len(looked),
        unclear=len(said) - len(looked),
        found=len(missed),
        unflagged=unflagged,
        share=share,
        total=total,
        caught=caught,
        undecided=statuses["unconfirmed"],
        recall=recall(caught, total) if total else None,
        signals=Counter(row["missed_signal"] or "not_said" for row in missed),
        categories=Counter(row["missed_category"] or "not_said" for row in missed),
    )


def recall(caught: int, missed: Interval) -> Interval | None:
    """Caught, by caught and missed; its limits are those of the missed, which alone are estimated.

    None where nothing was caught and nothing is estimated to be missed.
    """
    if caught + missed.value == 0:
        return None
    low = caught / (caught + missed.high) if caught + missed.high else 0.0
    high = caught / (caught + missed.low) if caught + missed.low else 1.0
    return Interval(caught / (caught + missed.value), low, high)


def missed_lines(found: MissedRisks) -> list[str]:
    """What the signals miss, as Markdown."""
    if not found.drawn:
        return ["No account was drawn at random in a week that knew a ledger: what the signals miss is unknown."]
    said = (
        f"{counted(found.drawn, 'account')} that nothing flagged were drawn at random; on {found.looked_at} a person "
        f"found whether a risk was there, on {found.unclear} it could not be told."
    )
    if found.share is None or found.total is None:
        need = f"fewer than {ENOUGH_LOOKED_AT} were looked at"
        return [said, "", f"Not enough audited: {need}, so how many risks the signals miss is unknown."]
    lines = [
        said,
        "",
        f"A risk that nothing flagged was there on {found.found} of the {found.looked_at}. Of {found.unflagged:,} "
        f"account-weeks that nothing flagged, over {counted(found.weeks, 'week')} in which somebody looked, about "
        f"{_number(found.total.value)} had one (95 %: {_number(found.total.low)} to {_number(found.total.high)}; "
        f"{share_words(found.share)} of them).",
        "",
    ]
    if found.recall is None:
        lines.append("No risk was flagged and confirmed, and none found missed: there is no recall to speak of.")
    else:
        lines.append(
            f"Recall: of the risks there were, the signals flagged {share_words(found.recall)}, by {found.caught:,} "
            f"flagged account-weeks whose risk a person has confirmed. {found.undecided:,} more are not decided and "
            "count for nothing here, so the recall is rather higher."
        )
    lines += [
        "",
        "Horvitz and Thompson's estimate by the chance of being drawn; the interval after Korn and Graubard. Who was "
        "drawn and not looked at is taken to be like who was; a finding is one person's judgement of one week.",
    ]
    for title, counts in (("signal that should have fired", found.signals), ("kind of risk", found.categories)):
        if counts:
            lines += ["", f"| {title} | missed |", "|---|---:|"]
            lines += [
                f"| {name} | {count} |" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
            ]
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}"
