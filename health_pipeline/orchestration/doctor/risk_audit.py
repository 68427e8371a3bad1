"""`doctor --audit`: every high-risk account and what its risk review lacks, by published packets and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
from sqlalchemy import create_engine, inspect

from health_pipeline.contract.case_states import ENDED, UNDECIDED
from health_pipeline.contract.event_chain import EVENT_TABLE
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.publication.releases import current_release
from health_pipeline.review import Case, Ledger
from health_pipeline.settings import Settings

HIGH_RISK = ("critical", "high")
# What an account of high risk must have; an outcome only once it is due.
AUDITED = (
    "event",
    "evidence",
    "owner",
    "mitigation",
    "escalation decision",
    "decision status",
    "review date",
    "outcome",
)


@dataclass(frozen=True)
class AuditedRisk:
    """One open risk of high or critical severity, suggested or confirmed, and what it lacks."""

    account_id: str
    packet_id: str
    severity: str
    severity_status: str
    state: str
    owner_email: str | None
    missing: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What is missing for whom, in words; ids only."""
        lacks = "lacks nothing" if not self.missing else f"lacks {', '.join(self.missing)}"
        owner = self.owner_email or "nobody"
        return f"{self.account_id} ({self.severity}, {self.severity_status}; {self.state}; {owner}): {lacks}"


@dataclass(frozen=True)
class RiskAudit:
    """The audit of a release's newest week."""

    release: str
    week: str
    has_ledger: bool
    risks: tuple[AuditedRisk, ...]

    @property
    def is_complete(self) -> bool:
        """Whether no high-risk account lacks anything."""
        return not any(risk.missing for risk in self.risks)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"complete": self.is_complete, **asdict(self)}

    def lines(self) -> Iterator[str]:
        """The audit for a person: the counts, each part, each account that lacks something."""
        accounts = len({risk.account_id for risk in self.risks})
        yield f"{accounts} high-risk accounts in the week of {self.week} (release {self.release})."
        if not self.has_ledger:
            yield "There is no ledger yet, so no decision is on record: start the desk, or `health-pipeline ledger`."
        for part in AUDITED:
            lacking = sum(part in risk.missing for risk in self.risks)
            yield f"{part}: {len(self.risks) - lacking} of {len(self.risks)}"
        for risk in self.risks:
            if risk.missing:
                yield risk.sentence


def audit_risks(packets: Iterable[Mapping[str, Any]], cases: Mapping[str, Case]) -> tuple[AuditedRisk, ...]:
    """What each open risk of high or critical severity lacks, the worst first.

    Parameters
    ----------
    packets : rows of risk_packets of one week
    cases : of the ledger, by packet_id; a packet without one was decided on by nobody
    """
    found = []
    for row in packets:
        case = cases.get(row["packet_id"])
        severities = {row["severity"], case.severity if case else None, case.suggested_severity if case else None}
        state = case.state if case else row["state"]
        if row["side"] != "risk" or state in ENDED - {"closed"} or severities.isdisjoint(HIGH_RISK):
            continue
        if state == "closed" and case is not None and case.outcome is not None:
            continue
        severity = case.severity if case and case.severity else row["severity"]
        found.append(
            AuditedRisk(
                row["account_id"],
                row["packet_id"],
                severity or "not assessed",
                case.severity_status if case else row["severity_status"],
                state,
                (case.owner_email if case else None) or row["owner_email"],
                tuple(part for part in AUDITED if not _has(part, row, case, state)),
            )
        )
    order = (*HIGH_RISK, "medium", "low", "not assessed")
    return tuple(sorted(found, key=lambda risk: (order.index(risk.severity), -len(risk.missing), risk.account_id)))


def _has(part: str, row: Mapping[str, Any], case: Case | None, state: str) -> bool:
    if part == "event":
        return row["category"] is not None
    if part == "evidence":
        return bool(row["supporting_evidence"])
    if part == "owner":
        return bool((case.owner_email if case else None) or row["owner_email"])
    if part == "mitigation":
        chosen = case is not None and case.proposal is not None and bool(case.proposal.mitigations)
        return chosen or bool(row["mitigation_options"])
    if case is None:
        return part == "outcome" and state != "closed"
    return {
        "escalation decision": case.escalation is not None,
        "decision status": state not in UNDECIDED,
        "review date": case.follow_up_on is not None,
        "outcome": state != "closed" or case.outcome is not None,
    }[part]


def gather_audit(settings: Settings) -> RiskAudit:
    """Audit the current release's newest week against the ledger. Reads only: a ledger that is not there is not made.

    Raises
    ------
    ValueError
        If nothing is published.
    """
    release = current_release(settings)
    if release is None or not release.published_weeks:
        raise ValueError("Nothing is published yet, so there is no risk to audit; run `health-pipeline weekly`.")
    week = release.published_weeks[-1]
    with open_duckdb(release.file, read_only=True) as connection:
        packets = _packets(connection, week.monday)
    has_ledger = _has_ledger(settings)
    cases: dict[str, Case] = {}
    if has_ledger:
        with Ledger.open(settings) as ledger:
            cases = {case.case_id: case for case in ledger.cases()}
    return RiskAudit(release.name, str(week), has_ledger, audit_risks(packets, cases))


def _packets(connection: duckdb.DuckDBPyConnection, monday: object) -> list[dict[str, Any]]:
    query = "select * from risk_packets where week = ? order by packet_id"
    rows: list[dict[str, Any]] = connection.execute(query, [monday]).to_arrow_table().to_pylist()
    return rows


def _has_ledger(settings: Settings) -> bool:
    if not (settings.home / "ledger").is_dir():
        return False
    engine = create_engine(settings.ledger_url)
    try:
        return inspect(engine).has_table(EVENT_TABLE)
    finally:
        engine.dispose()
