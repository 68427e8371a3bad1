"""The case to get right, from landed records to the risk: busy logins, a sponsor who stays away, workarounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.account_facts import NOT_CONNECTED
from health_pipeline.mart.dbt import dbt_vars
from health_pipeline.mart.risk_records import read_risk_records, unresolved_evidence
from health_pipeline.policy.record_sets import RECORD_SETS
from health_pipeline.policy.risk_signals import load_risk_signals
from health_pipeline.risk.episodes import EpisodesBefore
from health_pipeline.risk.history import EpisodeHistory
from health_pipeline.risk.packet_building import load_packet_policy
from health_pipeline.risk.packets_of_week import packets_of_week
from health_pipeline.risk.restricted import brief_lines, read_body
from health_pipeline.risk.rows import evidence_rows, records_by_account
from health_pipeline.risk.weekly import ReviewedWeek, RiskInputs, review_weeks
from health_pipeline.sources.landing import Landing

WEEK = Week(date(2026, 1, 12))
# as_of_at of WEEK is Monday the 19th, 00:00; known_at 06:00
AS_OF = datetime(2026, 1, 19)
KNOWN = datetime(2026, 1, 19, 6)
LOADED = datetime(2026, 1, 19, 2)
TOO_LATE = datetime(2026, 1, 19, 6, 0, 1)
BUSY, FINE = "busy", "fine"
ACCOUNTS = (BUSY, FINE)
OWNER = "csm@vendor.example"
BODIES = {f"{BUSY}-t1": "Only workaround left to us.", f"{BUSY}-t2": "Again another workaround today."}


def before(days: float) -> datetime:
    return AS_OF - timedelta(days=days)


def uses(account: str) -> list[dict[str, Any]]:
    """Five people log in on each working day of twelve weeks."""
    days = [day for day in range(1, 85) if before(day).weekday() < 5]
    return [
        {
            "event_id": f"{account}-{day}-{user}", "event_name": "opened", "feature_key": f"feature-{user}",
            "occurred_at": before(day) + timedelta(hours=9), "received_at": LOADED,
            "group_id": account, "user_id": f"{account}-{user}",
        }
        for day in days for user in range(5)
    ]  # fmt: skip


def meeting(account: str, name: str, days: float, *there: str) -> dict[str, Any]:
    """A call to which the sponsor and a user are invited."""
    people = [f"{person}@{account}.example" for person in ("sponsor", "user")]
    return {
        "note_id": f"{account}-{name}", "source_account_id": account, "activity_type": "meeting",
        "direction": "two_way",
        "author_email": "csm@vendor.example", "invited_emails": ",".join(people),
        "attendee_emails": ",".join(["csm@vendor.example", *(f"{person}@{account}.example" for person in there)]),
        "occurred_at": before(days),
    }  # fmt: skip


def ticket(account: str, name: str, days: float) -> dict[str, Any]:
    return {
        "ticket_id": f"{account}-{name}", "source_account_id": account, "status": "solved", "priority": "normal",
        "type": "question", "created_at": before(days), "solved_at": before(days - 0.5), "subject": "Question",
        "source_updated_at": before(days - 0.5), "body": BODIES.get(f"{account}-{name}"),
    }  # fmt: skip


def phrases(company: Any, load_id: str, version: str, found: Sequence[tuple[str, float, str, int]]) -> None:
    """What the text room lands of tickets: that they were read, and where a phrase stands."""
    key = {
        "record_table": "support_ticket", "record_kind": "support", "record_system": "support_system",
        "record_instance": "default", "record_load_id": load_id, "rule_version": version, "language": "en",
    }  # fmt: skip
    company.load(
        "text",
        LOADED,
        {
            "text_reading": [
                {**key, "record_id": name, "occurred_at": before(days), "text_available_at": LOADED, "characters": 80,
                 "record_digest": name, "text_digest": name, "is_scored": False}
                for name, days, _, _ in found
            ],
            "text_phrase": [
                {**key, "record_id": name, "occurred_at": before(days), "record_field": "body", "rule_id": "a_rule",
                 "span_start": start, "span_end": start + 10, "category": category, "is_negated": False}
                for name, days, category, start in found
            ],
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def mart(new_company, mart_of):
    company = new_company()
    built = mart_of(company)
    for account in ACCOUNTS:
        company.link_all(account)
    company.load("billing", LOADED, {"billing_subscription": [
        {"subscription_id": f"{account}-s", "source_account_id": account, "status": "active", "currency": "USD",
         "arr": 12000, "quantity": 7, "started_at": datetime(2024, 1, 1), "source_updated_at": datetime(2024, 1, 1),
         "current_period_end": before(-200)} for account in ACCOUNTS
    ], "billing_invoice": [], "billing_payment": []})  # fmt: skip
    company.load("crm", LOADED, {"source_account": [
        {"source_account_id": account, "name": account.title(), "owner_email": OWNER} for account in ACCOUNTS
    ], "crm_contact": [
        {"contact_id": f"{account}-{person}", "source_account_id": account, "full_name": "Somebody", "is_active": True,
         "email": f"{person}@{account}.example", "role": role, "source_created_at": datetime(2024, 1, 1),
         "source_updated_at": datetime(2024, 1, 1)}
        for account in ACCOUNTS for person, role in (("sponsor", "champion"), ("user", "user"))
    ]})  # fmt: skip
    company.load("usage", LOADED, {"usage_event": [row for account in ACCOUNTS for row in uses(account)]})
    company.load("cs", LOADED, {"cs_note": [], "cs_goal": [
        {"goal_id": f"{account}-g", "source_account_id": account, "name": "Fewer manual steps", "due_date": due.date(),
         "status": status, "start_date": date(2025, 6, 1), "last_validated_at": before(40),
         "source_created_at": datetime(2025, 6, 1), "source_updated_at": before(40)}
        for account, status, due in ((BUSY, "at_risk", before(20)), (FINE, "on_track", before(-90)))
    ]})  # fmt: skip
    notes = [
        *(meeting(account, "kickoff", 85, "sponsor", "user") for account in ACCOUNTS),
        *(meeting(BUSY, f"missed-{number}", days, "user") for number, days in enumerate((50, 30, 9))),
        *(meeting(FINE, f"attended-{number}", days, "sponsor", "user") for number, days in enumerate((50, 30, 9))),
        # at as_of_at it has not happened yet
        {**meeting(BUSY, "tomorrow", 0, "user")},
    ]
    company.load("engagement", LOADED, {"cs_note": notes})
    company.load("engagement", TOO_LATE, {"cs_note": [meeting(BUSY, "told too late", 5, "user")]})
    tickets = [ticket(BUSY, "t1", 20), ticket(BUSY, "t2", 6), ticket(FINE, "t1", 12)]
    loaded = company.load("support", LOADED, {"support_ticket": tickets, "support_message": [], "survey_response": []})
    company.load("survey", LOADED, {"survey_response": []})
    company.load("risk", LOADED, {"risk": [], "risk_history": []})
    version = dbt_vars(built.settings, built.policy, [WEEK])["text_rule_version"]
    phrases(company, loaded, version, [
        (f"{BUSY}-t1", 20, "product_quality", 5), (f"{BUSY}-t2", 6, "product_quality", 14),
        (f"{FINE}-t1", 12, "product_quality", 3),
    ])  # fmt: skip
    return built.build(WEEK, tests=True)


@pytest.fixture(scope="module")
def reviewed(mart) -> ReviewedWeek:
    inputs = RiskInputs(
        features=mart.features(WEEK),
        records_of=lambda week, accounts: records_by_account(read_risk_records(mart.settings, week, accounts)),
        before=EpisodesBefore([], WEEK.monday),
        policy=load_risk_signals(None).model,
        query_hash="query",
    )
    (week,) = review_weeks(inputs, [WEEK])
    return week


def test_an_outcome_risk_is_flagged_though_people_log_in(reviewed):
    (risk,) = reviewed.risks
    assert (risk.account_id, risk.side) == (BUSY, "risk")
    fired = {signal.signal_id: signal.category for signal in risk.signals}
    assert {
        "goal_overdue": "value_outcome",
        "goals_off_track": "value_outcome",
        "sponsor_stays_away": "sponsor_stakeholder",
        "workaround_words": "product_quality",
    }.items() <= fired.items()
    assert not {"logins_fell", "users_fell", "seats_unused", "no_two_way_touch", "sponsor_gone"} & set(fired)


def test_the_notes_and_tickets_are_attached_with_their_spans(reviewed):
    (risk,) = reviewed.risks
    by_signal = {
        signal.signal_id: {
            piece.source_record_id for piece in risk.evidence if piece.evidence_id in signal.evidence_ids
        }
        for signal in risk.signals
    }
    # not the one of tomorrow, nor the one that was told too late
    assert by_signal["sponsor_stays_away"] == {f"{BUSY}-missed-{number}" for number in range(3)}
    assert by_signal["workaround_words"] == {f"{BUSY}-t1", f"{BUSY}-t2"}
    assert by_signal["goal_overdue"] == {f"{BUSY}-g"}
    spans = {
        (piece.source_record_id, piece.text_field, piece.span_start, piece.span_end)
        for piece in risk.evidence
        if piece.subject == "workaround_words"
    }
    assert spans == {(f"{BUSY}-t1", "body", 5, 15), (f"{BUSY}-t2", "body", 14, 24)}
    (goal,) = (piece for piece in risk.evidence if piece.subject == "goal_overdue")
    assert (goal.kind, goal.observed_at, goal.age_days, goal.available_at) == ("reported", before(20), 20, LOADED)


def test_what_speaks_against_it_is_there_too(reviewed):
    (risk,) = reviewed.risks
    against = {(piece.subject, piece.source_table) for piece in risk.evidence if piece.direction == "contradicts"}
    assert ("champion_is_there", "crm_contact") in against
    assert {name for name, _ in against} <= {entry.id for entry in load_risk_signals(None).model.counter_evidence}


def test_every_piece_was_known_then_and_resolves(mart, reviewed):
    table = evidence_rows(reviewed.risks)
    assert table.num_rows >= 7
    for piece in table.to_pylist():
        assert piece["observed_at"] < AS_OF
        assert piece["available_at"] <= KNOWN
    assert unresolved_evidence(mart.settings, table) == []


FAULTS: dict[str, dict[str, Any]] = {
    "another load": {"load_id": "load-999"},
    "another record": {"source_record_id": "nobody's"},
    "another system": {"source_system": "other_system"},
    "another table": {"source_table": "crm_opportunity"},
    "no table of the landing": {"source_table": "rumour"},
    "known only later": {"known_at": LOADED - timedelta(seconds=1)},
    "happened only later": {"as_of_at": before(60)},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_piece_without_a_landed_record_behind_it_is_found(mart, reviewed, fault):
    rows = evidence_rows(reviewed.risks).to_pylist()
    place = next(number for number, row in enumerate(rows) if row["subject"] == "sponsor_stays_away")
    rows[place] |= FAULTS[fault]
    table = pa.Table.from_pylist(rows, schema=evidence_rows(()).schema)
    assert unresolved_evidence(mart.settings, table) == [rows[place]["evidence_id"]]


def test_every_record_of_every_set_was_known_then(mart):
    rows = mart.query(
        "select record_set, observed_at < as_of_at and available_at <= known_at "
        "from intermediate.int_risk_evidence_weekly"
    )
    assert {name for name, _ in rows} <= set(RECORD_SETS)
    assert len({name for name, _ in rows}) >= 12
    assert all(is_known for _, is_known in rows)


def test_the_features_that_the_signals_read(mart):
    busy, fine = mart.row(BUSY, WEEK), mart.row(FINE, WEEK)
    assert (busy["sponsor_meetings_missed_91d"], fine["sponsor_meetings_missed_91d"]) == (3, 0)
    assert (busy["days_since_last_sponsor_touch"], fine["days_since_last_sponsor_touch"]) == (85, 9)
    assert (busy["product_quality_phrases_28d"], fine["product_quality_phrases_28d"]) == (2, 1)
    assert (busy["competitive_phrases_28d"], busy["silent_channels_60d"]) == (0, 0)
    assert (busy["sponsor_left_90d"], busy["active_users_change_share_4w"]) == (False, 0)
    assert busy["top_user_events_share_28d"] == pytest.approx(0.2)
    assert busy["oldest_open_high_priority_ticket_days"] == 0
    # no ticket is older than 28 days: against nothing there is no ratio
    assert (busy["ticket_baseline_28d"], busy["ticket_volume_ratio_28d"]) == (0, None)
    assert busy["usage_change_share_4w_year_before"] is None


@pytest.fixture(scope="module")
def packet(mart, reviewed) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[str]]]:
    """The packet's row in the mart, its body, and the brief as a reader sees it, by heading."""
    policy, history = load_packet_policy(None), EpisodeHistory([], WEEK.monday)
    loads = [
        SimpleNamespace(load_id=row["load_id"], tables=[SimpleNamespace(table=row["table_name"], path=row["path"])])
        for row in mart.company.manifest_rows
    ]
    with pytest.MonkeyPatch.context() as patch:
        # the hand-made company writes the landed files, and no records of its loads
        patch.setattr(Landing, "loads", lambda self, load_ids=None: loads)
        made = packets_of_week(mart.settings, reviewed.risks, WEEK, policy, history, NOT_CONNECTED)
    assert made.unverified == {}
    (row,) = made.rows.to_pylist()
    body = read_body(mart.settings.restricted, row["body_sha256"])
    told: dict[str, list[str]] = {}
    for heading, sentence in brief_lines(mart.settings.restricted, body):
        told.setdefault(heading, []).append(sentence)
    return row, body, told


def test_the_packet_is_an_outcome_risk_for_the_account_manager(packet):
    row, _, told = packet
    assert (row["account_id"], row["category"], row["runner_up_category"]) == (
        BUSY,
        "value_outcome",
        "sponsor_stakeholder",
    )
    assert row["severity_status"] == "suggested"
    assert row["owner_email"] == OWNER
    (header,) = told[""]
    assert OWNER in header


def test_the_brief_attaches_the_notes_and_tickets(packet):
    _, _, told = packet
    seen = " ".join(told["What was seen"])
    assert "“workaround”" in seen
    assert "3 notes or meetings of 30 November 2025 to 10 January" in seen
    assert "An active champion" in " ".join(told["What speaks against it"])
    (goal, *_) = told["What the customer wants"]
    assert "“Fewer manual steps” (at risk), due on 30 December 2025, overdue" in goal


def test_causes_are_suspected_and_none_is_confirmed(packet):
    _, body, told = packet
    causes = {line.split(":")[0] for line in told["Causes looked into"]}
    assert causes == {"Suspected", "Unknown"}
    assert {cause["status"] for cause in body["packet"]["causes"]} == {"suspected", "unknown"}


def test_nothing_is_decided_chosen_or_sent(packet):
    row, body, told = packet
    assert row["state"] == "detected"
    assert [body["packet"][name] for name in ("decision", "message", "outcome", "follow_up_date")] == [None] * 4
    held = " ".join(told["What holds it"])
    assert held.startswith("Approval is blocked: ")
    assert "no person has confirmed the severity" in held
    assert "no follow-up date is set" in held
    assert told["Options, none chosen"]


def test_no_words_of_the_tickets_are_in_the_mart(packet):
    row, _, _ = packet
    for words in ("workaround left to us", "another workaround", "Fewer manual steps", "Somebody"):
        assert words not in str(row)
