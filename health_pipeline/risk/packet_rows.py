"""A packet as its row of the mart: ids, metrics and counts; no quote, no person's name, no brief."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from health_pipeline.contract.mart import mart_tables
from health_pipeline.risk.packet import Packet
from health_pipeline.risk.rating import has_only_absence, supporting


def mart_row(packet: Packet) -> dict[str, Any]:
    """The packet's row of risk_packets: ids, metrics and counts; no quote, no person's name, no brief.

    Its place in the exception queue is None: the queue is made of all packets of a week.
    """
    pieces = supporting(packet.evidence)
    own = {
        "category": packet.category,
        "signals": joined(signal.signal_id for signal in packet.signals),
        "patterns": joined(dict.fromkeys(name for signal in packet.signals for name in signal.patterns)),
        "likelihood": packet.inherent.likelihood,
        "impact": packet.inherent.impact,
        "supporting_evidence": len(pieces),
        "contradicting_evidence": len(packet.evidence) - len(pieces),
        "has_only_absence": has_only_absence(packet.evidence),
        "missing_domains": joined(gap.what for gap in packet.missing),
        "days_to_renewal": packet.facts.features.get("days_to_renewal"),
        "escalation_role": packet.escalation.role,
        "respond_by": packet.escalation.respond_by,
        "signals_since": joined(signal.first_fired_week.isoformat() for signal in packet.signals),
        "assumptions": joined(assumption.assumption_id for assumption in packet.assumptions),
        "stop_rules": joined(rule.rule_id for rule in packet.stop_rules),
        "mitigation_options": joined(option.playbook_id for option in packet.options),
        "risk_status": packet.case.risk_status,
        "escalation_decision": packet.case.escalation,
        "approved_at": packet.case.approved_at,
        "actions_taken": packet.case.actions_taken,
        "responses_recorded": packet.case.responses_recorded,
        "dismissal_reason": packet.case.dismissal_reason,
        "ended_at": packet.case.ended_at,
    }
    names = mart_tables()["risk_packets"].arrow_schema.names
    return {name: own[name] if name in own else getattr(packet, name, None) for name in names}


def joined(parts: Iterable[str]) -> str | None:
    """Ids separated by commas; None where there is none."""
    return ",".join(parts) or None
