"""Which packet bodies the kept releases refer to, so that the restricted store can let go of the others."""

from __future__ import annotations

from datetime import datetime

from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.published import MART_FILE
from health_pipeline.risk.restricted import Collected, collect_garbage
from health_pipeline.settings import Settings


def bodies_of_releases(settings: Settings) -> set[str]:
    """Addresses of the bodies in the risk_packets of every release that is kept."""
    found: set[str] = set()
    for file in sorted((settings.published / "releases").glob(f"*/{MART_FILE}")):
        with open_duckdb(file, read_only=True) as connection:
            there = connection.execute(
                "select 1 from duckdb_columns() where table_name = 'risk_packets' and column_name = 'body_sha256'"
            ).fetchone()
            if there:
                rows = connection.execute("select distinct body_sha256 from risk_packets where body_sha256 is not null")
                found |= {address for (address,) in rows.fetchall()}
    return found


def let_go_of_bodies(settings: Settings, now: datetime) -> Collected:
    """Remove bodies and texts that no kept release and no held case refers to, once they are a day old."""
    return collect_garbage(settings, bodies_of_releases(settings), now)
