"""A small company written by hand: loads as Parquet files, links, and dbt run over them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dbt.cli.main import dbtRunner

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.content import content_hash
from health_pipeline.contract.landing import SOURCE_KINDS, arrow_schema, landing_tables
from health_pipeline.mart.dbt import (
    DBT_PROJECT,
    dbt_environment,
    dbt_vars,
    ensure_manifest,
    write_landing_manifest,
)
from health_pipeline.mart.warehouse import read_mart
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.settings import Settings
from health_pipeline.sources.records import MANIFEST_SCHEMA

sys.path.insert(0, str(Path(__file__).parent / "reference"))

IDENTITY_SCHEMAS = {
    "identity_account": pa.schema(
        [
            *[(name, pa.string()) for name in ("account_id", "anchor_source_kind", "anchor_source_system")],
            *[(name, pa.string()) for name in ("anchor_source_instance", "anchor_source_account_id")],
            ("first_seen_at", pa.timestamp("us")),
            ("merged_into_account_id", pa.string()),
            ("merged_at", pa.timestamp("us")),
        ]
    ),
    "identity_link": pa.schema(
        [
            *[(name, pa.string()) for name in ("account_id", "source_kind", "source_system")],
            *[(name, pa.string()) for name in ("source_instance", "source_account_id", "method")],
            ("confidence", pa.float64()),
            ("evidence", pa.string()),
            ("valid_from", pa.timestamp("us")),
            ("valid_to", pa.timestamp("us")),
            ("decided_by", pa.string()),
        ]
    ),
    "identity_suggestion": pa.schema(
        [
            *[(name, pa.string()) for name in ("source_kind", "source_system", "source_instance")],
            ("source_account_id", pa.string()),
            ("first_seen_at", pa.timestamp("us")),
            ("suggested_account_id", pa.string()),
            ("suggestion_confidence", pa.float64()),
            ("reason", pa.string()),
        ]
    ),
}
LONG_AGO = datetime(2020, 1, 1)
LATENCY = timedelta(hours=6)
COMPANY = CompanyPolicy(company_name="Hand-made", live_within_days=365)


@dataclass
class HandMadeCompany:
    """Loads and links, in the order they are given."""

    folder: Path
    manifest_rows: list[dict[str, Any]] = field(default_factory=list)
    accounts: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)

    def load(
        self,
        kind: str,
        loaded_at: datetime,
        tables: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        mode: str = "incremental",
        complete: Iterable[str] = (),
        system: str | None = None,
    ) -> str:
        """Land one load; a row gives the columns that matter, `_historical` loads imply their clocks."""
        sequence = 1 + max((row["load_sequence"] for row in self.manifest_rows), default=0)
        load_id = f"load-{sequence:03d}-{kind}"
        source_system = system or f"{kind}_system"
        # As the landing does: a table of the kind that was not sent is there, empty, and marked as not delivered.
        unsent = {name: () for name, table in landing_tables().items() if kind in table.kinds and name not in tables}
        for name, rows in {**tables, **unsent}.items():
            table = landing_tables()[name]
            path = self.folder / load_id / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            full = []
            for row in rows:
                available, attributes = self._clocks(table, row, mode, loaded_at)
                full.append(
                    {
                        "source_system": source_system,
                        "source_instance": "default",
                        "loaded_at": loaded_at,
                        "load_id": load_id,
                        "load_sequence": sequence,
                        "available_at": available,
                        "attributes_available_at": attributes,
                        "is_available_at_imputed": mode == "historical",
                        **row,
                    }
                )
            pq.write_table(pa.Table.from_pylist(full, schema=arrow_schema(table)), path)
            self.manifest_rows.append(
                {
                    "load_sequence": sequence,
                    "load_id": load_id,
                    "source_kind": kind,
                    "source_system": source_system,
                    "source_instance": "default",
                    "mode": mode,
                    "table_name": name,
                    "path": str(path),
                    "rows": len(full),
                    "is_complete": name in complete,
                    "is_delivered": name in tables,
                    "loaded_at": loaded_at,
                    "content_sha256": "",
                }
            )
        return load_id

    @staticmethod
    def _clocks(table: Any, row: Mapping[str, Any], mode: str, loaded_at: datetime) -> tuple[datetime, datetime]:
        if mode == "incremental":
            return loaded_at, loaded_at
        happened = row.get(table.event_time) or row.get("source_created_at") or row.get("source_updated_at")
        if isinstance(happened, date) and not isinstance(happened, datetime):
            happened = datetime.combine(happened, datetime.min.time())
        available = min(loaded_at, (happened or loaded_at) + LATENCY)
        if not table.is_mutable:
            return available, available
        updated = row.get("source_updated_at")
        attributes = min(loaded_at, updated + LATENCY) if updated else loaded_at
        return available, max(available, attributes)

    def account(self, account_id: str, kind: str = "crm", record: str | None = None) -> None:
        """An account with its anchor record."""
        self.accounts.append(
            {
                "account_id": account_id,
                "anchor_source_kind": kind,
                "anchor_source_system": f"{kind}_system",
                "anchor_source_instance": "default",
                "anchor_source_account_id": record or account_id,
                "first_seen_at": LONG_AGO,
            }
        )

    def link(
        self,
        account_id: str,
        kind: str,
        record: str | None = None,
        valid_from: datetime = LONG_AGO,
        valid_to: datetime | None = None,
    ) -> None:
        """The record of that kind's system counts for the account; by default it has the account's own id."""
        self.links.append(
            {
                "account_id": account_id,
                "source_kind": kind,
                "source_system": f"{kind}_system",
                "source_instance": "default",
                "source_account_id": record or account_id,
                "method": "anchor",
                "confidence": 1.0,
                "evidence": "",
                "valid_from": valid_from,
                "valid_to": valid_to,
                "decided_by": "rule",
            }
        )

    def link_all(self, account_id: str, kinds: Iterable[str] = SOURCE_KINDS) -> None:
        """Known to each of the kinds under its own id."""
        self.account(account_id)
        for kind in kinds:
            self.link(account_id, kind)

    def manifest(self, through: int | None = None) -> pa.Table:
        """The committed loads, up to a load sequence."""
        rows = [row for row in self.manifest_rows if through is None or row["load_sequence"] <= through]
        return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)

    @property
    def load_sequences(self) -> list[int]:
        return sorted({row["load_sequence"] for row in self.manifest_rows})

    def write_identity(self, settings: Settings) -> None:
        settings.identity.mkdir(parents=True, exist_ok=True)
        rows = {
            "identity_account": self.accounts,
            "identity_link": self.links,
            "identity_suggestion": [],
        }
        for name, schema in IDENTITY_SCHEMAS.items():
            pq.write_table(pa.Table.from_pylist(rows[name], schema=schema), settings.identity / f"{name}.parquet")


@contextmanager
def environment(values: Mapping[str, str]):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Mart:
    """dbt over one state folder, in this process and with a manifest parsed once: a run takes a few seconds."""

    parsed: Any = None

    def __init__(self, home: Path, company: HandMadeCompany, policy: CompanyPolicy = COMPANY) -> None:
        self.settings = Settings(home=home)
        self.company = company
        self.policy = policy

    def dbt(self, *args: str, weeks: Sequence[Week], through: int | None = None, succeeds: bool = True) -> Any:
        self.company.write_identity(self.settings)
        write_landing_manifest(self.settings, self.company.manifest(through))
        variables = dbt_vars(self.settings, self.policy, weeks)
        with environment({**dbt_environment(self.settings), "HEALTH_DBT_KEEPS_OPEN": "False"}):
            if Mart.parsed is None:
                ensure_manifest()
                Mart.parsed = dbtRunner().invoke(["--quiet", "parse", *self._project()]).result
            result = dbtRunner(manifest=Mart.parsed).invoke(
                ["--quiet", *args, *self._project(), "--vars", json.dumps(variables)]
            )
        assert result.success is succeeds, result.exception or [
            (node.node.name, node.message) for node in result.result if node.status in {"error", "fail"}
        ]
        return result

    @staticmethod
    def _project() -> list[str]:
        return ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]

    def build(self, *weeks: Week, through: int | None = None, tests: bool = False) -> Mart:
        """Build those weeks from the loads up to `through`; with `tests`, the data tests too."""
        args = ("build", "--exclude-resource-type", "unit_test") if tests else ("run",)
        self.dbt(*args, weeks=weeks, through=through)
        return self

    def row(self, account_id: str, week: Week, table: str = "account_features_weekly") -> dict[str, Any] | None:
        found = [row for row in read_mart(self.settings, table, [week]).to_pylist() if row["account_id"] == account_id]
        return found[0] if found else None

    def features(self, *weeks: Week) -> pa.Table:
        return read_mart(self.settings, "account_features_weekly", list(weeks) or None)

    def query(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.settings.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def plan(self, sql: str) -> str:
        """How DuckDB would answer it: names of operators, cut to the width of their boxes."""
        with duckdb.connect(str(self.settings.warehouse), read_only=True) as connection:
            return connection.execute(f"explain {sql}").fetchall()[0][1]

    def history(self) -> dict[str, str]:
        """Content hash of every history table."""
        with duckdb.connect(str(self.settings.warehouse), read_only=True) as connection:
            names = [
                node["name"]
                for node in json.loads(ensure_manifest().read_text())["nodes"].values()
                if "history" in node["config"].get("tags", [])
            ]
            assert len(names) > 20
            return {
                name: content_hash(connection.execute(f'select * from intermediate."{name}"').to_arrow_table())
                for name in sorted(names)
            }


@pytest.fixture(scope="session")
def mart_of(tmp_path_factory):
    """`mart_of(company)`: dbt over a state folder of its own."""

    def make(company: HandMadeCompany, policy: CompanyPolicy = COMPANY) -> Mart:
        return Mart(tmp_path_factory.mktemp("mart") / "home", company, policy)

    return make


@pytest.fixture(scope="session")
def new_company(tmp_path_factory):
    """`new_company()`: an empty company to be written by hand."""

    def make() -> HandMadeCompany:
        return HandMadeCompany(tmp_path_factory.mktemp("landing"))

    return make


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The models for the random company's weeks and policy, compiled once; see reference/reference_compiled.py."""
    from reference_company import POLICY, WEEKS
    from reference_compiled import CompiledMart, compile_models

    home = tmp_path_factory.mktemp("compiled") / "home"
    return CompiledMart(compile_models(home, POLICY, WEEKS, environment), IDENTITY_SCHEMAS)
