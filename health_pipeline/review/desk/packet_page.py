"""The packet as its page shows it: what was published, and the words of the restricted store for who may read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from health_pipeline.policy.wording import describe, describe_against, readable
from health_pipeline.review.cases import Assumption, Case, Cause
from health_pipeline.review.desk.history import ERASED, HIDDEN
from health_pipeline.review.desk.packet_brief import PacketBrief, read_brief
from health_pipeline.review.desk.published_packets import PieceOfEvidence, PublishedPacket
from health_pipeline.review.desk.visits import Desk, Visit
from health_pipeline.risk.phrasing import amount

KIND_WORDS = {
    "measured": "measured",
    "reported": "reported",
    "inferred_from_absence": "inferred from absence: confirms nothing",
    "model": "by a model",
}


@dataclass(frozen=True)
class ShownPiece:
    """A piece of evidence and its words: `quote` where there is one and this reader may see it, else why not."""

    piece: PieceOfEvidence
    says: str
    link: str = ""
    quote: str | None = None
    quote_instead: str = ""
    line: str = ""


@dataclass(frozen=True)
class PacketView:
    """Everything the page says of a packet apart from the forms.

    Attributes
    ----------
    row_is_published : False where the newest release does not have the packet's week
    missing : what could not be read
    """

    account_name: str
    row_is_published: bool
    may_read_notes: bool
    pieces: tuple[ShownPiece, ...] = ()
    missing: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    runner_up: str | None = None
    likelihood: int | None = None
    impact: int | None = None
    currency: str = ""
    has_only_absence: bool = False
    respond_by: date | None = None
    escalation_role: str | None = None
    options: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    renewal_on: date | None = None
    brief: PacketBrief = field(default_factory=PacketBrief)

    @property
    def supporting(self) -> list[ShownPiece]:
        """What speaks for it."""
        return [one for one in self.pieces if one.piece.direction == "supports"]

    @property
    def contradicting(self) -> list[ShownPiece]:
        """What speaks against it."""
        return [one for one in self.pieces if one.piece.direction != "supports"]


def packet_view(desk: Desk, visit: Visit, case: Case, packet: PublishedPacket | None) -> PacketView:
    """What is shown of a case's packet to this person."""
    may_read = visit.may("read_notes", case.owner_email)
    renewal = None
    if case.days_to_renewal is not None:
        renewal = case.as_of_at.date() + timedelta(days=case.days_to_renewal)
    if packet is None:
        return PacketView(
            desk.published.name(case.account_id),
            False,
            may_read,
            causes=case.causes,
            assumptions=case.assumptions,
            renewal_on=renewal,
        )
    row = packet.row
    brief = read_brief(desk.published.settings.restricted, row.get("body_sha256"), may_read)
    return PacketView(
        desk.published.name(case.account_id),
        True,
        may_read,
        tuple(_shown(desk, piece, may_read, brief) for piece in packet.evidence),
        tuple(packet.listed("missing_domains")),
        tuple(packet.listed("signals")),
        tuple(packet.listed("patterns")),
        row.get("runner_up_category"),
        row.get("likelihood"),
        row.get("impact"),
        row.get("currency") or "",
        bool(row.get("has_only_absence")),
        row.get("respond_by"),
        row.get("escalation_role"),
        tuple(packet.listed("mitigation_options")),
        case.causes,
        case.assumptions,
        renewal,
        brief,
    )


def _shown(desk: Desk, piece: PieceOfEvidence, may_read: bool, brief: PacketBrief) -> ShownPiece:
    link = desk.settings.record_links.get(piece.source_system, "").replace("{record}", piece.source_record_id)
    quote = brief.quotes.get(piece.evidence_id) if may_read else None
    instead = ""
    if piece.text_field is not None and quote is None:
        instead = HIDDEN if not may_read else ERASED
    line = "" if piece.threshold is None else amount(piece.metric, piece.threshold)
    return ShownPiece(piece, _says(piece), link, quote, instead, line)


def _says(piece: PieceOfEvidence) -> str:
    if piece.value is None:
        return readable(piece.metric)
    says = describe_against if piece.direction == "contradicts" else describe
    return says(piece.metric, piece.value)
