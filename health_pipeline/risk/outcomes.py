"""What was decided in a week and what came of it, as counts; with the written rule for an account that was saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median
from typing import Any

from health_pipeline.contract.case_states import WAITING

# The written rule. What is observed after a review is no proof that the review caused it, so nothing here says so.
SAVED_RULE = (
    "An account counts as saved in the week that knows its case closed, where a person confirmed the risk, an approved "
    "action was recorded, a person recorded the outcome as saved, and at that week's end the account still has "
    "recurring revenue and no notice not to renew is known. Observed, not caused."
)
FIRST_DECISIONS = ("approved", "rejected", "dismissed")
# Counts of things that happened in the week, by their name in review_metrics_weekly.
COUNTED = ("accounts_reviewed", "risks_confirmed", "decisions", "actions_taken", "responses")
OUTCOMES = ("lost", "false_positive", "unresolved")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class WeekDecisions:
    """What people decided, as one week knew it.

    Attributes
    ----------
    cases : rows of int_review_cases_weekly of the week
    events : rows of int_review_events_weekly of the week: those that first count in it
    features : by account id, of the week: arr and is_cancellation_scheduled
    findings : on accounts drawn at random, those that the week is the first to know
    """

    cases: Sequence[Row] = ()
    events: Sequence[Row] = ()
    features: Mapping[str, Row] | None = None
    findings: Sequence[Row] = ()


def is_saved(case: Row, features: Row | None) -> bool:
    """Whether `SAVED_RULE` holds of a case that has ended; what is not known of the account does not hold."""
    if features is None:
        return False
    return (
        case["state"] == "closed"
        and case["outcome"] == "saved"
        and case["risk_status"] == "confirmed"
        and bool(case["has_action"])
        and (features["arr"] or 0) > 0
        and features["is_cancellation_scheduled"] is False
    )


def decision_rows(decided: WeekDecisions | None, week: Row) -> list[dict[str, Any]]:
    """Rows of review_metrics_weekly on decisions and outcomes, of cases of risks.

    Parameters
    ----------
    decided : None where no ledger was connected by then: every value is null then, and where it was and nobody decided
        the counts are 0
    week : week, as_of_at, known_at
    """
    if decided is None:
        return [_row(name, None) for name in _NAMES]
    risks = [case for case in decided.cases if case["side"] == "risk"]
    events = [event for event in decided.events if event["side"] == "risk"]
    by_id = {case["case_id"]: case for case in risks}
    ended = [by_id[name] for name in _ids(events, "closed", "dismissed") if name in by_id and by_id[name]["is_ended"]]
    recorded = [case for case in ended if case["outcome"] == "saved"]
    features = decided.features or {}
    saved = {case["account_id"] for case in recorded if is_saved(case, features.get(case["account_id"]))}
    unresolved = [case for case in ended if case["outcome"] == "unresolved"]
    explained = sum(bool(case["has_unresolved_reason"]) for case in unresolved)
    waiting = [case for case in risks if case["state"] in WAITING]
    rows = [
        _row("accounts_reviewed", len({e["account_id"] for e in events if e["event_type"] == "review_started"})),
        _row("risks_confirmed", sum(by_id[name]["risk_status"] == "confirmed" for name in _ids(events, *_CONFIRMING))),
        _row("decisions", sum(event["event_type"] in FIRST_DECISIONS for event in events)),
        _row("actions_taken", sum(event["measured_as"] == "action_taken" for event in events)),
        _row("responses", sum(event["measured_as"] == "response_recorded" for event in events)),
        _row("saved_accounts", len(saved), len({case["account_id"] for case in recorded})),
        *(_row(_PLURALS[name], sum(case["outcome"] == name for case in ended)) for name in OUTCOMES),
        _row("unresolved_with_reason", explained, len(unresolved)),
        _row("awaiting_decision", len(waiting)),
        _row("overdue", sum(_is_overdue(case, week["as_of_at"]) for case in risks)),
    ]
    looked_at = [row for row in decided.findings if row["finding"] != "cannot_tell"]
    missed = sum(row["finding"] == "missed_risk" for row in looked_at)
    rows.append(_row("misses_found_by_audit", missed, len(looked_at)))
    since = [case["last_reopened_at"] or case["detected_at"] for case in waiting]
    oldest = [_days(start, week["as_of_at"]) for start in since if start is not None]
    rows.append({**_row("oldest_waiting_days", None), "value": max(oldest, default=None)})
    taken = [
        _days(case["detected_at"], case["first_decided_at"])
        for case in (by_id[name] for name in _ids(events, *FIRST_DECISIONS) if name in by_id)
        if case["detected_at"] and case["first_decided_at"] and _is_first(case, events)
    ]
    rows.append({**_row("days_to_decision_median", None, len(taken)), "value": median(taken) if taken else None})
    return rows


_CONFIRMING = ("severity_confirmed", "cause_confirmed", "approved")
_PLURALS = {"lost": "lost_accounts", "false_positive": "false_positives", "unresolved": "unresolved"}
_NAMES = (
    *COUNTED,
    "saved_accounts",
    *_PLURALS.values(),
    "unresolved_with_reason",
    "awaiting_decision",
    "overdue",
    "misses_found_by_audit",
    "oldest_waiting_days",
    "days_to_decision_median",
)


def _row(metric: str, numerator: int | None, denominator: int | None = None) -> dict[str, Any]:
    value = None if numerator is None else float(numerator)
    return {"metric": metric, "value": value, "numerator": numerator, "denominator": denominator}


def _ids(events: Iterable[Row], *types: str) -> list[str]:
    return sorted({event["case_id"] for event in events if event["event_type"] in types})


def _is_first(case: Row, events: Iterable[Row]) -> bool:
    """The first decision on the case is among the week's events."""
    return any(e["case_id"] == case["case_id"] and e["occurred_at"] == case["first_decided_at"] for e in events)


def _is_overdue(case: Row, as_of_at: datetime) -> bool:
    due: date | None = case["follow_up_date"]
    return not case["is_ended"] and due is not None and due < as_of_at.date()


def _days(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() / 86400
