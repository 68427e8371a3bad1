"""What a candidate's content is called: hashes of what the run handed in, of each slice, table and release."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.content import content_hashes
from health_pipeline.contract.mart import MartTable, mart_tables
from health_pipeline.mart.landing_columns import DBT_ROOMS
from health_pipeline.publication.mart_file import built_content_hash, built_rows, rows_of
from health_pipeline.publication.releases import Release

# They say when and how often something ran, not what it found: the same inputs would never give the same content.
OUTSIDE_CONTENT = ("publication_log", "run_summary")


def has_new_models(base: Release, tables: Mapping[str, pa.Table]) -> bool:
    """Whether the run's segment models are others than the published ones."""
    models = tables.get("segment_models")
    if models is None:
        return False
    models_hash = built_content_hash(mart_tables()["segment_models"], models)
    return bool(models_hash != base.manifest["tables"]["segment_models"])


def given_hashes(tables: Mapping[str, pa.Table], weeks: Sequence[Week], quarters: Sequence[Quarter]) -> dict[str, str]:
    """Content of what the run handed in of dbt's tables, unchanged slices too; dbt's record must say the same."""
    days = {"week": [week.monday for week in weeks], "quarter": [quarter.first_day for quarter in quarters]}
    of_dbt = {}
    for name, given in tables.items():
        table = mart_tables()[name]
        if table.room not in DBT_ROOMS:
            continue
        rows = given if table.partition == "none" else rows_of(table, given, days[table.partition])
        of_dbt[name] = built_rows(table, rows)
    return content_hashes(of_dbt)


def slice_hash(table: MartTable, day: date, given: pa.Table, manifest: Mapping[str, Any]) -> str:
    """Of what was handed in, not of what was stored: the gate finds it if the two differ."""
    if table.name in manifest["given_hashes"] and manifest[f"run_{table.partition}s"] == [day.isoformat()]:
        whole_run: str = manifest["given_hashes"][table.name]
        return whole_run
    return built_content_hash(table, rows_of(table, given, [day]))


def table_hash(slices: Mapping[str, str]) -> str:
    """Content of a partitioned table: of its slices' hashes by their first day."""
    return _digest(slices)


def release_hash(tables: Mapping[str, str]) -> str:
    """Content of a release: of its tables' hashes by name, without those that tell of runs."""
    return _digest({name: value for name, value in tables.items() if name not in OUTSIDE_CONTENT})


def _digest(content: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
