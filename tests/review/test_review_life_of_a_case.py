"""A case from its detection to its end: the states, what stops it on the way, what each step leaves in the ledger."""

from __future__ import annotations

from datetime import date

import pytest
from reviewing import (
    ADMIN,
    ANALYST,
    CSM,
    LEAD,
    NOW,
    OTHER_CSM,
    OTHER_LEAD,
    SetClock,
    act,
    does,
    key,
    packet,
    refused,
    until_proposed,
)

from health_pipeline.contract.clocks import Week
from health_pipeline.review import (
    ConflictError,
    Decision,
    FormError,
    IdempotencyError,
    Ledger,
    Refusal,
    UnknownCaseError,
    approval_holds,
    queue_reason,
)
from health_pipeline.review.intake import Reviewed


def test_a_risk_is_saved_step_by_step(ledger: Ledger, clock: SetClock) -> None:
    until_proposed(ledger)
    approved = does(ledger, "approve", LEAD)
    assert approved.state == "approved" and approval_holds(approved, clock.now())
    does(ledger, "take_action", mitigation="training", channel="meeting")
    does(ledger, "record_response", response="positive")
    does(ledger, "await_outcome")
    assert refused(ledger, "close") == ["measurement_missing"]
    does(ledger, "record_outcome", outcome="saved")
    does(ledger, "record_residual_risk", residual_actual="low")
    closed = does(ledger, "close")
    assert (closed.state, closed.outcome, closed.residual_actual) == ("closed", "saved", "low")
    assert queue_reason(closed, clock.now()) is None
    assert [event.type for event in ledger.events("p-1")] == [
        "risk_detected",
        "packet_built",
        "review_started",
        "severity_confirmed",
        "proposed",
        "approved",
        "action_taken",
        "response_recorded",
        "outcome_awaited",
        "refused_by_stop_rule",
        "outcome_recorded",
        "residual_risk_recorded",
        "closed",
    ]
    assert ledger.verify().holds


def test_a_customer_who_left_before_anybody_decided_is_a_loss_and_no_false_positive(ledger: Ledger) -> None:
    loss = {"outcome": "lost", "reason": "They told us on the phone."}
    assert refused(ledger, "record_loss", **loss) == ["customer_is_there"]
    gone = Reviewed(Week(date(2026, 11, 16)), ["acc_2"])
    assert ledger.take_in("r2", [], (), gone).left == 1
    assert does(ledger, "record_loss", **loss).state == "awaiting_outcome"
    assert refused(ledger, "close") == ["measurement_missing"]
    does(ledger, "record_residual_risk", residual_actual="high")
    case = does(ledger, "close")
    assert (case.state, case.outcome, case.approval, case.dismissal_reason) == ("closed", "lost", None, None)
    assert not approval_holds(case, ledger.clock.now()) and ledger.verify().holds


def test_an_owner_approves_what_is_small_and_a_lead_what_is_not(ledger: Ledger) -> None:
    until_proposed(ledger, touches="customer")
    assert refused(ledger, "approve") == ["needs_higher_permission"]
    does(ledger, "approve", LEAD)
    ledger.take_in("r1", [packet("p-2")])
    until_proposed(ledger, "p-2")
    assert does(ledger, "approve", case_id="p-2").approval.four_eyes == "not_needed"


def test_a_severe_case_needs_a_second_person_unless_the_switch_is_on_record(ledger: Ledger) -> None:
    ledger.take_in("r1", [packet("p-2", severity="critical", owner_email=LEAD)])
    does(ledger, "start_review", LEAD, "p-2")
    does(ledger, "confirm_severity", LEAD, "p-2", severity="critical")
    does(ledger, "escalate", LEAD, "p-2", decision="not_needed", reason="I am the escalation")
    does(ledger, "propose", LEAD, "p-2", mitigations="executive_call", follow_up_on="2026-12-01")
    assert refused(ledger, "approve", LEAD, "p-2") == ["same_person"]
    ledger.set_four_eyes(False, ADMIN, "two of us until January")
    approved = does(ledger, "approve", LEAD, "p-2")
    assert approved.approval.four_eyes == "switched_off"
    assert approval_holds(approved, NOW)
    assert [event.actor for event in ledger.events(types=["four_eyes_set"])] == [ADMIN]


def test_confirming_a_lower_severity_does_not_go_round_the_second_person(ledger: Ledger) -> None:
    """High in either status: as suggested or as confirmed."""
    ledger.take_in("r1", [packet("p-2", severity="critical")])
    does(ledger, "start_review", case_id="p-2")
    does(ledger, "confirm_severity", case_id="p-2", severity="low")
    does(ledger, "escalate", case_id="p-2", decision="not_needed", reason="small")
    does(ledger, "propose", case_id="p-2", mitigations="training", follow_up_on="2026-12-01")
    assert refused(ledger, "approve", case_id="p-2") == ["needs_higher_permission", "same_person"]


@pytest.mark.parametrize("actor", [OTHER_CSM, ANALYST, ADMIN, OTHER_LEAD, "nobody@example.com"])
def test_who_is_not_the_owner_or_above_is_refused_and_it_is_logged(ledger: Ledger, actor: str) -> None:
    assert refused(ledger, "start_review", actor) == ["not_permitted"]
    (event,) = ledger.events("p-1", types=["refused_by_stop_rule"])
    assert (event.actor, event.payload["action"]) == (actor, "start_review")
    assert event.payload["rules"][0]["reason"]


def test_the_right_to_decide_follows_the_owner_at_once(ledger: Ledger) -> None:
    does(ledger, "assign_owner", LEAD, owner_email=OTHER_CSM)
    assert refused(ledger, "start_review", CSM) == ["not_permitted"]
    does(ledger, "start_review", OTHER_CSM)


def test_each_gap_is_named_at_approval(ledger: Ledger, clock: SetClock) -> None:
    gaps = packet("p-2", severity="high", supporting_evidence=0, assumptions=("sponsor_left",))
    ledger.take_in("r1", [gaps])
    does(ledger, "start_review", case_id="p-2")
    assert refused(ledger, "propose", case_id="p-2", mitigations="training") == [
        "evidence_missing",
        "no_follow_up_date",
    ]
    ledger.take_in("r2", [packet("p-2", packet_hash="hash-2", severity="high", assumptions=("sponsor_left",))])
    does(ledger, "propose", case_id="p-2", mitigations="training", follow_up_on="2027-02-01")
    clock.pass_days(30)
    assert refused(ledger, "approve", LEAD, "p-2") == [
        "evidence_stale",
        "assumption_unverified",
        "severity_unconfirmed",
        "no_escalation_decision",
    ]
    clock.pass_days(-30)
    does(ledger, "verify_assumption", case_id="p-2", assumption_id="sponsor_left", assumption_state="accepted")
    does(ledger, "confirm_severity", case_id="p-2", severity="high")
    does(ledger, "escalate", case_id="p-2", decision="escalated", role="vp_customer")
    does(ledger, "approve", LEAD, "p-2")
    named = ledger.case("p-2").assumptions[0]
    assert (named.state, named.set_by) == ("accepted", CSM)


def test_an_acceptance_needs_its_parts_and_is_reviewed_again_when_it_ends(ledger: Ledger, clock: SetClock) -> None:
    does(ledger, "start_review")
    does(ledger, "confirm_severity", severity="medium")
    assert "acceptance_incomplete" in refused(ledger, "accept", follow_up_on="2026-12-01")
    form = {"reason": "they merge in spring", "approver_email": LEAD, "follow_up_on": "2027-01-15"}
    assert refused(ledger, "accept", **form, expires_on="2028-01-01") == ["acceptance_incomplete"]
    does(ledger, "accept", **form, expires_on="2027-01-31")
    assert refused(ledger, "approve", CSM) == ["acceptance_incomplete"]
    does(ledger, "approve", LEAD)
    assert refused(ledger, "take_action", mitigation="training", channel="call") == ["no_approval"]
    clock.pass_days(74)
    assert ledger.expire_due() == []
    clock.pass_days(1)
    (event,) = ledger.expire_due()
    assert (event.type, event.actor) == ("expired", "the pipeline")
    expired = ledger.case("p-1")
    assert expired.state == "expired" and expired.approval is None
    assert queue_reason(expired, clock.now()) == "follow-up of 2027-01-15 is due"
    assert does(ledger, "start_review").state == "in_review"


def test_an_approval_that_ran_out_has_no_effect_even_before_that_is_noted(ledger: Ledger, clock: SetClock) -> None:
    until_proposed(ledger)
    does(ledger, "approve", LEAD)
    clock.pass_days(31)
    assert refused(ledger, "take_action", mitigation="training", channel="call") == ["no_approval"]


def test_a_message_is_bound_to_its_approval(ledger: Ledger, clock: SetClock) -> None:
    until_proposed(ledger, message="Dear Kim, shall we look at the reports together?")
    assert refused(ledger, "approve", CSM) == ["needs_higher_permission"]
    approved = does(ledger, "approve", LEAD)
    assert approved.approval.message_digest == approved.proposal.message.digest
    rewritten = does(ledger, "write_message", message="Dear Kim, renew now!")
    assert (rewritten.state, rewritten.approval) == ("proposed", None)
    assert refused(ledger, "take_action", mitigation="training", channel="email") == ["state_forbids"]
    again = does(ledger, "approve", LEAD)
    taken = act(ledger, "take_action", mitigation="training", channel="email")
    assert isinstance(taken, Decision)
    assert taken.event.payload["message_digest"] == again.approval.message_digest
    assert ledger.texts([again.proposal.message]) == {again.proposal.message.text_id: "Dear Kim, renew now!"}


def test_only_what_was_approved_is_done(ledger: Ledger) -> None:
    until_proposed(ledger)
    does(ledger, "approve", LEAD)
    assert refused(ledger, "take_action", mitigation="discount", channel="email") == ["no_approval"]


def test_absence_confirms_no_cause(ledger: Ledger) -> None:
    assert refused(ledger, "confirm_cause", cause_id="champion_left", evidence_ids="ev-2") == [
        "not_confirmed_by_evidence"
    ]
    does(ledger, "set_cause", cause_id="champion_left", cause_state="suspected", evidence_ids="ev-2")
    assert refused(ledger, "confirm_cause", cause_id="champion_left", evidence_ids="ev-9") == [
        "not_confirmed_by_evidence"
    ]
    cause = does(ledger, "confirm_cause", cause_id="champion_left", evidence_ids="ev-1,ev-2").causes[0]
    assert (cause.state, cause.set_by, cause.set_at, cause.evidence_ids) == ("confirmed", CSM, NOW, ("ev-1", "ev-2"))


def test_who_dismisses_says_why_and_a_severe_one_needs_a_lead(ledger: Ledger, clock: SetClock) -> None:
    with pytest.raises(FormError, match="dismiss needs reason"):
        act(ledger, "dismiss", reason_code="signal_wrong")
    dismissed = does(ledger, "dismiss", reason_code="benign_explanation", reason="school holidays")
    assert (dismissed.state, dismissed.outcome, dismissed.dismissal_reason) == (
        "dismissed",
        "false_positive",
        "benign_explanation",
    )
    assert queue_reason(dismissed, clock.now()) is None
    ledger.take_in("r1", [packet("p-2", severity="high")])
    form = {"reason_code": "signal_wrong", "reason": "test account"}
    assert refused(ledger, "dismiss", case_id="p-2", **form) == ["needs_higher_permission"]
    does(ledger, "dismiss", LEAD, "p-2", **form)
    assert does(ledger, "reopen", LEAD, "p-2", reason="it was not").outcome is None


def test_a_deferred_case_leaves_the_queue_until_its_day(ledger: Ledger, clock: SetClock) -> None:
    assert queue_reason(ledger.case("p-1"), clock.now()) == "new"
    assert refused(ledger, "defer", reason="after the fair") == ["no_follow_up_date"]
    deferred = does(ledger, "defer", reason="after the fair", until="2026-11-25")
    assert queue_reason(deferred, clock.now()) is None
    clock.pass_days(7)
    assert queue_reason(deferred, clock.now()) == "deferred until 2026-11-25"


def test_the_same_form_twice_gives_the_first_result_and_one_event(ledger: Ledger) -> None:
    form = {"until": "2026-11-25", "reason": "after the fair"}
    first = ledger.decide("p-1", "defer", CSM, 1, "same-key", form)
    does(ledger, "start_review")
    assert ledger.decide("p-1", "defer", CSM, 1, "same-key", form) == first
    assert [event.type for event in ledger.events("p-1")][2:] == ["deferred", "review_started"]
    with pytest.raises(IdempotencyError, match="sent before with other content"):
        ledger.decide("p-1", "defer", CSM, 1, "same-key", {**form, "until": "2026-11-26"})
    with pytest.raises(IdempotencyError):
        ledger.decide("p-1", "defer", LEAD, 1, "same-key", form)


def test_a_refusal_repeated_is_the_same_refusal(ledger: Ledger) -> None:
    first = ledger.decide("p-1", "approve", CSM, 1, "refused-key")
    assert isinstance(first, Refusal)
    assert ledger.decide("p-1", "approve", CSM, 1, "refused-key") == first
    assert len(ledger.events("p-1", types=["refused_by_stop_rule"])) == 1


def test_who_comes_second_is_told_and_nothing_is_recorded(ledger: Ledger) -> None:
    does(ledger, "start_review")
    before = ledger.head()
    with pytest.raises(ConflictError, match=r"by csm@example\.com: it is in_review now") as caught:
        ledger.decide("p-1", "dismiss", LEAD, 1, key(), {"reason_code": "duplicate", "reason": "seen"})
    assert caught.value.case == ledger.case("p-1")
    assert [event.type for event in caught.value.since] == ["review_started"]
    assert ledger.head() == before


def test_looking_is_in_conflict_with_nobody(ledger: Ledger) -> None:
    does(ledger, "view_packet", LEAD)
    does(ledger, "open_evidence", LEAD, evidence_id="ev-1")
    assert isinstance(ledger.decide("p-1", "start_review", CSM, 1, key()), Decision)
    assert isinstance(ledger.decide("p-1", "view_packet", CSM, 1, key()), Decision)


def test_a_case_that_is_not_there(ledger: Ledger) -> None:
    with pytest.raises(UnknownCaseError, match="no case 'p-9'"):
        ledger.decide("p-9", "start_review", CSM, 1, key())
