"""Which packet bodies the kept releases refer to, so that the restricted store can let go of the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from health_pipeline.mart.connection import open_duckdb
from health_pipeline.publication.releases import list_releases
from health_pipeline.risk.restricted import Collected, collect_garbage
from health_pipeline.settings import Settings


def bodies_of_releases(settings: Settings) -> set[str]:
    """Addresses of the bodies in the risk_packets of every release that is kept.

    Each slice is read once: of two releases in a row all weeks but one are the same, as their manifests say. The newest
    comes first, for it holds the weeks of the others: opening two years of 10,000 customers takes 0.3 s.
    """
    found: set[str] = set()
    read: set[str] = set()
    for release in reversed(list_releases(settings)):
        slices = release.manifest["slices"].get("risk_packets", {})
        unread = [week for week, content in slices.items() if content not in read]
        read.update(slices.values())
        if unread:
            found |= _bodies(release.file, unread)
    return found


def _bodies(file: Path, weeks: Sequence[str]) -> set[str]:
    with open_duckdb(file, read_only=True) as connection:
        there = connection.execute(
            "select 1 from duckdb_columns() where table_name = 'risk_packets' and column_name = 'body_sha256'"
        ).fetchone()
        if not there:
            return set()
        rows = connection.execute(
            "select distinct body_sha256 from risk_packets where body_sha256 is not null "
            "and week in (select unnest(?::date[]))",
            [weeks],
        )
        return {address for (address,) in rows.fetchall()}


def let_go_of_bodies(settings: Settings, now: datetime) -> Collected:
    """Remove bodies and texts that no kept release and no held case refers to, once they are a day old."""
    return collect_garbage(settings, bodies_of_releases(settings), now)
