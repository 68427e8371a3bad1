"""Hand-made features, records and policies for the tests of the risk room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.risk_signals import Comparison, CounterEvidence, RiskSignal, RiskSignalPolicy
from health_pipeline.risk.episodes import Ended, EpisodesBefore
from health_pipeline.risk.evidence import LandedRecord
from health_pipeline.risk.weekly import ReviewedWeek, RiskInputs, review_weeks

MONDAY = date(2026, 3, 9)
AS_OF = datetime(2026, 3, 16)
KNOWN = AS_OF + timedelta(hours=6)
DOMAINS = ("commercial", "payment", "usage", "support", "engagement", "sentiment", "outcomes", "risk")
FEATURES = mart_tables()["account_features_weekly"].arrow_schema


def features(*rows: Mapping[str, Any]) -> pa.Table:
    """Rows of account_features_weekly: all domains measured, what is not given unknown; accounts a, b, c ..."""
    full = [
        {
            "account_id": "abcdefgh"[place],
            "week": MONDAY,
            "as_of_at": AS_OF,
            "known_at": KNOWN,
            **{f"{domain}_status": "measured" for domain in DOMAINS},
            **row,
        }
        for place, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(full, schema=FEATURES)


def signal(
    name: str, feature: str, comparator: Any, threshold: float, *, category: Any = "support", **given: Any
) -> RiskSignal:
    """A signal of one comparison, medium, on open tickets unless said otherwise."""
    return RiskSignal(
        id=name,
        title=f"What was observed: {name}",
        category=category,
        when=(Comparison(feature=feature, comparator=comparator, threshold=threshold),),
        **{"evidence": ("open_tickets",), "contribution": "medium", "playbooks": ("account_review",), **given},
    )


def policy(*signals: RiskSignal, counter: Sequence[tuple[Any, ...]] = (), **given: Any) -> RiskSignalPolicy:
    """A policy of these signals alone: the rule that every category has one is for documents."""
    speaking = tuple(
        CounterEvidence(
            id=name,
            when=(Comparison(feature=feature, comparator=comparator, threshold=threshold),),
            evidence=(record_set,),
            against=against,
        )
        for name, feature, comparator, threshold, record_set, against in counter
    )
    values: dict[str, Any] = {
        "opens_at": "low",
        "quiet_weeks": 4,
        "combine_within_days": 30,
        "renewal_near_days": 120,
        "path_weeks": 8,
        "records_per_set": 3,
        "benign_explanations": (),
        **given,
    }
    return RiskSignalPolicy.model_construct(signals=signals, counter_evidence=speaking, **values)


def record(
    record_set: str, name: str, days: int = 5, value: float | None = None, account: str = "a", **given: Any
) -> LandedRecord:
    """A landed record of a set, that happened so many days before the week's end."""
    values: dict[str, Any] = {
        "week": MONDAY,
        "as_of_at": AS_OF,
        "known_at": KNOWN,
        "observed_at": AS_OF - timedelta(days=days),
        "available_at": AS_OF - timedelta(days=days),
        **given,
    }
    return LandedRecord(
        account_id=account,
        record_set=record_set,
        source_kind="support",
        source_system="desk",
        source_instance="default",
        source_table="support_ticket",
        source_record_id=name,
        load_id="load-1",
        value=value,
        **values,
    )


def review(
    rules: RiskSignalPolicy,
    *rows: Mapping[str, Any],
    records: Mapping[str, Sequence[LandedRecord]],
    weeks: Sequence[date] = (MONDAY,),
    before: EpisodesBefore | None = None,
    ended: Ended | None = None,
    taken_up: Ended | None = None,
    not_applicable: tuple[str, ...] = (),
) -> list[ReviewedWeek]:
    """Review weeks on hand-made features; the records are there in every week."""

    def records_of(week: Week, accounts: Sequence[str]) -> dict[str, dict[str, list[LandedRecord]]]:
        found: dict[str, dict[str, list[LandedRecord]]] = {}
        for account in accounts:
            for one in records.get(account, ()):
                found.setdefault(account, {}).setdefault(one.record_set, []).append(one)
        return found

    inputs = RiskInputs(
        features=features(*rows),
        records_of=records_of,
        before=before or EpisodesBefore([], weeks[0]),
        policy=rules,
        not_applicable_domains=not_applicable,
        query_hash="query",
        ended=ended or {},
        taken_up=taken_up or {},
    )
    return list(review_weeks(inputs, [Week(week) for week in weeks]))
