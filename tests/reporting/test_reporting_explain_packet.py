"""Explaining a packet: what is told as a packet's id, which columns are printed, what is said without a store."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from health_pipeline.contract.landing import landing_tables
from health_pipeline.mart.landed_rows import is_shown
from health_pipeline.reporting.explain_packet import (
    NO_BODY,
    ExplainedPacket,
    ExplainedPiece,
    explain_packet,
    is_packet_id,
    packet_lines,
)
from health_pipeline.settings import Settings

ROW = dict.fromkeys(
    ("account_id", "side", "episode", "opened_week", "category", "runner_up_category", "likelihood", "impact",
     "severity", "severity_status", "state", "value_at_risk", "currency", "owner_email", "escalation_role",
     "respond_by", "mitigation_options", "assumptions", "stop_rules", "missing_domains", "packet_hash")
)  # fmt: skip
PIECE = {
    "direction": "supports",
    "kind": "reported",
    "strength": "high",
    "metric": "open_backlog",
    "value": 4.0,
    "subject": "unresolved_tickets",
    "source_system": "desk",
    "source_instance": "default",
    "source_table": "support_ticket",
    "source_record_id": "T-1",
    "load_id": "L-1",
    "observed_at": datetime(2026, 11, 3, 9, 5),
    "available_at": datetime(2026, 11, 4),
    "text_field": "body",
    "span_start": 3,
    "span_end": 20,
}


def test_packet_ids_are_told_from_accounts() -> None:
    assert is_packet_id("554a77d6b709a6d5041da79ff3258128")
    assert not is_packet_id("acc_535ef175d424")
    assert not is_packet_id("Silvermill")


def test_no_free_text_and_no_name_of_a_record_is_printed() -> None:
    shown = {name: {c.name for c in table.columns if is_shown(c)} for name, table in landing_tables().items()}
    assert not shown["crm_contact"] & {"full_name", "email", "title"}
    assert not shown["support_ticket"] & {"subject", "body", "requester_email"}
    assert not shown["cs_note"] & {"subject", "body", "author_email", "attendee_emails", "invited_emails"}
    assert not shown["survey_response"] & {"comment", "contact_email"}
    assert not shown["risk"] & {"title", "description", "mitigation", "owner_email", "close_reason"}
    assert {"ticket_id", "status", "created_at", "reopen_count"} <= shown["support_ticket"]


def test_lines_name_the_record_and_say_why_there_is_no_brief() -> None:
    row = {**ROW, "packet_id": "p", "week": date(2026, 11, 9)}
    found = ExplainedPacket(
        row, (ExplainedPiece(PIECE, {"ticket_id": "T-1", "status": "open"}), ExplainedPiece(PIECE, None)), None, NO_BODY
    )
    lines = list(packet_lines(found))
    assert f"No brief: {NO_BODY}." in lines
    assert "  supports, reported, high: 4 open tickets (unresolved_tickets)" in lines
    assert "    desk/default/support_ticket/T-1, load L-1, happened 2026-11-03 09:05, known 2026-11-04 00:00" in lines
    assert "    quote: body, characters 3 to 20" in lines
    assert "    landed: ticket_id=T-1, status=open" in lines
    assert "    its landed record is not on this machine" in lines


def test_unknown_packet_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="has no packet 554a77d6b709a6d5041da79ff3258128; see the ids"):
        explain_packet(Settings(home=tmp_path), "554a77d6b709a6d5041da79ff3258128")
