"""What the command line shows at a glance: releases, incidents, policy documents."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from health_pipeline.identity.overrides import load_overrides
from health_pipeline.policy.capacity import load_capacity
from health_pipeline.policy.company import load_company
from health_pipeline.policy.defect_themes import load_defect_themes
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.policy.playbooks import load_playbooks
from health_pipeline.policy.segmentation import load_segmentation
from health_pipeline.publication.releases import current_release, list_releases
from health_pipeline.quality.incidents import list_incidents
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


def incidents_table(settings: Settings) -> Table:
    """The incidents that are not closed."""
    table = Table("incident", "opened at (UTC)", "state", "owner", "week", "what")
    for incident in list_incidents(settings.ledger_url):
        if incident.state == "closed":
            continue
        table.add_row(
            incident.id,
            f"{incident.opened_at:%Y-%m-%d %H:%M}",
            incident.state,
            incident.owner_email,
            str(incident.week or ""),
            incident.title,
        )
    return table


def checked_documents(settings: Settings) -> Iterator[str]:
    """Validate every document; one line each."""
    plan = (load_playbooks, load_capacity, load_defect_themes)
    for loader in (load_company, load_health_score, load_segmentation, *plan):
        document = loader(settings.policy)
        yield f"ok  {document.name:<18} {document.hash}  {document.path}"
    overrides = load_overrides(settings.policy, settings.home)
    count = len(overrides.overrides) + len(overrides.merges)
    yield f"ok  {'identity_overrides':<18} {count} entries"
