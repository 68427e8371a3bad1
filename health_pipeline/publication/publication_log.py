"""The rows of `publication_log`: the releases before the one being built, rollbacks included."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from health_pipeline.contract.mart import mart_tables
from health_pipeline.publication.history import PublicationEvent, read_history
from health_pipeline.publication.mart_file import read_rows
from health_pipeline.publication.releases import Release, list_releases
from health_pipeline.settings import Settings


def log_rows(settings: Settings, connection: duckdb.DuckDBPyConnection, base: Release | None) -> pa.Table:
    """The base's own log, the base itself, and what happened since it was published.

    After a rollback the releases that were taken back and the rollback itself are listed too.
    """
    table = mart_tables()["publication_log"]
    if base is None:
        return table.arrow_schema.empty_table()
    rows: dict[str, dict[str, Any]] = {row["release"]: row for row in read_rows(connection, table).to_pylist()}
    rows[base.name] = _release_row(base)
    kept = {release.name: release for release in list_releases(settings)}
    for event in read_history(settings):
        if event.sequence <= base.sequence:
            continue
        if event.event == "rollback":
            name = f"r{event.sequence:06d}-rollback"
            rows[name] = _rollback_row(name, event)
        elif event.release in kept:
            rows[event.release] = _release_row(kept[event.release])
    return pa.Table.from_pylist(list(rows.values()), schema=table.arrow_schema)


def _release_row(release: Release) -> dict[str, Any]:
    manifest = release.manifest
    return {
        "release": release.name,
        "base_release": manifest["base_release"],
        "kind": manifest["kind"],
        "weeks": ", ".join(manifest["weeks"]),
        "quarters": ", ".join(manifest["quarters"]),
        "reason": manifest["reason"],
        "built_at": datetime.fromisoformat(manifest["built_at"]),
        "verdict_id": manifest["verdict"]["verdict_id"],
        "content_hash": manifest["content_hash"],
    }


def _rollback_row(name: str, event: PublicationEvent) -> dict[str, Any]:
    return {
        "release": name,
        "base_release": event.release,
        "kind": "rollback",
        "weeks": "",
        "quarters": "",
        "reason": f"{event.reason} (decided by {event.by})",
        "built_at": event.moment,
        "verdict_id": None,
        "content_hash": None,
    }
