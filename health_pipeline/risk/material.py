"""What a decision on a packet rests on: an approval holds for its hash, so what only grows older is left out."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from health_pipeline.policy.risk_review import RiskReviewPolicy
from health_pipeline.risk.model import Evidence
from health_pipeline.risk.packet import Packet

# A cause that is suspected, or of which nothing is known, is open either way.
SETTLED_CAUSES = ("corroborated", "confirmed", "refuted")
# The assumption that what was seen some time ago still holds; its stop rule is evidence_stale.
ONLY_OLDER = "still_holds"
# Metrics that grow by a day each day; where that matters another signal fires.
AGES = ("days_since_", "oldest_open_")


def material_content(packet: Packet, review: RiskReviewPolicy) -> dict[str, Any]:
    """What a decision rests on: the packet's hash changes when this does, and with nothing else.

    Ages, dates of reading, wording, contact counts, small moves of a measured value, measured values that speak against
    it, and whether a trace makes a cause suspected are left out: they come and go by the week. A reported record that
    is new, a value that moved by a step of the policy, another severity, settled cause or option are in.
    """
    steps = review.materiality
    # by how much a weak signal is met moves no decision: it opens nothing
    weak = {signal.signal_id for signal in packet.signals if signal.contribution == "low"}
    days = packet.facts.features.get("days_to_renewal")
    return {
        "packet_id": packet.packet_id,
        "side": packet.side,
        "is_quiet": packet.is_quiet,
        "categories": [packet.category, packet.runner_up_category],
        "signals": sorted([signal.signal_id, signal.contribution] for signal in packet.signals),
        "evidence": sorted(
            {_material_piece(piece, steps.gap_step, weak) for piece in packet.evidence if _is_stated(piece)}
        ),
        "missing": sorted([gap.what, gap.why] for gap in packet.missing),
        "goals": sorted([goal.record.source_record_id, goal.status, goal.is_overdue] for goal in packet.facts.goals),
        "stakeholders": sorted(
            [person.record.source_record_id, person.role or "", person.is_there] for person in packet.facts.stakeholders
        ),
        "contracts": sorted(
            [one.record.source_record_id, str(one.period_ends_on), str(one.ends_on)] for one in packet.facts.contracts
        ),
        "register": sorted([entry.record.source_record_id, entry.status] for entry in packet.facts.register),
        "causes": sorted([cause.cause_id, cause.status] for cause in packet.causes if cause.status in SETTLED_CAUSES),
        "assumptions": sorted(one.assumption_id for one in packet.assumptions if one.assumption_id != ONLY_OLDER),
        "inherent": [packet.inherent.likelihood, packet.inherent.impact],
        # what a person confirmed or whom a person made owner rests on the packet, and not the other way round
        "severity": packet.suggested_severity,
        "value": _value_band(packet.value_at_risk, steps.value_step),
        "renewal": None if days is None else sum(days > band for band in steps.renewal_bands),
        "owner": packet.facts.owner_email,
        # without signals the offer is what is left of lately, and shrinks by itself
        "options": sorted(option.playbook_id for option in packet.options) if packet.signals else [],
    }


def _is_stated(piece: Evidence) -> bool:
    """What supports it, and what somebody said against it: a measured value against it crosses its line any week."""
    return piece.direction == "supports" or piece.kind == "reported"


def _material_piece(piece: Evidence, gap_step: float, weak: Collection[str]) -> tuple[str, ...]:
    what = (piece.subject, piece.metric, piece.direction, piece.kind, piece.strength)
    if piece.direction == "contradicts":
        # that something speaks against it counts; by how much, and in how many records, moves each week
        return what
    if piece.kind == "reported" or piece.text_field is not None:
        return (*what, piece.source_system, piece.source_table, piece.source_record_id)
    if piece.subject in weak or piece.kind == "inferred_from_absence" or piece.metric.startswith(AGES):
        return what
    return (*what, _gap_band(piece, gap_step))


def _gap_band(piece: Evidence, step: float) -> str:
    if piece.gap is None or not piece.threshold:
        return ""
    return str(int(piece.gap / (abs(piece.threshold) * step)))


def _value_band(value: Decimal | None, step: float) -> int | None:
    """Bands that grow by the step, so that a band is the same share of a small and of a large amount."""
    if value is None:
        return None
    band, edge = 0, Decimal(100)
    while edge <= value:
        band, edge = band + 1, edge * Decimal(str(1 + step))
    return band
