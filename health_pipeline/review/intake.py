"""The intake: published packets become cases, once per packet hash; another hash voids approvals."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from health_pipeline.contract.case_states import EFFECTIVE
from health_pipeline.contract.clocks import Week
from health_pipeline.mart.connection import columns_of, open_duckdb
from health_pipeline.review.cases import SEVERITY_RANK, Case
from health_pipeline.review.database import LedgerError
from health_pipeline.review.events import Draft
from health_pipeline.review.fold import CUSTOMER_LEFT, PACKET_RENEWED
from health_pipeline.review.permissions import SYSTEM

TAKEN_IN = "release_taken_in"


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
    renewed: int = 0
    unchanged: int = 0
    drawn: int = 0
    left: int = 0


def read_packets(release: PublishedRelease, weeks: Sequence[Week]) -> list[IncomingPacket]:
    """Packets of a release's own file, by week and id.

    Parameters
    ----------
    weeks : the weeks to read

    Raises
    ------
    LedgerError
        If a packet has no hash: nothing could be approved on it.
    """
    days = [week.monday for week in weeks]
    with open_duckdb(release.file, read_only=True) as connection:
        there = columns_of(connection, "main", "risk_packets")
        # A column that is younger than the release is null in it.
        columns = ", ".join(name if name in there else f"null as {name}" for name in _COLUMNS)
        packets = connection.execute(
            f"select {columns} from risk_packets where list_contains(?, week) order by week, packet_id", [days]
        ).fetchall()
        pieces = connection.execute(
            "select packet_id, week, evidence_id, direction, kind from risk_evidence where list_contains(?, week) "
            "order by week, packet_id, evidence_id",
            [days],
        ).fetchall()
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in packets]
    if without := [row["packet_id"] for row in rows if not row["packet_hash"]]:
        raise LedgerError(
            f"{len(without)} packets of {release.name} have no packet_hash, such as {without[0]}; nothing can be "
            "approved on them: run the week again with `--restate`, so that its packets are built whole."
        )
    by_packet: dict[tuple[str, date], list[Any]] = {}
    for piece in pieces:
        by_packet.setdefault((piece[0], piece[1]), []).append(piece[2:])
    return [_incoming(row, by_packet.get((row["packet_id"], row["week"]), ())) for row in rows]


@dataclass(frozen=True)
class Reviewed:
    """The accounts that a week reviewed; who has no contract any more is not among them."""

    week: Week
    accounts: Collection[str]


def read_reviewed(release: PublishedRelease) -> Reviewed:
    """Of the release's newest week."""
    newest = release.published_weeks[-1]
    query = "select account_id from account_health_weekly where week = ?"
    with open_duckdb(release.file, read_only=True) as connection:
        rows = connection.execute(query, [newest.monday]).fetchall()
    return Reviewed(newest, frozenset(account for (account,) in rows))


def left_draft(case: Case, week: Week, release: str, now: datetime) -> Draft:
    """The event of a customer who is reviewed no more: the case is proposed for closing, and a person closes it."""
    key = f"{CUSTOMER_LEFT}:{case.case_id}:{week}"
    name = f"intake:{hashlib.sha256(key.encode()).hexdigest()}"
    payload = {"release": release, "week": str(week)}
    return Draft(CUSTOMER_LEFT, SYSTEM, now, payload, case.case_id, case.version, case.packet_hash, name)


_COLUMNS = (
    "packet_id",
    "packet_hash",
    "week",
    "account_id",
    "as_of_at",
    "category",
    "side",
    "severity",
    "severity_status",
    "suggested_severity",
    "owner_email",
    "value_at_risk",
    "days_to_renewal",
    "is_quiet",
    "assumptions",
)


def _incoming(row: Mapping[str, Any], pieces: Iterable[Any]) -> IncomingPacket:
    found = list(pieces)
    row = dict(row)
    suggested, status = row.pop("suggested_severity"), row.pop("severity_status")
    # what a person confirmed came from here: taken in as a suggestion it would look like a risk that has risen
    row["severity"] = suggested if status == "confirmed" else row["severity"]
    assumptions = (part.strip() for part in (row["assumptions"] or "").split(","))
    return IncomingPacket(
        **{
            **row,
            "as_of_at": row["as_of_at"].replace(tzinfo=UTC),
            "is_quiet": bool(row["is_quiet"]),
            "owner_email": row["owner_email"].lower() if row["owner_email"] else None,
            "assumptions": tuple(part for part in assumptions if part),
        },
        evidence=tuple((evidence_id, kind) for evidence_id, _, kind in found),
        supporting_evidence=sum(direction == "supports" for _, direction, _ in found),
    )


def drafts_of(case: Case | None, packet: IncomingPacket, release: str, now: datetime) -> list[Draft]:
    """The events a packet leaves: none where its hash is the case's already, in that week or before.

    A new case is detected. The same hash in a newer week renews the packet: its clocks and the ids of its evidence, and
    nothing that anybody decided on. Another hash means that what a decision rests on is another (the risk room leaves
    ages, clocks and small moves out of it), so a case that is proposed or approved goes back to review. One that is
    deferred or awaits its outcome does so only if the severity rose; one that has ended is reopened only then.
    """
    key = f"{packet.packet_id}:{packet.packet_hash}"
    if case is not None and case.packet_hash == packet.packet_hash:
        if packet.week <= case.week or case.has_ended:
            return []
        renewed = f"renewed:{key}:{packet.week}"
        return [
            Draft(
                PACKET_RENEWED,
                SYSTEM,
                now,
                _payload(packet, release),
                packet.packet_id,
                case.version,
                packet.packet_hash,
                f"intake:{hashlib.sha256(renewed.encode()).hexdigest()}",
            )
        ]
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
    if case.state == "proposed" or case.state in EFFECTIVE:
        return "in_review"
    if SEVERITY_RANK[packet.severity] <= SEVERITY_RANK[case.suggested_severity]:
        return None
    if case.state in {"deferred", "awaiting_outcome"}:
        return "in_review"
    return "reopened" if case.state in {"closed", "dismissed"} else None


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
        "evidence": [list(one) for one in packet.evidence],
        "assumptions": list(packet.assumptions),
    }
