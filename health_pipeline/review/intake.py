"""The intake: published packets become cases, once per packet hash; one that changed materially voids approvals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.review.cases import SEVERITY_RANK, Case, substance_of
from health_pipeline.review.events import Draft
from health_pipeline.review.permissions import SYSTEM
from health_pipeline.review.states import EFFECTIVE

TAKEN_IN = "release_taken_in"
# What people said or wrote is new with each record; what is measured is read from another record each week.
OWN_RECORDS = "reported"


class PublishedRelease(Protocol):
    """What the intake needs of a release; `publication.releases.Release` is one."""

    @property
    def name(self) -> str:
        """The release's name."""

    @property
    def file(self) -> Path:
        """Its mart."""

    @property
    def published_weeks(self) -> tuple[Week, ...]:
        """Every week it holds, in order."""


@dataclass(frozen=True)
class IncomingPacket:
    """One published packet in one week, as far as the ledger needs it."""

    packet_id: str
    packet_hash: str
    account_id: str
    week: date
    as_of_at: datetime
    category: str
    side: str
    severity: str | None
    owner_email: str | None
    value_at_risk: Decimal | None
    days_to_renewal: int | None
    is_quiet: bool
    evidence_keys: tuple[str, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()
    supporting_evidence: int = 0
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intake:
    """What taking a release in did."""

    release: str
    weeks: tuple[date, ...]
    detected: int = 0
    rebuilt: int = 0
    returned_to_review: int = 0
    reopened: int = 0
    unchanged: int = 0


def read_packets(release: PublishedRelease, weeks: Sequence[Week]) -> list[IncomingPacket]:
    """Packets of a release's own file, by week and id.

    Parameters
    ----------
    weeks : the weeks to read
    """
    days = [week.monday for week in weeks]
    columns = ", ".join(_COLUMNS)
    with open_duckdb(release.file, read_only=True) as connection:
        packets = connection.execute(
            f"select {columns} from risk_packets where list_contains(?, week) order by week, packet_id", [days]
        ).fetchall()
        pieces = connection.execute(
            "select packet_id, week, evidence_id, subject, source_table, source_record_id, metric, direction, kind "
            "from risk_evidence where list_contains(?, week) order by week, packet_id, evidence_id",
            [days],
        ).fetchall()
    by_packet: dict[tuple[str, date], list[Any]] = {}
    for piece in pieces:
        by_packet.setdefault((piece[0], piece[1]), []).append(piece[2:])
    return [_incoming(dict(zip(_COLUMNS, row, strict=True)), by_packet.get((row[0], row[2]), ())) for row in packets]


_COLUMNS = (
    "packet_id",
    "packet_hash",
    "week",
    "account_id",
    "as_of_at",
    "category",
    "side",
    "severity",
    "owner_email",
    "value_at_risk",
    "days_to_renewal",
    "is_quiet",
)


def _incoming(row: Mapping[str, Any], pieces: Iterable[Any]) -> IncomingPacket:
    keys, evidence, supporting = set(), [], 0
    for evidence_id, subject, table, record, metric, direction, kind in pieces:
        keys.add(evidence_key(subject, table, record, metric, direction, kind))
        evidence.append((evidence_id, kind))
        supporting += direction == "supports"
    return IncomingPacket(
        **{
            **row,
            "as_of_at": row["as_of_at"].replace(tzinfo=UTC),
            "is_quiet": bool(row["is_quiet"]),
            "owner_email": row["owner_email"].lower() if row["owner_email"] else None,
        },
        evidence_keys=tuple(sorted(keys)),
        evidence=tuple(evidence),
        supporting_evidence=supporting,
    )


def evidence_key(subject: str, table: str, record: str, metric: str, direction: str, kind: str) -> str:
    """What makes a piece of evidence the same one next week.

    Its id holds the week, and what is measured is read from another record each week: so a measured piece is known by
    what it speaks of and against what, and only a reported one (a ticket, a note) by its record too.
    """
    parts = (subject, table, metric, direction, kind, record if kind == OWN_RECORDS else "")
    return "|".join(parts)


def drafts_of(case: Case | None, packet: IncomingPacket, release: str, now: datetime) -> list[Draft]:
    """The events a packet leaves: none where its hash is the case's already.

    A new case is detected. A changed packet is built again; where it changed materially, a case that is proposed or
    approved goes back to review, one that is deferred or awaits its outcome does so if the severity rose, and one that
    has ended is reopened: a closed one by new evidence or a higher severity, a dismissed one by the latter alone.
    """
    key = f"{packet.packet_id}:{packet.packet_hash}"
    if case is not None and case.packet_hash == packet.packet_hash:
        return []
    payload = _payload(packet, release)

    def draft(kind: str, version: int, additions: Mapping[str, Any]) -> Draft:
        # A packet may come back to a hash it had before: the version tells the two apart.
        name = f"intake:{hashlib.sha256(f'{kind}:{key}:{version}'.encode()).hexdigest()}"
        return Draft(kind, SYSTEM, now, {**payload, **additions}, packet.packet_id, version, packet.packet_hash, name)

    if case is None:
        return [draft("risk_detected", 1, {}), draft("packet_built", 1, {})]
    state = _state_after(case, packet)
    if state == "reopened":
        built = draft("packet_built", case.version + 1, {})
        return [built, draft("reopened", case.version + 2, {"state": "reopened", "cause": "packet_changed"})]
    return [draft("packet_built", case.version + 1, {"state": state} if state else {})]


def _state_after(case: Case, packet: IncomingPacket) -> str | None:
    has_risen = SEVERITY_RANK[packet.severity] > SEVERITY_RANK[case.suggested_severity]
    is_material = substance_of(packet.severity, packet.evidence_keys) != case.substance
    if case.state == "proposed" or case.state in EFFECTIVE:
        return "in_review" if is_material else None
    if case.state in {"deferred", "awaiting_outcome"}:
        return "in_review" if has_risen else None
    if case.state == "closed":
        is_new = bool(set(packet.evidence_keys) - set(case.evidence_keys))
        return "reopened" if has_risen or is_new else None
    return "reopened" if case.state == "dismissed" and has_risen else None


def _payload(packet: IncomingPacket, release: str) -> dict[str, Any]:
    return {
        "release": release,
        "account_id": packet.account_id,
        "week": packet.week.isoformat(),
        "as_of_at": packet.as_of_at.isoformat(),
        "category": packet.category,
        "side": packet.side,
        "severity": packet.severity,
        "owner_email": packet.owner_email,
        "value_at_risk": None if packet.value_at_risk is None else str(packet.value_at_risk),
        "days_to_renewal": packet.days_to_renewal,
        "is_quiet": packet.is_quiet,
        "supporting_evidence": packet.supporting_evidence,
        "evidence_keys": list(packet.evidence_keys),
        "evidence": [list(one) for one in packet.evidence],
        "assumptions": list(packet.assumptions),
    }
