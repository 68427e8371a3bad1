"""Small risks and facts by hand for packet tests: an account that logs in each week and whose sponsor stays away."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from health_pipeline.contract.content import canonical_json
from health_pipeline.mart.account_facts import (
    AccountFacts,
    Contract,
    Goal,
    RecordKey,
    RecordText,
    RegisterEntry,
    SentimentWeek,
    Stakeholder,
)
from health_pipeline.policy.playbooks import load_playbooks
from health_pipeline.policy.risk_review import load_risk_review
from health_pipeline.risk.body import PacketBody, plain_citations
from health_pipeline.risk.brief import render, write_brief
from health_pipeline.risk.citations import citations_of
from health_pipeline.risk.model import BenignCheck, Evidence, FiredSignal, Reading, Risk
from health_pipeline.risk.packet import Packet
from health_pipeline.risk.packet_building import PacketPolicy
from health_pipeline.risk.phrasing import shown
from health_pipeline.risk.rating import SignalWords

WEEK = date(2026, 11, 9)
AS_OF = datetime(2026, 11, 16)
KNOWN = AS_OF + timedelta(hours=6)
ACCOUNT = "acc_000000000001"
SIGNALS = {
    "logins_fell": SignalWords("Use fell", "adoption", "medium", ("adoption_review",)),
    "meetings_missed": SignalWords("A sponsor stays away", "sponsor_stakeholder", "medium", ("stakeholder_review",)),
    "backlog": SignalWords("Tickets are open", "support", "high", ("support_review",)),
    "silent": SignalWords("No touch", "engagement_silence", "medium", ("stakeholder_review",)),
    "notice_given": SignalWords("A notice is on record", "renewal_posture", "critical", ("retention_terms",)),
    "seats_full": SignalWords("Seats are full", "expansion", "medium", ("expansion_case",)),
}


@dataclass(frozen=True)
class ExampleBrief:
    """What the verifier is given."""

    lines: tuple[tuple[str, str], ...]
    facts: Mapping[str, Mapping[str, Any]]
    texts: Callable[[str, str], str | None]


def policy(**review: Any) -> PacketPolicy:
    """The built-in documents, with parts of risk_review.yaml replaced."""
    return PacketPolicy(
        load_risk_review(None).model.model_copy(update=review),
        load_playbooks(None).model,
        "USD",
        "p0",
        Decimal(50000),
        SIGNALS,
    )


def piece(name: str, subject: str, metric: str, value: float | None, **more: Any) -> Evidence:
    """One piece of measured evidence of use, ten days old, unless told otherwise."""
    fields: dict[str, Any] = {
        "evidence_id": name,
        "account_id": ACCOUNT,
        "week": WEEK,
        "subject": subject,
        "source_kind": "usage",
        "source_system": "demo_usage",
        "source_instance": "default",
        "source_table": "usage_event",
        "source_record_id": f"rec-{name}",
        "load_id": "20261109T000000-aaaa",
        "metric": metric,
        "value": value,
        "baseline": None,
        "threshold": None,
        "gap": None,
        "observed_at": AS_OF - timedelta(days=10),
        "available_at": AS_OF - timedelta(days=9),
        "as_of_at": AS_OF,
        "known_at": KNOWN,
        "age_days": 10,
        "direction": "supports",
        "kind": "measured",
        "strength": "medium",
        "text_field": None,
        "span_start": None,
        "span_end": None,
        "query_hash": "q0",
    }
    return Evidence(**(fields | more))


def use_fell(value: float = -0.42) -> Evidence:
    """Use fell by 42 % where 30 % is the line."""
    return piece("u1", "logins_fell", "usage_change_share_4w", value, threshold=-0.3, gap=value + 0.3)


def stays_away(**more: Any) -> Evidence:
    """A meeting the champion was invited to and did not attend."""
    crm = {"source_kind": "crm", "source_system": "demo_crm", "source_table": "crm_contact"}
    return piece("m1", "meetings_missed", "has_active_champion", 0.0, **(crm | more))


def signal(name: str, *evidence_ids: str, **more: Any) -> FiredSignal:
    """A signal of `SIGNALS` that fired in this week for the first time."""
    words = SIGNALS[name]
    fields: dict[str, Any] = {
        "signal_id": name,
        "category": words.category,
        "contribution": words.contribution,
        "patterns": (),
        "readings": (Reading("usage_change_share_4w", "<=", -0.3, -0.42),),
        "evidence_ids": evidence_ids,
        "against_ids": (),
        "benign": (),
        "first_fired_week": WEEK,
        "weeks_fired": 1,
    }
    return FiredSignal(**(fields | more))


def risk(*signals: FiredSignal, evidence: tuple[Evidence, ...] = (), **more: Any) -> Risk:
    """A risk of the account in its first week."""
    fields: dict[str, Any] = {
        "packet_id": "pkt_1",
        "account_id": ACCOUNT,
        "week": WEEK,
        "as_of_at": AS_OF,
        "known_at": KNOWN,
        "side": "risk",
        "episode": 1,
        "opened_week": WEEK,
        "last_fired_week": WEEK,
        "occurrences": 1,
        "is_quiet": False,
        "signals": signals,
        "evidence": evidence,
        "missing": (),
    }
    return Risk(**(fields | more))


def sponsor_risk() -> Risk:
    """The case to get right: use goes on, the champion stays away, a ticket speaks of a workaround."""
    ticket = piece(
        "t1",
        "backlog",
        "workaround",
        None,
        source_kind="support",
        source_system="demo_support",
        source_table="support_ticket",
        source_record_id="T-7",
        kind="reported",
        text_field="body",
        span_start=3,
        span_end=20,
    )
    against = piece("a1", "touched_lately", "days_since_last_two_way_touch", 5.0, direction="contradicts")
    season = piece("b1", "season", "usage_change_share_4w", -0.4, direction="contradicts")
    benign = (BenignCheck("season", "does_not_fit", ("b1",)), BenignCheck("migration", "unknown"))
    return risk(
        signal("backlog", "t1"),
        signal("logins_fell", "u1", benign=benign),
        signal("meetings_missed", "m1", against_ids=("a1",)),
        evidence=(against, season, stays_away(), ticket, use_fell()),
        missing=(("sentiment", "missing"),),
    )


def record(table: str, name: str, kind: str = "cs") -> RecordKey:
    """A landed record of the demo's systems."""
    return RecordKey(kind, f"demo_{kind}", "default", table, name, "20261109T000000-aaaa")


def facts(**more: Any) -> AccountFacts:
    """What is known of the account: one overdue goal, a champion who stays away, a contract of 60,000."""
    goal, contact = record("cs_goal", "goal-1"), record("crm_contact", "con-1", "crm")
    entry, contract = record("risk", "R-1", "risk"), record("billing_subscription", "sub-1", "billing")
    features = {
        "account_id": ACCOUNT,
        "week": WEEK,
        "arr_reporting": Decimal("60000.00"),
        "days_to_renewal": 80,
        "owner_email": "ana@example.com",
        "usage_change_share_4w": -0.42,
        "open_backlog": 4,
        "overdue_goals": 1,
        "active_users_28d": 22,
    }
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "week": WEEK,
        "account_name": "Silvermill Logistics",
        "owner_email": "ana@example.com",
        "features": features,
        "features_before": {**features, "week": WEEK - timedelta(days=7), "open_backlog": 2, "active_users_28d": 30},
        "health": {"effective_tier": "watch"},
        "health_before": {"effective_tier": "healthy"},
        "week_before": WEEK - timedelta(days=7),
        "goals": (
            Goal(
                goal,
                RecordText(goal, "name", "Close the month in three days"),
                RecordText(goal, "unit", "days"),
                "at_risk",
                is_achieved=False,
                is_overdue=True,
                baseline_value=8.0,
                target_value=3.0,
                current_value=4.1,
                due_date=date(2026, 9, 30),
                last_validated_at=datetime(2026, 8, 3, 9, 0),
            ),
        ),
        "stakeholders": (
            Stakeholder(
                contact,
                RecordText(contact, "full_name", "Jana Eriksen"),
                RecordText(contact, "title", "Head of Finance"),
                "champion",
                is_there=True,
                left_on=None,
                last_two_way_at=datetime(2026, 9, 14, 10, 0),
                meetings_missed=3,
            ),
        ),
        "contracts": (Contract(contract, date(2027, 2, 4), is_auto_renewing=True, ends_on=None),),
        "register": (
            RegisterEntry(
                entry,
                RecordText(entry, "title", "Sponsor is stretched"),
                "sponsor_stakeholder",
                "open",
                3,
                4,
                date(2026, 7, 1),
                None,
            ),
        ),
        "sentiment": tuple(
            SentimentWeek(WEEK - timedelta(weeks=back), pulse, None, None)
            for back, pulse in ((2, 4.0), (1, 3.0), (0, 2.0))
        ),
        "texts": {
            (record("support_ticket", "T-7", "support"), "body"): RecordText(
                record("support_ticket", "T-7", "support"), "body", "We use a workaround for the export each month."
            )
        },
    }
    return AccountFacts(**(fields | more))


def by_place(*known: AccountFacts) -> dict[tuple[str, date], AccountFacts]:
    """Facts as `build_packets` wants them."""
    return {(one.account_id, one.week): one for one in known}


def a_week_later(known: AccountFacts, later: Risk) -> tuple[AccountFacts, Risk]:
    """The same account and risk one week on, with nothing new but ages, loads and days."""
    week = later.week + timedelta(days=7)
    older = tuple(
        replace(
            one,
            evidence_id=f"{one.evidence_id}-later",
            week=week,
            as_of_at=one.as_of_at + timedelta(days=7),
            known_at=one.known_at + timedelta(days=7),
            age_days=one.age_days + 7,
            load_id="20261116T000000-bbbb",
        )
        for one in later.evidence
    )

    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{name}-later" for name in names)

    signals = tuple(
        replace(
            one,
            evidence_ids=renamed(one.evidence_ids),
            against_ids=renamed(one.against_ids),
            benign=tuple(replace(check, evidence_ids=renamed(check.evidence_ids)) for check in one.benign),
            weeks_fired=one.weeks_fired + 1,
        )
        for one in later.signals
    )
    moved = replace(
        later,
        week=week,
        as_of_at=later.as_of_at + timedelta(days=7),
        known_at=later.known_at + timedelta(days=7),
        last_fired_week=week,
        occurrences=later.occurrences + 1,
        signals=signals,
        evidence=older,
    )
    features = {**known.features, "week": week, "days_to_renewal": known.features["days_to_renewal"] - 7}
    return replace(known, week=week, features=features, features_before=known.features, week_before=later.week), moved


def example_brief(packet: Packet) -> ExampleBrief:
    """The packet's brief as a reader sees it, with its facts as the body holds them and its texts."""
    citations = citations_of(packet)
    by_label = {one.label: one for one in citations}

    def text_of(label: str, slot: str) -> str | None:
        found = by_label[label].texts[slot]
        return shown(found.text.text[found.start : found.end])

    lines = tuple((one.section, render(one.line, text_of)) for one in write_brief(citations))
    return ExampleBrief(lines, plain_citations(citations), text_of)


def with_other_brief(right: Callable[[Packet], PacketBody], change: Callable[[dict[str, Any]], None]) -> Any:
    """`body_of` with something changed in what it gives."""

    def wrong(packet: Packet) -> PacketBody:
        body = right(packet)
        changed = json.loads(body.text)
        change(changed)
        return replace(body, text=canonical_json(changed))

    return wrong
