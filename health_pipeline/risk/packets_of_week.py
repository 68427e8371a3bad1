"""The packets of a week: facts and quoted texts read, packets built and stored, and their rows for the mart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.account_facts import Decided, RecordKey
from health_pipeline.mart.packet_facts import read_account_facts
from health_pipeline.mart.quoted_texts import read_quoted_texts
from health_pipeline.observability.workers import Workers
from health_pipeline.risk.history import EpisodeHistory
from health_pipeline.risk.model import Evidence, Risk
from health_pipeline.risk.packet_building import PacketPolicy, build_packets
from health_pipeline.risk.packet_rows import mart_row
from health_pipeline.risk.restricted import store_packets
from health_pipeline.settings import Settings


@dataclass(frozen=True)
class WeekPackets:
    """What a week's packets became.

    Attributes
    ----------
    rows : risk_packets of the week
    unverified : packets whose brief did not verify, each with its problems in words of our own; no body of them was
        stored, so the audit holds the release
    """

    rows: pa.Table
    unverified: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def packets_of_week(
    settings: Settings,
    risks: Sequence[Risk],
    week: Week,
    policy: PacketPolicy,
    history: EpisodeHistory,
    decided: Decided,
    second: Workers | None = None,
) -> WeekPackets:
    """Build and store the packets of a week, and take them into the history of the weeks after.

    Parameters
    ----------
    settings : where state lives
    risks : of that week
    policy : the documents; where it is not ready there are no packets
    history : earlier packets
    decided : what people decided, as the week knew it
    second : verifies the briefs of many packets beside this process
    """
    schema = mart_tables()["risk_packets"].arrow_schema
    if not risks:
        return WeekPackets(schema.empty_table())
    facts = read_account_facts(settings, ((risk.account_id, week) for risk in risks), policy.review.sentiment_weeks)
    quoted = [(record_of(one), one.text_field) for risk in risks for one in risk.evidence if one.text_field]
    texts = read_quoted_texts(settings, quoted)
    known = {
        place: replace(one, episodes=history.of(one.account_id), texts=texts, decided=decided)
        for place, one in facts.items()
    }
    packets = build_packets(risks, known, policy)
    stored = store_packets(settings, packets, second)
    rows, unverified = [], {}
    for packet in packets:
        found = stored[(packet.packet_id, packet.week.isoformat())]
        rows.append({**mart_row(packet), "body_sha256": found.body_sha256})
        if found.problems:
            unverified[packet.packet_id] = tuple(problem.said for problem in found.problems)
    history.add(rows)
    return WeekPackets(pa.Table.from_pylist(rows, schema=schema), unverified)


def record_of(piece: Evidence) -> RecordKey:
    """The landed record of a piece of evidence."""
    return RecordKey(
        piece.source_kind,
        piece.source_system,
        piece.source_instance,
        piece.source_table,
        piece.source_record_id,
        piece.load_id,
    )
