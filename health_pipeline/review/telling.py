"""Tells a webhook of new high risks: how many, which cases, no names, no words. The ledger keeps what was told."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection

from health_pipeline.observability.logs import get_logger
from health_pipeline.observability.webhook import NotTaken, post_json
from health_pipeline.review.cases import Case, Event
from health_pipeline.review.database import reading, writing
from health_pipeline.review.events import Draft, append, head, read_events
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.permissions import SYSTEM
from health_pipeline.review.projection import find_cases
from health_pipeline.settings import Settings

TOLD = "high_risks_told"
FAILED = "telling_failed"
HIGH = frozenset({"high", "critical"})
# More than anybody reads in a message; the rest is counted, and at the desk.
MOST_LISTED = 50
LONGEST_WAIT = timedelta(days=1)
ASKED = "asked_to_wait_seconds"

log = get_logger("review")


@dataclass(frozen=True)
class Notice:
    """What is to be told: the cases, the newest event they are as of, and how often it was tried in vain."""

    cases: tuple[Case, ...]
    since_seq: int
    up_to_seq: int
    failures: int


def due_notice(connection: Connection, now: datetime) -> Notice | None:
    """The new high risks nobody was told of; None where there are none, or the last attempt failed just now.

    New is a risk that was detected, reopened, or risen to high or critical since the last notice, and is open still.
    After a failure it waits 1, 2, 4 ... minutes, or as long as the receiver asked for; at most a day.
    """
    told = list(read_events(connection, types=(TOLD,)))
    since = told[-1].payload["up_to_seq"] if told else 0
    failures = list(read_events(connection, types=(FAILED,), after_seq=told[-1].seq if told else 0))
    if failures:
        asked = timedelta(seconds=min(failures[-1].payload.get(ASKED, 0), LONGEST_WAIT.total_seconds()))
        wait = min(timedelta(minutes=2 ** min(len(failures) - 1, 20)), LONGEST_WAIT)
        if now < failures[-1].at + max(wait, asked):
            return None
    newest = head(connection)
    events = list(read_events(connection, types=("risk_detected", "packet_built", "reopened"), after_seq=since))
    if newest is None or not events:
        return None
    found = find_cases(connection, sorted({str(event.case_id) for event in events}))
    high = {case_id: case for case_id, case in found.items() if _is_high(case)}
    fresh = {str(event.case_id) for event in events if event.type in {"risk_detected", "reopened"}}
    before = _severity_before(connection, [one for one in high if one not in fresh], since)
    new = [case for case_id, case in sorted(high.items()) if case_id in fresh or before.get(case_id) not in HIGH]
    return Notice(tuple(new), since, newest.seq, len(failures)) if new else None


def body_of(notice: Notice, origin: str) -> dict[str, Any]:
    """What is posted: ids, categories of the policy, severities, links. A `notice_id` that is known can be dropped."""
    severities = Counter(_severity(case) for case in notice.cases)
    counted = ", ".join(f"{severities[one]} {one}" for one in ("critical", "high") if severities[one])
    count = len(notice.cases)
    risks = "risk" if count == 1 else "risks"
    return {
        "title": f"{count} new high {risks}",
        "text": f"{count} new high or critical customer {risks} at the review desk: {counted}. {origin}/queue",
        "notice_id": hashlib.sha256(
            ",".join([str(notice.since_seq), *(case.case_id for case in notice.cases)]).encode()
        ).hexdigest()[:32],
        "risks": [
            {
                "case_id": case.case_id,
                "account_id": case.account_id,
                "category": case.category,
                "severity": _severity(case),
                "severity_status": case.severity_status,
                "desk_url": f"{origin}/cases/{case.case_id}",
            }
            for case in notice.cases[:MOST_LISTED]
        ],
        "not_listed": max(0, count - MOST_LISTED),
    }


def tell_high_risks(
    ledger: Ledger, settings: Settings, origin: str, pause: Callable[[float], None] = time.sleep
) -> Event | None:
    """Tell what is due, and record that it was told or could not be; None where nothing is due or no webhook is set.

    It never raises for a webhook that does not answer: a review is no less published for it. One process at a time does
    it; on several machines a notice may come twice, with the same `notice_id`.

    Parameters
    ----------
    origin : the desk's address
    pause : waits so many seconds between attempts
    """
    if settings.webhook_url is None:
        return None
    try:
        with FileLock(settings.home / "ledger" / "telling.lock", timeout=0):
            return _tell(ledger, settings.webhook_url, origin, pause)
    except Timeout:
        return None


def _tell(ledger: Ledger, url: str, origin: str, pause: Callable[[float], None]) -> Event | None:
    with reading(ledger.engine) as connection:
        notice = due_notice(connection, ledger.clock.now())
    if notice is None:
        return None
    body = body_of(notice, origin)
    missed: NotTaken | None = post_json(url, body, pause=pause)
    payload: dict[str, Any] = {
        "notice_id": body["notice_id"],
        "risks": len(notice.cases),
        "up_to_seq": notice.up_to_seq,
        "attempt": notice.failures + 1,
    }
    kind = TOLD if missed is None else FAILED
    if missed is not None:
        log.error("telling_failed", reason=missed.reason, risks=len(notice.cases), attempt=notice.failures + 1)
        if missed.wait_seconds is not None:
            payload[ASKED] = math.ceil(missed.wait_seconds)
    with writing(ledger.engine) as connection:
        return append(connection, [Draft(kind, SYSTEM, ledger.clock.now(), payload)])[0]


def _is_high(case: Case) -> bool:
    return case.side == "risk" and not case.has_ended and bool({case.severity, case.suggested_severity} & HIGH)


def _severity(case: Case) -> str:
    """The higher of suggested and confirmed: high-risk is what is so in either status."""
    return "critical" if "critical" in {case.severity, case.suggested_severity} else "high"


def _severity_before(connection: Connection, case_ids: Sequence[str], seq: int) -> dict[str, str | None]:
    """What each case's packet said of its severity at that event."""
    if not case_ids:
        return {}
    events = read_events(connection, case_ids, ("risk_detected", "packet_built"), up_to_seq=seq)
    return {str(event.case_id): event.payload["severity"] for event in events}
