"""A landing small enough to read: loads of `source_account` rows, written down in the order they were made."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from health_pipeline.contract.landing import arrow_schema, landing_tables
from health_pipeline.identity.crosswalk import Crosswalk, build_crosswalk
from health_pipeline.identity.match import links_as_known
from health_pipeline.identity.overrides import Overrides

sys.path.insert(0, str(Path(__file__).parent))

START = datetime(2026, 1, 5, 2)
SCHEMA = arrow_schema(landing_tables()["source_account"])
MANIFEST_SCHEMA = pa.schema(
    [
        ("load_sequence", pa.int64()),
        ("load_id", pa.string()),
        ("source_kind", pa.string()),
        ("source_system", pa.string()),
        ("source_instance", pa.string()),
        ("mode", pa.string()),
        ("table_name", pa.string()),
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("is_complete", pa.bool_()),
        ("loaded_at", pa.timestamp("us")),
        ("content_sha256", pa.string()),
    ]
)


@dataclass
class Book:
    """Collects loads; a system is named after its kind unless the load says otherwise."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)

    def load(
        self,
        day: float,
        kind: str,
        records: list[dict[str, Any]],
        system: str | None = None,
        instance: str = "default",
        mode: str = "incremental",
        is_complete: bool = False,
    ) -> None:
        """One load `day` days after the start. A historical record says `known` and `attributes` as days."""
        sequence = len(self.loads) + 1
        loaded_at = START + timedelta(days=day)
        system = system or f"{kind}_system"
        self.loads.append(
            {
                "load_sequence": sequence,
                "load_id": f"load-{sequence}",
                "source_kind": kind,
                "source_system": system,
                "source_instance": instance,
                "mode": mode,
                "table_name": "source_account",
                "path": "",
                "rows": len(records),
                "is_complete": is_complete,
                "loaded_at": loaded_at,
                "content_sha256": "",
            }
        )
        for record in records:
            known = START + timedelta(days=record.get("known", day))
            attributes = START + timedelta(days=record.get("attributes", record.get("known", day)))
            self.rows.append(
                {
                    "source_account_id": record["id"],
                    "name": record.get("name", f"Company {record['id']}"),
                    "domain": record.get("domain"),
                    "website": record.get("website"),
                    "external_account_id": record.get("external"),
                    "is_deleted": record.get("deleted"),
                    "source_system": system,
                    "source_instance": instance,
                    "loaded_at": loaded_at,
                    "load_id": f"load-{sequence}",
                    "load_sequence": sequence,
                    "available_at": known,
                    "attributes_available_at": attributes,
                    "is_available_at_imputed": mode == "historical",
                }
            )

    def until(self, day: float) -> Book:
        """The same book without the incremental loads made after that day."""
        cut = START + timedelta(days=day)
        kept = [load for load in self.loads if load["mode"] == "historical" or load["loaded_at"] <= cut]
        sequences = {load["load_sequence"] for load in kept}
        return Book([row for row in self.rows if row["load_sequence"] in sequences], kept)

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """Landed rows and manifest."""
        return (
            pa.Table.from_pylist(self.rows, schema=SCHEMA),
            pa.Table.from_pylist(self.loads, schema=MANIFEST_SCHEMA),
        )

    def crosswalk(self, overrides: Overrides | None = None, **others: Any) -> Crosswalk:
        """Build it."""
        return build_crosswalk(*self.tables(), overrides, **others)

    @staticmethod
    def at(day: float) -> datetime:
        """The moment that many days after the start."""
        return START + timedelta(days=day)

    @staticmethod
    def accounts_at(crosswalk: Crosswalk, day: float) -> dict[str, tuple[str, str]]:
        """Account and method of each record, `kind:id`, as known then."""
        links = links_as_known(crosswalk.links, Book.at(day)).to_pylist()
        found = {f"{link['source_kind']}:{link['source_account_id']}": link for link in links}
        assert len(found) == len(links), "a record has two links at one time"
        return {name: (link["account_id"], link["method"]) for name, link in found.items()}

    @staticmethod
    def new() -> Book:
        """An empty one."""
        return Book()


@pytest.fixture
def book() -> Book:
    """An empty landing."""
    return Book()
