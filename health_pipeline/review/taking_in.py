"""Writes incoming packets and drawn accounts into the ledger, all of a release in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime

from sqlalchemy import Connection, select

from health_pipeline.contract.case_states import OPEN
from health_pipeline.contract.clocks import Week
from health_pipeline.contract.event_chain import GENESIS
from health_pipeline.review.cases import Case, Event
from health_pipeline.review.drawn_accounts import DrawnAccount, drawn_draft
from health_pipeline.review.events import Draft, append, read_events
from health_pipeline.review.fold import PACKET_RENEWED, fold
from health_pipeline.review.intake import TAKEN_IN, IncomingPacket, Intake, Reviewed, drafts_of, left_draft
from health_pipeline.review.permissions import SYSTEM
from health_pipeline.review.projection import find_cases, save_cases
from health_pipeline.review.schema import CASE


def take_in(
    connection: Connection,
    release: str,
    incoming: Sequence[IncomingPacket],
    drawn: Sequence[DrawnAccount],
    reviewed: Reviewed | None,
    now: datetime,
) -> Intake:
    """Take packets and drawn accounts in, in their order, then who has left; the same again leaves nothing.

    Parameters
    ----------
    connection : in a transaction of `database.writing`
    reviewed : the newest week's accounts; None where nobody says: nobody has left then
    """
    gone = _of_gone_customers(connection, reviewed) if reviewed else []
    ids = list(dict.fromkeys([*(packet.packet_id for packet in incoming), *(one.case_id for one in drawn), *gone]))
    before = find_cases(connection, ids)
    cases: dict[str, Case] = dict(before)
    drafts: list[Draft] = []
    counts = dict.fromkeys(
        ("detected", "rebuilt", "returned_to_review", "reopened", "renewed", "unchanged", "drawn", "left"), 0
    )
    for packet in incoming:
        made = drafts_of(cases.get(packet.packet_id), packet, release, now)
        counts[_what_happened(made)] += 1
        for draft in made:
            cases[packet.packet_id] = fold(cases.get(packet.packet_id), _unchained(draft))
        drafts += made
    for one in drawn:
        if draw := drawn_draft(cases.get(one.case_id), one, release, now):
            counts["drawn"] += 1
            cases[one.case_id] = fold(None, _unchained(draw))
            drafts.append(draw)
    if reviewed:
        for case in (cases[name] for name in gone):
            if case.left_by is None and not case.has_ended:
                counts["left"] += 1
                left = left_draft(case, reviewed.week, release, now)
                cases[case.case_id] = fold(case, _unchained(left))
                drafts.append(left)
    weeks = tuple(sorted({packet.week for packet in incoming} | {one.week for one in drawn}))
    if drafts:
        changed = {draft.case_id for draft in drafts}
        days = [day.isoformat() for day in weeks]
        append(connection, [*drafts, Draft(TAKEN_IN, SYSTEM, now, {"release": release, "weeks": days, **counts})])
        save_cases(connection, (cases[one] for one in ids if one in changed), set(before))
    return Intake(release, weeks, **counts)


def _of_gone_customers(connection: Connection, reviewed: Reviewed) -> list[str]:
    """Open cases of risks whose account the week did not review; an account drawn at random stays as it is."""
    rows = connection.execute(select(CASE.c.case_id, CASE.c.account_id).where(CASE.c.state.in_(OPEN)))
    return sorted(row.case_id for row in rows if row.account_id not in reviewed.accounts)


def last_week_taken_in(connection: Connection) -> Week | None:
    """The newest week whose packets are in the ledger; None where none ever came in."""
    weeks = [week for event in read_events(connection, types=[TAKEN_IN]) for week in event.payload["weeks"]]
    return Week(date.fromisoformat(max(weeks))) if weeks else None


def _what_happened(drafts: Sequence[Draft]) -> str:
    if not drafts:
        return "unchanged"
    if drafts[0].type == "risk_detected":
        return "detected"
    if drafts[0].type == PACKET_RENEWED:
        return "renewed"
    if drafts[-1].type == "reopened":
        return "reopened"
    return "returned_to_review" if drafts[-1].payload.get("state") == "in_review" else "rebuilt"


def _unchained(draft: Draft) -> Event:
    """The event as the fold sees it; its number and hash come with the chain, and no case depends on them."""
    values = {**asdict(draft), "payload": dict(draft.payload), "at": draft.at.astimezone(UTC)}
    return Event(seq=0, prev_hash=GENESIS, hash=GENESIS, **values)
