"""`doctor --audit`: every high-risk account and what its risk review lacks, by published packets and the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
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
SEVERITIES = (*HIGH_RISK, "medium", "low", "not assessed")
TAKE_IN = "start the desk (`health-pipeline desk`), which takes the release in"
# Who gives what is missing, and where.
WHO_MENDS = {
    "owner": "set in the CRM, or by a lead at the desk (Assign)",
    "escalation decision": "the owner, at the desk (Escalation)",
    "decision status": "the owner proposes, somebody else approves",
    "review date": "the owner, at the desk (Follow-up)",
    "outcome": "who closed it, as it was observed",
}
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
    is_in_ledger: bool = False
    is_mitigation_chosen: bool = False

    def sentence(self, lacked_by_all: Collection[str] = ()) -> str:
        """What this one is and lacks beside what all lack, in words; ids only."""
        lacks = [part for part in self.missing if part not in lacked_by_all]
        also = f"; lacks {'also ' if lacked_by_all else ''}{', '.join(lacks)}" if lacks else ""
        return f"{self.account_id} ({self.severity}, {self.severity_status}; {self.state.replace('_', ' ')}{also})"


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
        accounts, number = len({risk.account_id for risk in self.risks}), len(self.risks)
        yield f"{accounts} high-risk accounts in the week of {self.week} (release {self.release})."
        if not self.risks:
            return
        severities = Counter(risk.severity for risk in self.risks)
        confirmed = sum(risk.severity_status == "confirmed" for risk in self.risks)
        told = ", ".join(f"{severities[name]} {name}" for name in SEVERITIES if severities[name])
        yield f"Severity: {told}; confirmed by a person for {confirmed} of {number}."
        unknown = sum(not risk.is_in_ledger for risk in self.risks)
        if unknown:
            yield f"The ledger has no case of {unknown} of {number} yet, so nobody can decide on them: {TAKE_IN}."
        yield ""
        for part in AUDITED:
            lacking = sum(part in risk.missing for risk in self.risks)
            yield f"{part}: {number - lacking} of {number}{self._note(part)}"
        in_all = tuple(part for part in AUDITED if all(part in risk.missing for risk in self.risks))
        if self.is_complete:
            yield "Nothing is missing."
            return
        yield ""
        if in_all:
            yield f"Each of them lacks {', '.join(in_all)}."
        for part in AUDITED:
            if part in WHO_MENDS and any(part in risk.missing for risk in self.risks):
                yield f"  {part}: {WHO_MENDS[part]}"
        for owner, own in self._by_owner():
            yield ""
            yield f"{owner or 'Nobody owns'}: {len(own)}"
            yield from (f"  {risk.sentence(in_all)}" for risk in own)

    def _note(self, part: str) -> str:
        """What a figure must not be taken for."""
        if part == "mitigation":
            chosen = sum(risk.is_mitigation_chosen for risk in self.risks)
            return f" have options from the playbooks; a person chose one for {chosen}"
        due = sum(risk.state == "closed" for risk in self.risks)
        return f" ({due or 'none'} due: an outcome is asked for once a risk is closed)" if part == "outcome" else ""

    def _by_owner(self) -> list[tuple[str | None, list[AuditedRisk]]]:
        """Who has to act, with what lacks something, the worst first; what nobody owns before all."""
        found: dict[str | None, list[AuditedRisk]] = {}
        for risk in self.risks:
            if risk.missing:
                found.setdefault(risk.owner_email, []).append(risk)
        return sorted(found.items(), key=lambda one: (one[0] is not None, -len(one[1]), one[0] or ""))


def audit_risks(packets: Iterable[Mapping[str, Any]], cases: Mapping[str, Case]) -> tuple[AuditedRisk, ...]:
    """What each open risk of high or critical severity lacks, the worst first.

    Parameters
    ----------
    packets : the newest row of risk_packets of each risk
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
                case is not None,
                case is not None and case.proposal is not None and bool(case.proposal.mitigations),
            )
        )
    return tuple(sorted(found, key=lambda risk: (SEVERITIES.index(risk.severity), -len(risk.missing), risk.account_id)))


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
    """Audit the current release's risks against the ledger. Reads only: a ledger that is not there is not made.

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


def _packets(connection: duckdb.DuckDBPyConnection, monday: date) -> list[dict[str, Any]]:
    """The risks of the week's customers, each as it was published last: a quiet one has no packet of each week."""
    query = (
        "select * from risk_packets as packets where week = "
        "(select max(week) from risk_packets as others where others.packet_id = packets.packet_id) "
        "and account_id in (select account_id from account_features_weekly where week = ?) order by packet_id"
    )
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
