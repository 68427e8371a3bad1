"""Explains a risk packet: its row, each piece of evidence with its landed record, and the brief for who may read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.account_facts import RecordKey
from health_pipeline.mart.landed_rows import read_landed_rows
from health_pipeline.mart.published import read_published
from health_pipeline.policy.wording import describe, describe_against, readable
from health_pipeline.risk.restricted import brief_lines, read_body
from health_pipeline.settings import Settings

_PACKET_ID = re.compile(r"[0-9a-f]{32}")
NO_BODY = "the packet's body is not in the restricted store of this machine"
NOT_READABLE = "the restricted store is not readable by this user"
_HEADER = (
    "account_id", "week", "side", "episode", "opened_week", "category", "runner_up_category", "likelihood", "impact",
    "severity", "severity_status", "state", "value_at_risk", "currency", "owner_email", "escalation_role", "respond_by",
    "mitigation_options", "assumptions", "stop_rules", "missing_domains", "packet_hash",
)  # fmt: skip


@dataclass(frozen=True)
class ExplainedPiece:
    """A piece of evidence as published, and the landed record behind it; None where this machine does not have it."""

    evidence: Mapping[str, Any]
    record: Mapping[str, Any] | None


@dataclass(frozen=True)
class ExplainedPacket:
    """What a packet says.

    Attributes
    ----------
    row : of risk_packets
    brief : heading and sentence, with names and quotes; None where `no_brief` says why
    """

    row: Mapping[str, Any]
    pieces: tuple[ExplainedPiece, ...]
    brief: tuple[tuple[str, str], ...] | None
    no_brief: str = ""


def is_packet_id(asked: str) -> bool:
    """Whether the text is the id of a packet, not of an account."""
    return _PACKET_ID.fullmatch(asked) is not None


def explain_packet(settings: Settings, packet_id: str, week: Week | None = None) -> ExplainedPacket:
    """Explain a packet of the current release.

    Parameters
    ----------
    settings : where state lives
    packet_id : 32 hexadecimal digits
    week : a published week; None takes the packet's newest

    Raises
    ------
    LookupError
        If the release has no such packet, or not in that week.
    """
    rows = [row for row in read_published(settings, "risk_packets").to_pylist() if row["packet_id"] == packet_id]
    if week is not None:
        rows = [row for row in rows if row["week"] == week.monday]
    if not rows:
        when = f" in the week of {week}" if week else ""
        raise LookupError(f"The release has no packet {packet_id}{when}; see the ids in risk_packets.")
    row = max(rows, key=lambda one: one["week"])
    evidence = [
        one
        for one in read_published(settings, "risk_evidence", weeks=[Week(row["week"])]).to_pylist()
        if one["packet_id"] == packet_id
    ]
    keys = {one["evidence_id"]: _record(one) for one in evidence}
    records = read_landed_rows(settings, keys.values())
    pieces = tuple(ExplainedPiece(one, records.get(keys[one["evidence_id"]])) for one in evidence)
    brief, why = _brief(settings, row)
    return ExplainedPacket(row, pieces, brief, why)


def _record(one: Mapping[str, Any]) -> RecordKey:
    return RecordKey(
        one["source_kind"],
        one["source_system"],
        one["source_instance"],
        one["source_table"],
        one["source_record_id"],
        one["load_id"],
    )


def _brief(settings: Settings, row: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...] | None, str]:
    if row["body_sha256"] is None or not settings.restricted.is_dir():
        return None, NO_BODY
    try:
        body = read_body(settings.restricted, row["body_sha256"])
        return (None, NO_BODY) if body is None else (tuple(brief_lines(settings.restricted, body)), "")
    except PermissionError:
        return None, NOT_READABLE


def packet_lines(explained: ExplainedPacket) -> Iterator[str]:
    """The explanation as lines of plain text."""
    row = explained.row
    yield f"Packet {row['packet_id']}"
    for name in _HEADER:
        if row[name] is not None:
            yield f"  {name.replace('_', ' '):<22} {row[name]}"
    yield ""
    if explained.brief is None:
        yield f"No brief: {explained.no_brief}."
    heading = ""
    for section, line in explained.brief or ():
        if section != heading:
            heading = section
            yield ""
            yield heading
        yield f"  {line}"
    yield ""
    yield f"Evidence, {len(explained.pieces)} pieces"
    for piece in explained.pieces:
        yield from _piece_lines(piece)


def _piece_lines(piece: ExplainedPiece) -> Iterator[str]:
    one = piece.evidence
    says = describe_against if one["direction"] == "contradicts" else describe
    said = readable(one["metric"]) if one["value"] is None else says(one["metric"], one["value"])
    yield f"  {one['direction']}, {one['kind'].replace('_', ' ')}, {one['strength']}: {said} ({one['subject']})"
    place = "/".join(one[f"source_{part}"] for part in ("system", "instance", "table", "record_id"))
    yield (
        f"    {place}, load {one['load_id']}, happened "
        f"{one['observed_at']:%Y-%m-%d %H:%M}, known {one['available_at']:%Y-%m-%d %H:%M}"
    )
    if one["text_field"] is not None:
        yield f"    quote: {one['text_field']}, characters {one['span_start']} to {one['span_end']}"
    if piece.record is None:
        yield "    its landed record is not on this machine"
        return
    known = [f"{name}={value}" for name, value in piece.record.items() if value is not None]
    yield f"    landed: {', '.join(known)}"


def packet_json(explained: ExplainedPacket) -> str:
    """The explanation as JSON: rows and records as they are, dates in ISO 8601."""
    content = {
        "packet": explained.row,
        "evidence": [{**piece.evidence, "landed_record": piece.record} for piece in explained.pieces],
        "brief": None if explained.brief is None else [{"section": a, "line": b} for a, b in explained.brief],
        "no_brief": explained.no_brief,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
