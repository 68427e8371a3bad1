"""What the command line shows at a glance: releases, incidents, policy documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from health_pipeline.identity.overrides import load_overrides
from health_pipeline.policy.capacity import load_capacity
from health_pipeline.policy.company import load_company
from health_pipeline.policy.defect_themes import load_defect_themes
from health_pipeline.policy.documents import Document
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.policy.playbooks import load_playbooks
from health_pipeline.policy.review import load_review
from health_pipeline.policy.segmentation import load_segmentation
from health_pipeline.policy.validation import load_validation
from health_pipeline.publication.releases import current_release, list_releases
from health_pipeline.quality.incidents import find_incident, incident_events, list_incidents
from health_pipeline.settings import Settings


def releases_table(settings: Settings) -> Table:
    """The releases that are kept, newest last."""
    table = Table("", "release", "kind", "weeks", "quarters", "built at (UTC)", "reason")
    newest = current_release(settings)
    for release in list_releases(settings):
        manifest = release.manifest
        weeks = manifest["weeks"]
        span = f"{weeks[0]} .. {weeks[-1]}" if len(weeks) > 1 else "".join(weeks)
        table.add_row(
            "*" if newest is not None and release.name == newest.name else "",
            release.name,
            manifest["kind"],
            span,
            ", ".join(manifest["quarters"]),
            manifest["built_at"][:16],
            manifest["reason"] or "",
        )
    return table


def incidents_table(settings: Settings, now: datetime, is_all: bool = False) -> Table:
    """The incidents that are not closed, or all of them; newest first."""
    table = Table("incident", "opened at (UTC)", "age", "state", "owner", "week", "what", *(["note"] if is_all else []))
    for incident in list_incidents(settings.ledger_url):
        if incident.state == "closed" and not is_all:
            continue
        note = f"{incident.closed_by}: {incident.note}" if incident.state == "closed" else ""
        table.add_row(
            incident.id,
            f"{incident.opened_at:%Y-%m-%d %H:%M}",
            incident.age(now),
            incident.state,
            incident.owner_email,
            str(incident.week or ""),
            escape(incident.title),
            *([escape(note)] if is_all else []),
        )
    return table


def incident_lines(settings: Settings, incident_id: str) -> Iterator[str]:
    """One incident in full: the checks that failed, ids of their rows, what happened."""
    incident = find_incident(settings.ledger_url, incident_id)
    yield f"{incident.id}  {incident.state}, owner {incident.owner_email}, week {incident.week or 'none'}"
    yield escape(incident.title)
    for check in incident.details["checks"]:
        ids = ["/".join(str(value) for value in row.values()) for row in check["row_ids"]]
        what = f"{check['unexpected_count']:,} rows" if check["evaluated"] else f"not evaluated: {check['error']}"
        yield escape(f"  {check['check']} ({check['severity']}): {what}; {check['reason']}")
        if ids:
            yield escape(f"    first {len(ids)}: {', '.join(ids)}")
    for event in incident_events(settings.ledger_url, incident_id):
        owner = f" to {event.owner_email}" if event.act == "assigned" else ""
        note = f": {event.note}" if event.note else ""
        yield escape(f"  {event.at:%Y-%m-%d %H:%M} UTC  {event.act}{owner} by {event.by}{note}")


_LOADERS: tuple[Callable[[Path | None], Document[Any]], ...] = (
    load_company,
    load_health_score,
    load_segmentation,
    load_validation,
    load_playbooks,
    load_capacity,
    load_defect_themes,
    load_review,
)


def document_loaders(settings: Settings) -> list[Callable[[], object]]:
    """Every document people tune, each as a call that reads and validates it."""
    loaders: list[Callable[[], object]] = [partial(loader, settings.policy) for loader in _LOADERS]
    return [*loaders, partial(load_overrides, settings.policy, settings.home)]
