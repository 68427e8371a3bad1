"""Checks that each packet of a candidate has its body in the restricted store, as the mart says, and verifies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from health_pipeline.quality.sql_checks import audited
from health_pipeline.quality.suites import Check
from health_pipeline.quality.verdict import MAX_ROW_IDS, CheckResult, RowId
from health_pipeline.risk.restricted import RestrictedStoreError, kept_words, read_body, refusal, verify_body
from health_pipeline.risk.verifier import Problem

# What follows from the first of them repeats it.
SAID_PROBLEMS = 3
_PACKETS = """
select packets.packet_id, cast(packets.week as varchar), packets.packet_hash, packets.body_sha256,
    list(evidence.evidence_id order by evidence.evidence_id) filter (evidence.evidence_id is not null)
from risk_packets as packets
left join risk_evidence as evidence on packets.packet_id = evidence.packet_id and packets.week = evidence.week
where packets.week in (select week from run_weeks)
group by packets.packet_id, packets.week, packets.packet_hash, packets.body_sha256
order by packets.packet_id, packets.week
"""


def check_bodies(
    checks: Sequence[Check], candidate_file: Path, weeks: Sequence[date], restricted: Path | None
) -> list[CheckResult]:
    """The result of each check of type `packet_bodies`; not evaluated where mart or store can't be read.

    Parameters
    ----------
    checks : the declared checks of that type
    candidate_file : the mart that is audited
    weeks : the run's Mondays
    restricted : the restricted store; None: there is none, and every packet lacks its body
    """
    if not checks:
        return []
    error, broken, count = "", [], 0
    try:
        with audited(candidate_file, weeks, []) as connection:
            packets = connection.execute(_PACKETS).fetchall()
        count = len(packets)
        found = _problems(restricted, packets)
        broken = [(packet, problem) for packet, problem in found if problem]
    except (duckdb.Error, PermissionError) as problem:
        error = type(problem).__name__
    ids: tuple[RowId, ...] = tuple(
        (("packet_id", packet[0]), ("week", packet[1]), ("problem", problem))
        for packet, problem in broken[:MAX_ROW_IDS]
    )
    return [
        CheckResult(
            check.suite,
            check.name,
            check.type,
            check.severity,
            check.reason,
            passed=not broken and not error,
            evaluated=not error,
            observed="" if error else f"{len(broken)} of {count} packets",
            unexpected_count=len(broken),
            row_ids=ids,
            error=error,
        )
        for check in checks
    ]


def _problems(restricted: Path | None, packets: Sequence[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], str]]:
    if restricted is None or not packets:
        return [(packet, "there is no restricted store") for packet in packets]
    with kept_words(restricted) as words_of:
        return [(packet, _problem(restricted, words_of, *packet)) for packet in packets]


def _problem(
    restricted: Path,
    words_of: Callable[[Collection[str]], Mapping[str, str]],
    packet_id: str,
    week: str,
    packet_hash: str | None,
    address: str | None,
    evidence_ids: list[str] | None,
) -> str:
    """Why a packet can't be decided on, in words of our own; empty where its body is there, its own, and verifies."""
    if address is None:
        return "it has no address in the restricted store"
    try:
        body = read_body(restricted, address)
    except RestrictedStoreError:
        return "the body was changed after it was written"
    if body is None:
        return _said(refusal(restricted, address)) or "there is no body"
    packet = body["packet"]
    if (packet["packet_id"], packet["week"], packet["packet_hash"]) != (packet_id, week, packet_hash):
        return "the body is another packet's"
    if sorted(piece["evidence_id"] for piece in packet["evidence"]) != sorted(evidence_ids or []):
        return "the body rests on other evidence than the mart's"
    return _said(verify_body(body, words_of))


def _said(problems: Sequence[Problem]) -> str:
    more = f"; {len(problems) - SAID_PROBLEMS} more" if len(problems) > SAID_PROBLEMS else ""
    return "; ".join(problem.said for problem in problems[:SAID_PROBLEMS]) + more
