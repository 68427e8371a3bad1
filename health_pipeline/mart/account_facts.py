"""What a packet needs to know of an account in a week, frozen: goals, people, contract, mood, earlier risks.

Texts and names of people are `RecordText`: they are carried in memory, show nothing when printed, and only the
restricted store writes them down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from health_pipeline.contract.case_states import UNTOUCHED


@dataclass(frozen=True, order=True)
class RecordKey:
    """A landed record and the load that brought the version read; a mart row has the kind `mart` and no load."""

    source_kind: str
    source_system: str
    source_instance: str
    source_table: str
    source_record_id: str
    load_id: str


@dataclass(frozen=True)
class RecordText:
    """A text of a record: a name, a subject, a body. Never printed, never logged.

    Attributes
    ----------
    column : where it stands in the record
    is_sensitive : seen by the account's owner and above only
    """

    record: RecordKey
    column: str
    text: str = field(repr=False)
    is_sensitive: bool = False


@dataclass(frozen=True)
class Goal:
    """What the customer wants to achieve, and where it stood at `as_of_at`."""

    record: RecordKey
    name: RecordText | None
    unit: RecordText | None
    status: str | None
    is_achieved: bool
    is_overdue: bool
    baseline_value: float | None
    target_value: float | None
    current_value: float | None
    due_date: date | None
    last_validated_at: datetime | None


@dataclass(frozen=True)
class Stakeholder:
    """A person at the customer: role, whether there, when last heard.

    Attributes
    ----------
    left_on : None where the person is there, or nobody knows since when not
    last_two_way_at : the last call, meeting or mail in both directions that the person was part of, as known then
    meetings_missed : meetings the person was invited to and did not attend, since the last one attended or in 91 days
    """

    record: RecordKey
    name: RecordText | None
    title: RecordText | None
    role: str | None
    is_there: bool
    left_on: date | None
    last_two_way_at: datetime | None
    meetings_missed: int


@dataclass(frozen=True)
class Contract:
    """A subscription active at `as_of_at`: end of its period, whether it renews by itself or is cancelled."""

    record: RecordKey
    period_ends_on: date | None
    is_auto_renewing: bool | None
    ends_on: date | None


@dataclass(frozen=True)
class RenewalDeal:
    """The open renewal opportunity due first, in the CRM's own words."""

    record: RecordKey
    stage: str | None
    due_date: date | None


@dataclass(frozen=True)
class RegisterEntry:
    """An entry of the risk register, as it stood then."""

    record: RecordKey
    title: RecordText | None
    category: str | None
    status: str | None
    likelihood: int | None
    impact: int | None
    identified_on: date
    closed_on: date | None


@dataclass(frozen=True)
class SentimentWeek:
    """What was heard of the mood in one week's features; None where nothing was."""

    week: date
    csm_sentiment: float | None
    nps_account_90d: float | None
    csat_91d: float | None


@dataclass(frozen=True)
class EarlierEpisode:
    """An earlier risk or expansion of the account, or the packet's own, as its packet said in its last week."""

    packet_id: str
    side: str
    episode: int
    category: str
    severity: str | None
    state: str
    opened_week: date
    last_week: date
    likelihood: int | None = None
    impact: int | None = None
    suggested_severity: str | None = None


@dataclass(frozen=True)
class CaseAsKnown:
    """What people decided on a packet, as landed from the ledger and known at `known_at`.

    The review room is to the right of this one, so its decisions come back as landed records. Without one the state is
    `detected` and every part is None.

    Attributes
    ----------
    severity : as a person confirmed it
    owner_email : whom a person made the owner
    risk_status : confirmed, refuted or unconfirmed; None where no ledger was connected by then
    residual_target, residual_actual : a severity, as a person recorded it
    ended_at : when the case was closed, dismissed or superseded
    actions_taken, responses_recorded : None where no ledger was connected by then
    """

    state: str = UNTOUCHED
    severity: str | None = None
    follow_up_date: date | None = None
    owner_email: str | None = None
    residual_target: str | None = None
    residual_actual: str | None = None
    verified_assumptions: tuple[str, ...] = ()
    confirmed_causes: tuple[str, ...] = ()
    risk_status: str | None = None
    escalation: str | None = None
    decision: str | None = None
    approved_at: datetime | None = None
    outcome: str | None = None
    dismissal_reason: str | None = None
    ended_at: datetime | None = None
    actions_taken: int | None = None
    responses_recorded: int | None = None

    @property
    def is_ended(self) -> bool:
        """Closed, dismissed or superseded by a person."""
        return self.ended_at is not None


@dataclass(frozen=True)
class Decided:
    """What people had decided as a week knew it.

    Attributes
    ----------
    is_connected : a ledger was landed by then; without one nothing that people give is known
    cases : by packet_id
    """

    is_connected: bool = False
    cases: Mapping[str, CaseAsKnown] = field(default_factory=dict)

    def of(self, packet_id: str) -> CaseAsKnown:
        """The case of a packet; one that nobody has taken in yet is detected, and nothing was done about it."""
        if not self.is_connected:
            return CaseAsKnown()
        untouched = CaseAsKnown(risk_status="unconfirmed", actions_taken=0, responses_recorded=0)
        return self.cases.get(packet_id, untouched)

    @property
    def ended(self) -> frozenset[str]:
        """The packets that a person closed, dismissed or superseded."""
        return frozenset(name for name, case in self.cases.items() if case.is_ended)

    @property
    def taken_up(self) -> frozenset[str]:
        """The packets that a person began to work on, whatever came of it."""
        return frozenset(name for name, case in self.cases.items() if case.state != UNTOUCHED)


NOT_CONNECTED = Decided()


@dataclass(frozen=True)
class AccountFacts:
    """One account in one week, as known then.

    Attributes
    ----------
    features, features_before : rows of account_features_weekly, of the week and of the one it is compared with
    health, health_before : the same of account_health_weekly; empty where not scored
    week_before : which week it is compared with: the last one a person reviewed, else the week before
    sentiment : oldest first
    texts : quoted fields, by record and field
    decided : what people decided, by packet_id; an empty one where no ledger was connected by then
    """

    account_id: str
    week: date
    account_name: str | None
    owner_email: str | None
    features: Mapping[str, Any] = field(default_factory=dict)
    features_before: Mapping[str, Any] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)
    health_before: Mapping[str, Any] = field(default_factory=dict)
    week_before: date | None = None
    goals: tuple[Goal, ...] = ()
    stakeholders: tuple[Stakeholder, ...] = ()
    contracts: tuple[Contract, ...] = ()
    renewal_deal: RenewalDeal | None = None
    register: tuple[RegisterEntry, ...] = ()
    sentiment: tuple[SentimentWeek, ...] = ()
    episodes: tuple[EarlierEpisode, ...] = ()
    texts: Mapping[tuple[RecordKey, str], RecordText] = field(default_factory=dict, repr=False)
    decided: Decided = field(default_factory=lambda: NOT_CONNECTED)

    @property
    def value(self) -> Decimal | None:
        """Recurring revenue in the reporting currency; None where it is not known."""
        amount = self.features.get("arr_reporting")
        return None if amount is None else Decimal(str(amount))
