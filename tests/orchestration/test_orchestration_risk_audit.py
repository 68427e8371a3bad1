"""The audit of high-risk accounts: what is missing for whom; readiness of the risk review as the doctor gathers it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from health_pipeline.orchestration.doctor import risk_audit
from health_pipeline.orchestration.doctor.gathering import gather_stores
from health_pipeline.orchestration.doctor.risk_audit import AUDITED, RiskAudit, audit_risks, gather_audit
from health_pipeline.policy.risk_review import load_risk_review
from health_pipeline.review import Case
from health_pipeline.settings import Settings

NOW = datetime(2026, 11, 16, 7, tzinfo=UTC)
PACKET: dict[str, Any] = {
    "packet_id": "p1",
    "account_id": "acc_1",
    "side": "risk",
    "state": "detected",
    "category": "support",
    "supporting_evidence": 2,
    "severity": "high",
    "severity_status": "suggested",
    "owner_email": "ana@example.com",
    "mitigation_options": "support_review",
}
CASE = Case(
    case_id="p1",
    account_id="acc_1",
    version=7,
    state="approved",
    packet_hash="h",
    week=date(2026, 11, 9),
    as_of_at=NOW,
    detected_at=NOW,
    changed_at=NOW,
    category="support",
    suggested_severity="high",
    severity="high",
    owner_email="ana@example.com",
    follow_up_on=date(2026, 11, 30),
    escalation="none_needed",
)


def missing(packet: dict[str, Any], *cases: Case) -> tuple[str, ...]:
    (risk,) = audit_risks([packet], {case.case_id: case for case in cases})
    return risk.missing


def test_a_risk_that_has_everything_lacks_nothing():
    assert missing(PACKET, CASE) == ()


@pytest.mark.parametrize(
    ("part", "packet", "case"),
    [
        ("event", {"category": None}, {}),
        ("evidence", {"supporting_evidence": 0}, {}),
        ("owner", {"owner_email": None}, {"owner_email": None}),
        ("mitigation", {"mitigation_options": None}, {}),
        ("escalation decision", {}, {"escalation": None}),
        ("decision status", {}, {"state": "in_review"}),
        ("review date", {}, {"follow_up_on": None}),
        ("outcome", {}, {"state": "closed"}),
    ],
)
def test_each_part_is_missed_alone(part, packet, case):
    assert part in AUDITED
    assert missing({**PACKET, **packet}, replace(CASE, **case)) == (part,)


def test_without_a_case_nobody_has_decided():
    assert missing(PACKET) == ("escalation decision", "decision status", "review date")


def test_high_risk_is_high_or_critical_in_either_status():
    lowered = replace(CASE, severity="medium", severity_status="confirmed")
    raised = replace(CASE, severity="critical", suggested_severity="medium")
    assert [risk.severity for risk in audit_risks([PACKET], {"p1": lowered})] == ["medium"]
    assert [risk.severity for risk in audit_risks([{**PACKET, "severity": "medium"}], {"p1": raised})] == ["critical"]
    assert audit_risks([{**PACKET, "severity": "medium"}], {}) == ()
    assert audit_risks([{**PACKET, "side": "expansion"}], {}) == ()
    assert audit_risks([PACKET], {"p1": replace(CASE, state="dismissed")}) == ()
    assert audit_risks([PACKET], {"p1": replace(CASE, state="closed", outcome="saved")}) == ()


def test_the_worst_come_first_and_the_lines_name_them():
    rows = [PACKET, {**PACKET, "packet_id": "p2", "account_id": "acc_2", "severity": "critical", "owner_email": None}]
    audit = RiskAudit("r1", "2026-11-09", True, audit_risks(rows, {"p1": CASE}))
    assert not audit.is_complete
    lines = list(audit.lines())
    assert lines[:3] == [
        "2 high-risk accounts in the week of 2026-11-09 (release r1).",
        "Severity: 1 critical, 1 high; confirmed by a person for 0 of 2.",
        "The ledger has no case of 1 of 2 yet, so nobody can decide on them: start the desk (`health-pipeline desk`), "
        "which takes the release in.",
    ]
    assert "owner: 1 of 2" in lines
    assert lines[-2:] == [
        "Nobody owns: 1",
        "  acc_2 (critical, suggested; detected; lacks owner, escalation decision, decision status, review date)",
    ]
    whole = RiskAudit("r1", "2026-11-09", True, audit_risks([PACKET], {"p1": CASE}))
    assert whole.is_complete
    assert list(whole.lines())[-1] == "Nothing is missing."


def test_what_all_lack_is_said_once_and_figures_say_what_they_are_not():
    rows = [{**PACKET, "packet_id": f"p{place}", "account_id": f"acc_{place}"} for place in range(3)]
    rows[0]["owner_email"] = None
    lines = list(RiskAudit("r1", "2026-11-09", True, audit_risks(rows, {})).lines())
    assert "mitigation: 3 of 3 have options from the playbooks; a person chose one for 0" in lines
    assert "outcome: 3 of 3 (none due: an outcome is asked for once a risk is closed)" in lines
    assert "Each of them lacks escalation decision, decision status, review date." in lines
    start = lines.index("Nobody owns: 1")
    assert lines[start : start + 2] == ["Nobody owns: 1", "  acc_0 (high, suggested; detected; lacks also owner)"]
    assert lines[-3:] == [
        "ana@example.com: 2",
        "  acc_1 (high, suggested; detected)",
        "  acc_2 (high, suggested; detected)",
    ]


def test_a_quiet_risk_is_audited_by_its_last_packet_and_one_of_a_former_customer_is_not():
    rows = [("acc_1", "p1", "10-05"), ("acc_1", "p1", "10-12"), ("acc_1", "p2", "11-09"), ("acc_gone", "p3", "10-12")]
    with duckdb.connect() as connection:
        connection.execute("create table account_features_weekly (account_id varchar, week date)")
        connection.execute(
            "insert into account_features_weekly values ('acc_1', '2026-11-09'), ('acc_gone', '2026-10-12')"
        )
        connection.execute("create table risk_packets (account_id varchar, packet_id varchar, week date)")
        connection.executemany("insert into risk_packets values (?, ?, '2026-' || ?)", rows)
        found = [(row["packet_id"], str(row["week"])) for row in risk_audit._packets(connection, date(2026, 11, 9))]
    assert found == [("p1", "2026-10-12"), ("p2", "2026-11-09")]


def test_nothing_published_is_said(tmp_path: Path):
    with pytest.raises(ValueError, match="Nothing is published yet"):
        gather_audit(Settings(home=tmp_path / "home"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mitigation_approver_roles": []}, "no owner who can approve mitigations"),
        ({"review_schedule": None}, "no review scheduled"),
        ({"categories": {}, "causes": {}}, "risk categories undefined"),
    ],
)
def test_what_is_not_ready_is_gathered_from_the_policy(tmp_path: Path, change, reason):
    folder = tmp_path / "policy"
    folder.mkdir()
    document = yaml.safe_load(load_risk_review(None).text)
    (folder / "risk_review.yaml").write_text(yaml.safe_dump({**document, **change}, sort_keys=False))
    ready = gather_stores(Settings(home=tmp_path / "home"), NOW.replace(tzinfo=None))
    assert ready.risk_review_lacks == ()
    gathered = gather_stores(Settings(home=tmp_path / "home", policy=folder), NOW.replace(tzinfo=None))
    assert [one.startswith(reason) for one in gathered.risk_review_lacks] == [True]
