"""A team's figures out of cases and events: what waits, what was decided and how fast, what came of it. Pure counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median

from health_pipeline.review.cases import Case, Event, queue_reason, waits_from

DECISIONS = ("approved", "rejected", "dismissed")
MEASURED = (
    "risk_detected",
    "review_started",
    "severity_confirmed",
    "cause_confirmed",
    *DECISIONS,
    "action_taken",
    "response_recorded",
    "outcome_recorded",
    "refused_by_stop_rule",
    "reopened",
)
PARTS = (
    "evidence",
    "severity confirmed",
    "owner",
    "mitigation",
    "escalation decision",
    "review decision",
    "follow-up date",
)
HIGH = frozenset({"high", "critical"})


@dataclass(frozen=True)
class OwnerFigures:
    """One owner's cases; None is nobody's."""

    owner_email: str | None
    open: int = 0
    waiting: int = 0
    overdue: int = 0
    proposed: int = 0
    decided: int = 0
    days_to_decision: float | None = None


@dataclass(frozen=True)
class TeamFigures:
    """Figures of the cases a person may see.

    Attributes
    ----------
    weeks : how far back what happened is counted
    days_to_decision : median days from detection to the first decision; None where none was made
    parts, parts_of_high : share of open risks, and of the high and critical ones, that have each part of a packet
    whole_share : share of open risks that have all of them; None where nothing is open
    severities : suggested and confirmed severity of open and ended cases whose severity a person confirmed
    """

    weeks: int
    waiting: int
    quiet: int
    overdue: int
    awaiting_approval: int
    oldest_waiting_days: int | None
    days_to_decision: float | None
    happened: Mapping[str, int]
    outcomes: Mapping[str, int]
    refused: Mapping[str, int]
    parts: Mapping[str, float]
    parts_of_high: Mapping[str, float]
    whole_share: float | None
    severities: Mapping[tuple[str, str], int] = field(default_factory=dict)
    owners: Sequence[OwnerFigures] = ()


def team_figures(cases: Sequence[Case], events: Iterable[Event], now: datetime, weeks: int = 13) -> TeamFigures:
    """Count.

    Parameters
    ----------
    cases : those that count
    events : of types `MEASURED`, in order; those of other cases are left out
    weeks : what happened in so many weeks before `now` is counted
    """
    by_id = {case.case_id: case for case in cases}
    since = now - timedelta(weeks=weeks)
    of_cases = [event for event in events if event.case_id in by_id]
    recent = [event for event in of_cases if event.at >= since]
    days = _days_to_decision(of_cases, since)
    open_cases = [case for case in cases if not case.has_ended]
    waiting = [case for case in open_cases if not case.is_set_aside and queue_reason(case, now) is not None]
    today = now.astimezone(UTC).date()
    risks = [case for case in open_cases if case.side == "risk"]
    return TeamFigures(
        weeks=weeks,
        waiting=len(waiting),
        quiet=sum(case.is_set_aside for case in open_cases),
        overdue=sum(_is_overdue(case, now) for case in open_cases),
        awaiting_approval=sum(case.state == "proposed" for case in open_cases),
        oldest_waiting_days=max(
            ((today - day).days for case in waiting if (day := waits_from(case)) is not None), default=None
        ),
        days_to_decision=median(days.values()) if days else None,
        happened={
            "accounts reviewed": len({by_id[str(e.case_id)].account_id for e in recent if e.type == "review_started"}),
            "risks confirmed": len({e.case_id for e in recent if e.type in {"severity_confirmed", "cause_confirmed"}}),
            "actions taken": sum(event.type == "action_taken" for event in recent),
            "responses": sum(event.type == "response_recorded" for event in recent),
            "approved": sum(event.type == "approved" for event in recent),
            "stopped by a rule": sum(event.type == "refused_by_stop_rule" for event in recent),
        },
        outcomes=_outcomes(recent),
        refused=Counter(
            rule["rule_id"]
            for event in recent
            if event.type == "refused_by_stop_rule"
            for rule in event.payload["rules"]
        ),
        parts=_parts(risks),
        parts_of_high=_parts([case for case in risks if {case.severity, case.suggested_severity} & HIGH]),
        whole_share=sum(all(_has_parts(case).values()) for case in risks) / len(risks) if risks else None,
        severities=Counter(
            (case.suggested_severity or "not assessed", case.severity or "not assessed")
            for case in cases
            if case.severity_status == "confirmed"
        ),
        owners=_owners(open_cases, waiting, days, by_id, now),
    )


def _is_overdue(case: Case, now: datetime) -> bool:
    return case.follow_up_on is not None and case.follow_up_on < now.astimezone(UTC).date()


def _outcomes(events: Iterable[Event]) -> dict[str, int]:
    newest = {
        str(event.case_id): "false_positive" if event.type == "dismissed" else str(event.payload["outcome"])
        for event in events
        if event.type in {"outcome_recorded", "dismissed"}
    }
    return dict(Counter(newest.values()))


def _days_to_decision(events: Iterable[Event], since: datetime) -> dict[str, float]:
    """Days from a case's detection to its first decision, of those decided since then."""
    detected: dict[str, datetime] = {}
    found: dict[str, float] = {}
    for event in events:
        name = str(event.case_id)
        if event.type == "risk_detected":
            detected[name] = event.at
        elif event.type in DECISIONS and name in detected:
            days = (event.at - detected.pop(name)).total_seconds() / 86400
            if event.at >= since:
                found[name] = days
    return found


def _has_parts(case: Case) -> dict[str, bool]:
    has = (
        case.supporting_evidence > 0,
        case.severity_status == "confirmed",
        case.owner_email is not None,
        case.proposal is not None and (bool(case.proposal.mitigations) or case.proposal.decision == "accept"),
        case.escalation is not None,
        bool(case.logged & set(DECISIONS)),
        case.follow_up_on is not None,
    )
    return dict(zip(PARTS, has, strict=True))


def _parts(cases: Sequence[Case]) -> dict[str, float]:
    if not cases:
        return {}
    counted = Counter(name for case in cases for name, has in _has_parts(case).items() if has)
    return {name: counted[name] / len(cases) for name in PARTS}


def _owners(
    open_cases: Sequence[Case],
    waiting: Sequence[Case],
    days: Mapping[str, float],
    by_id: Mapping[str, Case],
    now: datetime,
) -> list[OwnerFigures]:
    emails = {case.owner_email for case in open_cases} | {by_id[name].owner_email for name in days}
    rows = []
    for email in emails:
        mine = [case for case in open_cases if case.owner_email == email]
        taken = [taken for name, taken in days.items() if by_id[name].owner_email == email]
        rows.append(
            OwnerFigures(
                email,
                len(mine),
                sum(case.owner_email == email for case in waiting),
                sum(_is_overdue(case, now) for case in mine),
                sum(case.state == "proposed" for case in mine),
                len(taken),
                median(taken) if taken else None,
            )
        )
    return sorted(rows, key=lambda row: (-row.waiting, row.owner_email or ""))
