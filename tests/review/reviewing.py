"""What the review's tests share: a clock that is set, four people, packets, and a ledger that speaks in short calls."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from health_pipeline.contract.clocks import SystemClock
from health_pipeline.review import Case, Decision, IncomingPacket, Ledger, Person, Refusal

NOW = datetime(2026, 11, 18, 9, tzinfo=UTC)
WEEK = date(2026, 11, 9)
ADMIN, LEAD, OTHER_LEAD = "admin@example.com", "lead@example.com", "south@example.com"
CSM, OTHER_CSM, ANALYST = "csm@example.com", "other@example.com", "analyst@example.com"
PEOPLE = (
    Person(ADMIN, "Ada Min", "admin"),
    Person(LEAD, "Lea Der", "lead", "north"),
    Person(OTHER_LEAD, "Sou Th", "lead", "south"),
    Person(CSM, "Cas Mana", "csm", "north"),
    Person(OTHER_CSM, "Oth Er", "csm", "north"),
    Person(ANALYST, "Ana Lyst", "analyst"),
)
_keys = itertools.count(1)


@dataclass
class SetClock(SystemClock):
    """Stands still until it is moved."""

    instant: datetime = NOW

    def now(self) -> datetime:
        return self.instant

    def pass_days(self, days: float) -> None:
        self.instant += timedelta(days=days)


def packet(packet_id: str = "p-1", **changes: Any) -> IncomingPacket:
    """A packet of low value and medium severity, owned by the CSM, with two pieces of evidence."""
    plain = IncomingPacket(
        packet_id=packet_id,
        packet_hash="hash-1",
        account_id="acc_1",
        week=WEEK,
        as_of_at=datetime(2026, 11, 16, tzinfo=UTC),
        category="adoption",
        side="risk",
        severity="medium",
        owner_email=CSM,
        value_at_risk=Decimal("1200.00"),
        days_to_renewal=90,
        is_quiet=False,
        evidence=(("ev-1", "measured"), ("ev-2", "inferred_from_absence")),
        supporting_evidence=2,
        assumptions=(),
    )
    return replace(plain, **changes)


def add_people(ledger: Ledger) -> None:
    for person in PEOPLE:
        ledger.set_person(person, ADMIN)


def key() -> str:
    return f"key-{next(_keys)}"


def act(ledger: Ledger, action: str, actor: str = CSM, case_id: str = "p-1", **form: Any) -> Decision | Refusal:
    """Ask for something on the case as it is."""
    return ledger.decide(case_id, action, actor, ledger.case(case_id).version, key(), form)


def does(ledger: Ledger, action: str, actor: str = CSM, case_id: str = "p-1", **form: Any) -> Case:
    """Ask for something that must be possible."""
    result = act(ledger, action, actor, case_id, **form)
    assert isinstance(result, Decision), [rule.reason for rule in result.rules]
    return result.case


def refused(ledger: Ledger, action: str, actor: str = CSM, case_id: str = "p-1", **form: Any) -> list[str]:
    """Ask for something that must be refused; the ids of the rules that stop it."""
    result = act(ledger, action, actor, case_id, **form)
    assert isinstance(result, Refusal), f"{action} was not refused"
    return [rule.rule_id for rule in result.rules]


def until_proposed(ledger: Ledger, case_id: str = "p-1", severity: str = "medium", **form: Any) -> Case:
    """Detected, reviewed, severity confirmed, escalation decided, proposed by the CSM."""
    does(ledger, "start_review", case_id=case_id)
    does(ledger, "confirm_severity", case_id=case_id, severity=severity)
    if severity in {"high", "critical"}:
        does(ledger, "escalate", case_id=case_id, decision="not_needed", reason="known to the lead")
    values = {"mitigations": "training", "follow_up_on": "2026-12-01", **form}
    return does(ledger, "propose", case_id=case_id, **values)
