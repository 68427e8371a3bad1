"""The measurement events: which event of the ledger is which measurement."""

from __future__ import annotations

from health_pipeline.review.cases import Event

# Every type of measurement there is, and the ledger's events it is read from. A dismissal records its outcome.
MEASURED_AS: dict[str, str] = {
    "risk_detected": "risk_detected",
    "packet_built": "packet_built",
    "packet_viewed": "packet_viewed",
    "evidence_opened": "evidence_opened",
    "owner_assigned": "owner_assigned",
    "assumption_verified": "assumption_verified",
    "cause_confirmed": "cause_confirmed",
    "proposed": "proposed",
    "approved": "approved",
    "rejected": "rejected",
    "refused_by_stop_rule": "refused_by_stop_rule",
    "deferred": "deferred",
    "escalated": "escalated",
    "action_taken": "action_taken",
    "response_recorded": "response_recorded",
    "outcome_recorded": "outcome_recorded",
    "dismissed": "outcome_recorded",
    "residual_risk_recorded": "residual_risk_recorded",
    "reopened": "reopened",
    "superseded": "superseded",
}
MEASUREMENT_TYPES: tuple[str, ...] = tuple(dict.fromkeys(MEASURED_AS.values()))


def measured_as(event: Event) -> str | None:
    """Which measurement an event of the ledger is; None where it is none.

    It is landed with the event, and the mart's `measurement_events` are the landed events that have one: this is the
    one place that says which.
    """
    # That an escalation was found not to be needed is a decision, and no escalation.
    if event.case_id is None or (event.type == "escalated" and event.payload["decision"] != "escalated"):
        return None
    return MEASURED_AS.get(event.type)
