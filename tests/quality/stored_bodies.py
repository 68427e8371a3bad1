"""Gives the packets of a made-up mart the bodies that the restricted store would hold."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from packet_examples import by_place, facts, piece, policy, risk, signal

from health_pipeline.risk.model import Evidence, Reading
from health_pipeline.risk.packet_building import build_packets
from health_pipeline.risk.restricted import store_packets
from health_pipeline.settings import Settings

_OPEN_TICKETS = Reading("open_backlog", ">=", 3, 4.0)


def with_stored_bodies(settings: Settings, tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables, with hash and address of a body for each packet; the bodies are in the store."""
    packets = tables["risk_packets"]
    evidence = tables["risk_evidence"].to_pylist()
    rows = packets.to_pylist()
    risks, known = [], []
    for row in rows:
        of_packet = [e for e in evidence if (e["packet_id"], e["week"]) == (row["packet_id"], row["week"])]
        pieces = tuple(_piece(row, one) for one in of_packet)
        own = {"account_id": row["account_id"], "week": row["week"]}
        fired = signal("backlog", *(one.evidence_id for one in pieces), readings=(_OPEN_TICKETS,))
        clock = {"as_of_at": row["as_of_at"], "known_at": row["known_at"]}
        risks.append(risk(fired, evidence=pieces, packet_id=row["packet_id"], **own, **clock))
        features = {**facts().features, **own}
        before = {**features, "week": row["week"] - timedelta(days=7)}
        known.append(facts(**own, features=features, features_before=before, week_before=before["week"], sentiment=()))
    built = build_packets(risks, by_place(*known), policy())
    stored = store_packets(settings, built)
    hashes = {(packet.packet_id, str(packet.week)): packet.packet_hash for packet in built}
    for row in rows:
        place = (row["packet_id"], str(row["week"]))
        row["packet_hash"], row["body_sha256"] = hashes[place], stored[place].body_sha256
    return {**tables, "risk_packets": pa.Table.from_pylist(rows, schema=packets.schema)}


def _piece(packet: dict[str, Any], row: dict[str, Any]) -> Evidence:
    moments: dict[str, datetime] = {name: row[name] for name in ("observed_at", "available_at")}
    return piece(
        row["evidence_id"],
        "backlog",
        "open_backlog",
        4.0,
        account_id=packet["account_id"],
        week=packet["week"],
        threshold=3.0,
        gap=1.0,
        as_of_at=packet["as_of_at"],
        known_at=packet["known_at"],
        age_days=row["age_days"],
        source_kind="support",
        source_system="demo_support",
        source_table="support_ticket",
        **moments,
    )
