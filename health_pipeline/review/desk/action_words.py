"""What the desk says of each action and field: label, key, place on the page. Words only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["decide", "set_aside", "about", "follow", "inline"]


@dataclass(frozen=True)
class ActionWords:
    """How one action is offered.

    Attributes
    ----------
    key : the letter that opens its form; several actions may share one, and the letter then goes through them
    place : decide: the way forward; set_aside: not now, or not at all; about: facts of the case; follow: what
        came of it; inline: beside what it is about
    """

    label: str
    says: str
    place: Place
    key: str = ""


ACTION_WORDS: dict[str, ActionWords] = {
    "start_review": ActionWords("Start the review", "You look into it; the case leaves the new ones.", "decide", "r"),
    "propose": ActionWords(
        "Propose an action", "Name what could be done. Nothing is done before somebody approves it.", "decide", "a"
    ),
    "accept": ActionWords(
        "Propose to accept the risk", "Carry it until a date, with a reason and a named approver.", "decide", "a"
    ),
    "approve": ActionWords(
        "Approve", "It holds for this packet as you see it, until it expires or the packet changes.", "decide", "a"
    ),
    "take_action": ActionWords(
        "Record an action taken", "What was done, of what was approved. The desk itself does nothing.", "decide", "a"
    ),
    "request_changes": ActionWords("Ask for changes", "The proposer gets it back with your reason.", "decide", "r"),
    "reject": ActionWords("Reject", "The proposal ends here; the case stays open.", "decide", "r"),
    "request_evidence": ActionWords("Ask for evidence", "Say what is missing to decide.", "decide", "r"),
    "withdraw": ActionWords("Withdraw the proposal", "It ends, and so does an approval of it.", "decide", "r"),
    "write_message": ActionWords(
        "Write the message",
        "Your words, bound to the approval: changing them needs a new one. Nothing is sent.",
        "decide",
    ),
    "reopen": ActionWords("Reopen", "The case waits for a review again.", "decide", "r"),
    "close": ActionWords("Close the case", "Possible once outcome and residual risk are recorded.", "decide", "a"),
    "defer": ActionWords("Defer", "It leaves the queue until that day.", "set_aside", "d"),
    "dismiss": ActionWords(
        "Dismiss as a false positive", "The signal was wrong, or means something else.", "set_aside", "d"
    ),
    "record_loss": ActionWords(
        "Record that the customer has left",
        "Lost before anything was approved: a fact, not a forecast. The case then closes as any other.",
        "set_aside",
    ),
    "supersede": ActionWords("Mark as covered by another case", "The other case carries on for both.", "set_aside"),
    "confirm_severity": ActionWords("Confirm the severity", "The packet suggests one; a person says it.", "about"),
    "escalate": ActionWords("Decide on escalation", "Escalated, or not needed and why.", "about"),
    "set_follow_up": ActionWords("Set the follow-up date", "When it is looked at again.", "about"),
    "assign_owner": ActionWords("Assign an owner", "A named person; who sees its notes changes at once.", "about"),
    "record_response": ActionWords("Record a response", "How the customer answered.", "follow"),
    "await_outcome": ActionWords("Wait for the outcome", "The actions are done.", "follow"),
    "record_outcome": ActionWords("Record the outcome", "What became of it: a fact, not a forecast.", "follow"),
    "record_residual_risk": ActionWords("Record the residual risk", "What is left of it now.", "follow"),
    "find_no_risk": ActionWords("No risk was there", "Nothing should have flagged it in that week.", "decide", "a"),
    "find_missed_risk": ActionWords(
        "A risk was there that nothing flagged", "Which kind, and which signal should have fired.", "decide", "r"
    ),
    "find_nothing_certain": ActionWords(
        "It cannot be told", "It counts as not looked at: an estimate is no place for a guess.", "set_aside", "d"
    ),
    "verify_assumption": ActionWords("Say what it is", "", "inline"),
    "set_cause": ActionWords("Say what it is", "", "inline"),
    "confirm_cause": ActionWords("Confirm", "Needs a measured or reported piece of evidence.", "inline"),
}
FIELD_WORDS: dict[str, str] = {
    "reason": "Reason",
    "note": "Note",
    "message": "Message, in your words",
    "owner_email": "Owner",
    "approver_email": "Approver",
    "severity": "Severity",
    "cause_id": "Cause",
    "assumption_id": "Assumption",
    "evidence_id": "Evidence",
    "cause_state": "It is",
    "assumption_state": "It is",
    "evidence_ids": "On this evidence",
    "decision": "Escalation",
    "role": "To whom",
    "follow_up_on": "Follow-up on",
    "mitigations": "Options to take",
    "touches": "It touches",
    "residual_target": "Risk that may remain",
    "expires_on": "Accepted until",
    "until": "Until",
    "reason_code": "Why it is none",
    "by_case_id": "The other case",
    "mitigation": "Which of the approved",
    "channel": "How",
    "done_on": "Done on",
    "response": "Response",
    "outcome": "Outcome",
    "residual_actual": "Risk that remains",
    "missed_category": "Kind of risk",
    "missed_signal": "Signal that should have fired",
}
EVENT_WORDS: dict[str, str] = {
    "risk_detected": "risk detected",
    "packet_built": "packet built",
    "packet_viewed": "looked at the packet",
    "evidence_opened": "opened evidence",
    "review_started": "started the review",
    "evidence_requested": "asked for evidence",
    "owner_assigned": "assigned the owner",
    "severity_confirmed": "confirmed the severity",
    "cause_set": "said of a cause what it is",
    "cause_confirmed": "confirmed a cause",
    "assumption_verified": "said of an assumption what it is",
    "escalated": "decided on escalation",
    "follow_up_set": "set the follow-up date",
    "proposed": "proposed",
    "message_written": "wrote the message",
    "changes_requested": "asked for changes",
    "rejected": "rejected the proposal",
    "withdrawn": "withdrew the proposal",
    "approved": "approved",
    "deferred": "deferred",
    "dismissed": "dismissed it",
    "superseded": "marked it as covered by another case",
    "action_taken": "recorded an action",
    "response_recorded": "recorded a response",
    "outcome_awaited": "waits for the outcome",
    "outcome_recorded": "recorded the outcome",
    "residual_risk_recorded": "recorded the residual risk",
    "closed": "closed the case",
    "reopened": "reopened",
    "expired": "approval or acceptance expired",
    "customer_left": "noted that the customer has left",
    "audit_drawn": "drew it at random among what nothing flagged",
    "audit_finding_recorded": "said what they found",
    "refused_by_stop_rule": "was stopped by a rule",
    "user_set": "changed a user",
    "tier_override_requested": "asked for an override of a tier",
    "tier_override_set": "set an override of a tier",
    "tier_override_withdrawn": "withdrew an override of a tier",
    "chain_loss_accepted": "gave up lost events",
    "four_eyes_set": "switched the second person",
    "text_erased": "erased a text",
    "release_taken_in": "took a release in",
    "packet_renewed": "packet renewed",
    "action_handed_out": "pulled an approved action",
    "token_created": "made a token for another system",
    "token_revoked": "revoked a token",
    "high_risks_told": "told of new high risks",
    "telling_failed": "could not tell of new high risks",
}
# What of an event's payload is worth a line; the rest is in the ledger for whoever needs it.
SHOWN_IN_HISTORY: dict[str, str] = {
    "severity": "severity",
    "owner_email": "owner",
    "decision": "decision",
    "role": "to",
    "follow_up_on": "follow-up",
    "until": "until",
    "mitigations": "options",
    "touches": "touches",
    "approver_email": "approver",
    "expires_on": "until",
    "expires_at": "holds until",
    "reason_code": "because",
    "mitigation": "option",
    "channel": "by",
    "done_on": "on",
    "response": "response",
    "outcome": "outcome",
    "residual_target": "may remain",
    "residual_actual": "remains",
    "cause_id": "cause",
    "cause_state": "is",
    "assumption_id": "assumption",
    "assumption_state": "is",
    "evidence_ids": "evidence",
    "evidence_id": "evidence",
    "by_case_id": "case",
    "finding": "found",
    "missed_category": "kind",
    "missed_signal": "signal",
    "four_eyes": "four eyes",
    "release": "release",
    "tier": "tier",
    "email": "user",
    "is_on": "on",
    "is_active": "active",
    "team": "team",
    "system": "system",
    "risks": "risks",
    "attempt": "attempt",
    "week": "week",
}
