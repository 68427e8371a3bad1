"""What each planted story should leave in the sources, told as evidence: which system, which table, which records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from health_pipeline.contract.landing import SourceKind


@dataclass(frozen=True)
class Evidence:
    """A kind of record that a story leaves; `contradicts` where it speaks against the risk that it looks like."""

    source_kind: SourceKind
    table: str
    what: str
    direction: Literal["supports", "contradicts"] = "supports"


def _against(kind: SourceKind, table: str, what: str) -> Evidence:
    return Evidence(kind, table, what, "contradicts")


# By story; what is not listed should show nothing out of the ordinary.
EVIDENCE: dict[str, tuple[Evidence, ...]] = {
    "sponsor_leaves": (
        Evidence("crm", "crm_contact", "champion has left_at at the start, two in three times the economic buyer too"),
        Evidence("engagement", "cs_note", "half as many meetings and mails, without the champion"),
        Evidence("cs", "cs_note", "notes say that the champion left and nobody follows"),
    ),
    "value_never_reached": (
        Evidence("usage", "usage_event", "most users log in, with two features only"),
        Evidence("support", "support_ticket", "tickets mention workarounds and exports"),
        Evidence("engagement", "cs_note", "champion and sponsor are invited and do not attend"),
        Evidence("cs", "cs_goal", "goals are at risk or missed"),
    ),
    "defect_storm": (
        Evidence("support", "support_ticket", "several times as many tickets: incidents, urgent, reopened, long open"),
        Evidence("support", "survey_response", "low satisfaction with solved tickets"),
        Evidence("cs", "cs_note", "notes on escalation and quality"),
    ),
    "payment_trouble": (
        Evidence("billing", "billing_payment", "four failed attempts per invoice"),
        Evidence("billing", "billing_invoice", "several invoices open for weeks after they were due"),
        Evidence("billing", "billing_subscription", "status past_due"),
        Evidence("cs", "cs_note", "notes on a frozen budget"),
    ),
    "competitor_evaluation": (
        Evidence("support", "support_ticket", "tickets ask for all data and for the notice period"),
        Evidence("cs", "cs_note", "notes name an evaluation"),
        Evidence("crm", "crm_opportunity", "the renewal deal names a competitor, and is pushed or lost more often"),
    ),
    "delivery_slip": (
        Evidence("projects", "pm_project", "the project turns amber, then red"),
        Evidence("projects", "pm_milestone", "open milestones get dates months after their baseline"),
        Evidence("cs", "cs_note", "notes say that the customer loses patience"),
    ),
    "quiet_decline": (
        Evidence("usage", "usage_event", "fewer users and features, month after month"),
        Evidence("engagement", "cs_note", "meetings and mails fade"),
        Evidence("support", "support_ticket", "hardly any tickets: silence, not health"),
    ),
    "expansion_pull": (
        Evidence("usage", "usage_event", "nearly every seat in use, and more features"),
        Evidence("support", "support_ticket", "tickets ask for seats"),
        Evidence("cs", "cs_note", "notes name further departments"),
        Evidence("billing", "billing_subscription", "more seats, in most cases"),
    ),
    "seasonal_dip": (
        Evidence("usage", "usage_event", "use falls to a third for eight weeks"),
        _against("usage", "usage_event", "the same eight weeks of the year before had the same fall"),
    ),
    "planned_migration": (
        Evidence("usage", "usage_event", "use of the known workspace ends within three weeks"),
        _against("usage", "source_account", "a new workspace gets the CRM's id three to five weeks later"),
        _against("usage", "usage_event", "the same users go on in the new workspace"),
        _against("projects", "pm_project", "a migration project, on time"),
        _against("cs", "cs_note", "notes say that it is planned"),
    ),
    "holiday": (
        Evidence("usage", "usage_event", "hardly any use for three weeks"),
        _against("cs", "cs_note", "notes say when the plant is back"),
        _against("usage", "usage_event", "use is back in the fourth week"),
    ),
    "automation_burst": (
        Evidence("usage", "usage_event", "several times as many events for five weeks"),
        _against("usage", "usage_event", "all of the growth is a service user's, in one feature"),
    ),
    "automation_replaces_logins": (
        Evidence("usage", "usage_event", "people log in a third as often, from the sixth week on"),
        _against("usage", "usage_event", "a service user's calls make up for it"),
        _against("cs", "cs_goal", "goals go on as before"),
        _against("cs", "cs_note", "notes say that the interface does the work"),
    ),
    "champion_on_leave": (
        Evidence("engagement", "cs_note", "the champion is in no meeting"),
        Evidence("crm", "crm_contact", "the champion is not active"),
        _against("crm", "crm_contact", "no left_at, and active again after the leave"),
        _against("cs", "cs_note", "notes name the leave and the deputy"),
    ),
    "rollout_questions": (
        Evidence("support", "support_ticket", "several times as many tickets"),
        _against("support", "support_ticket", "questions and tasks of low priority, soon solved"),
        _against("usage", "usage_event", "more users than before"),
        _against("projects", "pm_project", "a rollout project, green"),
        _against("cs", "cs_note", "notes say that the roll-out is on plan"),
    ),
    "bank_change": (
        Evidence("billing", "billing_invoice", "one or two invoices paid weeks after they were due"),
        Evidence("billing", "billing_payment", "two failed attempts"),
        _against("billing", "billing_payment", "the code is bank_account_closed, and the payment follows"),
        _against("cs", "cs_note", "notes name the new bank account"),
    ),
    "competitive_renewal_won": (
        Evidence("crm", "crm_opportunity", "the renewal deal names a competitor"),
        Evidence("cs", "cs_note", "a note names a demo from a competitor"),
        _against("crm", "crm_opportunity", "the deal is won on time"),
    ),
    "agreed_delay": (
        Evidence("projects", "pm_milestone", "open milestones get dates months after their baseline"),
        _against("projects", "pm_project", "the project stays green"),
        _against("cs", "cs_note", "notes say that the customer asked for it"),
    ),
    "narrow_use": (
        Evidence("usage", "usage_event", "two features only"),
        Evidence("support", "support_ticket", "some tickets mention workarounds"),
        _against("cs", "cs_goal", "goals are on track and reached"),
        _against("engagement", "cs_note", "the sponsor attends"),
    ),
    "late_data": (
        Evidence("usage", "usage_event", "three weeks without any event, as known then"),
        _against("usage", "usage_event", "they arrive with the load after, received weeks after they happened"),
    ),
}
