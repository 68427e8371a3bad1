"""The sets of landed records that may count as evidence: what `int_risk_evidence_weekly` finds, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from health_pipeline.policy.risk_phrases import PhraseCategory

Kind = Literal["measured", "reported"]
Strength = Literal["low", "medium", "high"]


@dataclass(frozen=True)
class RecordSet:
    """A set of records of an account and week.

    Attributes
    ----------
    kind : measured by a system, or reported by a person; what is read from a silence is inferred, whatever the record
    strength : how much a record of it says by itself
    value_of : the feature in whose unit a record's own value is; None: the record has none, the feature's is shown
    """

    kind: Kind
    strength: Strength
    value_of: str | None = None


# A name here and a name in the dbt models: a test compares them.
RECORD_SETS: dict[str, RecordSet] = {
    "newest_use": RecordSet("measured", "medium"),
    "open_tickets": RecordSet("measured", "medium"),
    "open_high_priority_tickets": RecordSet("measured", "high", "oldest_open_high_priority_ticket_days"),
    "open_escalated_tickets": RecordSet("measured", "high"),
    "recent_tickets": RecordSet("measured", "medium"),
    "recent_defect_tickets": RecordSet("measured", "medium"),
    "reopened_tickets": RecordSet("measured", "medium"),
    "newest_ticket": RecordSet("measured", "low"),
    "overdue_goals": RecordSet("reported", "high"),
    "goals_off_track": RecordSet("reported", "high"),
    "goals_on_track": RecordSet("reported", "medium"),
    "validated_goals": RecordSet("reported", "high", "days_since_goal_validated"),
    "off_track_projects": RecordSet("reported", "high"),
    "green_projects": RecordSet("reported", "medium"),
    "migration_projects": RecordSet("reported", "medium"),
    "slipped_milestones": RecordSet("reported", "high", "max_milestone_slip_days"),
    "open_go_lives": RecordSet("reported", "medium"),
    "completed_milestones": RecordSet("reported", "medium"),
    "two_way_touches": RecordSet("measured", "medium", "days_since_last_two_way_touch"),
    "meetings_missed_by_sponsor": RecordSet("measured", "high"),
    "meetings_with_sponsor": RecordSet("measured", "high"),
    "pulses": RecordSet("reported", "medium", "csm_sentiment"),
    "nps_answers": RecordSet("reported", "medium"),
    "low_nps_answers": RecordSet("reported", "high", "nps_points_90d"),
    "high_nps_answers": RecordSet("reported", "high", "nps_points_90d"),
    "bad_csat_answers": RecordSet("reported", "medium"),
    "good_csat_answers": RecordSet("reported", "medium"),
    "sponsors_who_left": RecordSet("measured", "high"),
    "sponsors_who_are_there": RecordSet("measured", "medium"),
    "open_renewals": RecordSet("reported", "medium"),
    "won_deals": RecordSet("measured", "high"),
    "crm_accounts": RecordSet("reported", "low"),
    "notices": RecordSet("measured", "high"),
    "subscriptions": RecordSet("measured", "medium"),
    "ended_subscriptions": RecordSet("measured", "high"),
    "overdue_invoices": RecordSet("measured", "high", "max_days_past_due"),
    "invoices_paid_in_time": RecordSet("measured", "medium"),
    "failed_payments": RecordSet("measured", "medium"),
    "succeeded_payments": RecordSet("measured", "medium"),
    # where words stand in a customer's text, one set per category of risk_phrases.yaml
    **{f"{category}_phrases": RecordSet("reported", "medium") for category in get_args(PhraseCategory)},
}
