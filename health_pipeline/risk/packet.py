"""A decision packet: one risk of one account in one week, with all a person decides on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from health_pipeline.mart.account_facts import AccountFacts, CaseAsKnown
from health_pipeline.policy.wording import describe
from health_pipeline.risk.judgement import (
    Assumption,
    Cause,
    HeldBy,
)
from health_pipeline.risk.model import Evidence, FiredSignal, Severity, Side
from health_pipeline.risk.options import Option
from health_pipeline.risk.rating import (
    RatedCategory,
    Rating,
)


@dataclass(frozen=True)
class Missing:
    """What could not be read, and why; told first."""

    what: str
    why: str


@dataclass(frozen=True)
class Event:
    """Because of ..., affecting ..., there is a possibility that ..., resulting in ...: not that a customer leaves."""

    because_of: tuple[tuple[str, float | None], ...]
    affecting: str
    possibility: str
    resulting_in: str

    @property
    def observed(self) -> str:
        """What was observed, in words."""
        return " and ".join(describe(feature, value) for feature, value in self.because_of)


@dataclass(frozen=True)
class Change:
    """A value or state that is another one than when it was last looked at."""

    what: str
    before: Any
    now: Any


@dataclass(frozen=True)
class Escalation:
    """Who answers for the severity, where, until when. The decision to escalate is a person's: None until then."""

    role: str
    channel: str
    respond_by: date
    decision: str | None = None


@dataclass(frozen=True)
class Packet:
    """What a person decides on. Ratings: 1 to 5, 0 is not assessed; inherent, current and residual are kept apart.

    Attributes
    ----------
    packet_id, week : the risk and its week; the id is the same over weeks
    category_reason : why the likely category is likelier than the runner-up: the rated categories, likeliest first
    changes : since `facts.week_before`, the week a person last reviewed it, else the week before
    severity_rule : always_critical, matrix, as_last_fired, confirmed by a person; or why there is no severity
    suggested_severity : the pipeline's, whatever a person confirmed
    residual_target, residual_actual : a severity, a person's; None until then
    decision, message, outcome : a person's; None until then
    case : what people decided, as landed and known then
    packet_hash : hash of what a decision rests on; an approval holds for it (see `material_content`)
    """

    packet_id: str
    account_id: str
    account_name: str | None
    week: date
    as_of_at: datetime
    known_at: datetime
    side: Side
    episode: int
    opened_week: date
    last_fired_week: date
    occurrences: int
    is_quiet: bool
    event: Event | None
    category: str
    runner_up_category: str | None
    category_reason: tuple[RatedCategory, ...]
    signals: tuple[FiredSignal, ...]
    evidence: tuple[Evidence, ...]
    missing: tuple[Missing, ...]
    facts: AccountFacts
    changes: tuple[Change, ...]
    causes: tuple[Cause, ...]
    assumptions: tuple[Assumption, ...]
    inherent: Rating
    current: Rating
    residual_target: str | None
    residual_actual: str | None
    severity: Severity | None
    severity_status: Literal["suggested", "confirmed"]
    severity_rule: str
    value_at_risk: Decimal | None
    currency: str
    owner_email: str | None
    options: tuple[Option, ...]
    escalation: Escalation
    stop_rules: tuple[HeldBy, ...]
    state: str
    follow_up_date: date | None
    policy_version: str
    decision: str | None = None
    message: str | None = None
    outcome: str | None = None
    packet_hash: str = ""
    suggested_severity: Severity | None = None
    case: CaseAsKnown = field(default_factory=CaseAsKnown)
