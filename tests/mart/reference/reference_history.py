"""What was known of a company at a moment, read the slow way: row by row, from LANDING.md and ARCHITECTURE.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from reference_company import KIND_OF_TABLE, POLICY, Company, Row

from health_pipeline.contract.landing import landing_tables


@dataclass(frozen=True)
class Moment:
    """One week's two clocks, and the links that hold at the second."""

    company: Company
    as_of_at: datetime
    known_at: datetime
    links_known_at: datetime

    @cached_property
    def links(self) -> dict[tuple[str, str, str, str], str]:
        """The account of each source's account, by the links that hold."""
        return {
            (link["source_kind"], link["source_system"], link["source_instance"], link["source_account_id"]): link[
                "account_id"
            ]
            for link in self.company.links
            if link["valid_from"] <= self.links_known_at
            and (link["valid_to"] is None or self.links_known_at < link["valid_to"])
        }

    def account_of(self, kind: str, row: Row, record: str | None) -> str | None:
        """The account a source's account counts for, by the links as known."""
        return self.links.get((kind, row["source_system"], row["source_instance"], record or ""))

    def events(self, table: str, account: str, days: int | None = None) -> list[Row]:
        """Facts that never change: happened before as_of_at (in the last n days), available by known_at."""
        contract = landing_tables()[table]
        first: dict[tuple[Any, ...], Row] = {}
        for row in self.company.landed.get(table, []):
            key = tuple(row[part] for part in contract.key)
            if key not in first or (row["available_at"], row["load_sequence"]) < (
                first[key]["available_at"],
                first[key]["load_sequence"],
            ):
                first[key] = row
        found = []
        for row in first.values():
            happened = as_moment(row[contract.event_time])
            of_account = row.get("source_account_id", row.get("group_id"))
            if (
                row["available_at"] <= self.known_at
                and happened < self.as_of_at
                and (days is None or happened >= self.as_of_at - timedelta(days=days))
                and not row["is_deleted"]
                and self.account_of(KIND_OF_TABLE[table], row, of_account) == account
            ):
                found.append(row)
        return found

    def records(self, table: str, account: str) -> list[Row]:
        """Records that change, each as the version that was known at known_at; deleted ones are left out."""
        return [
            version
            for version in self.versions(table)
            if self.account_of(KIND_OF_TABLE[table], version, version["source_account_id"]) == account
        ]

    def versions(self, table: str) -> Iterator[Row]:
        """The version of every record of a table at known_at."""
        for history in histories(self.company, table):
            known = [version for version in history if version["valid_from"] <= self.known_at]
            if known and not known[-1]["is_deleted"]:
                yield known[-1]

    def lifecycle(self, table: str, row: Row, column: str) -> datetime | None:
        """A lifecycle time as it could be read then: it had happened, and an imputed one could have been known."""
        moment = row.get(column)
        if moment is None or moment >= self.as_of_at:
            return None
        latency = timedelta(hours=POLICY.source(KIND_OF_TABLE[table]).latency_hours)
        if row["is_available_at_imputed"] and moment + latency > self.known_at:
            return None
        return as_moment(moment)

    def is_connected(self, account: str, *tables: str) -> bool:
        """A source that knows the account sends one of the tables."""
        for table in tables:
            kind = KIND_OF_TABLE[table]
            sends = any(load["table_name"] == table and load["is_delivered"] for load in self.company.loads)
            if sends and self.knows(account, kind):
                return True
        return False

    def knows(self, account: str, kind: str) -> bool:
        """The account is linked to a record of that kind of source."""
        origin = {"source_system": f"{kind}_system", "source_instance": "default"}
        return self.account_of(kind, origin, account) == account


def histories(company: Company, table: str) -> Iterator[list[Row]]:
    """Every record's versions in the order in which they became known.

    A row of a historical load is known twice: with its lifecycle columns only, from available_at on, and with all from
    attributes_available_at on. A record that a complete extract does not have is closed at that extract.
    """
    contract = landing_tables()[table]
    lifecycle = {column.name for column in contract.columns if column.is_lifecycle}
    system = {"source_system", "source_instance", "load_id", "load_sequence", "is_available_at_imputed"}
    rows = company.landed.get(table, [])
    for key in sorted({row[contract.key[0]] for row in rows}):
        of_record = [row for row in rows if row[contract.key[0]] == key]
        versions = []
        for row in of_record:
            versions.append({**row, "is_partial": False, "valid_from": row["attributes_available_at"]})
            if row["available_at"] < row["attributes_available_at"]:
                seen = {name: value for name, value in row.items() if name in lifecycle | system}
                versions.append({**seen, "is_partial": True, "is_deleted": False, "valid_from": row["available_at"]})
        first_load = min(row["load_sequence"] for row in of_record)
        for load in company.loads:
            is_missing = load["load_sequence"] not in {row["load_sequence"] for row in of_record}
            is_complete = load["table_name"] == table and load["is_complete"]
            if is_complete and is_missing and first_load < load["load_sequence"]:
                kept = {contract.key[0], "source_account_id", "project_id", "source_system", "source_instance"}
                gone = {name: value for name, value in of_record[0].items() if name in kept}
                gone |= {"load_sequence": load["load_sequence"], "valid_from": load["loaded_at"]}
                versions.append({**gone, "is_deleted": True, "is_partial": False})
        known_in_full = min(version["valid_from"] for version in versions if not version["is_partial"])
        versions = [
            version for version in versions if not version["is_partial"] or version["valid_from"] < known_in_full
        ]
        # of two that become known together the later delivery counts, and the fuller one
        versions.sort(key=lambda one: (one["valid_from"], one["load_sequence"], not one["is_partial"]))
        yield versions


def as_moment(value: Any) -> Any:
    """A date as its first instant; a moment as it is."""
    return value if isinstance(value, datetime) or value is None else datetime.combine(value, datetime.min.time())
