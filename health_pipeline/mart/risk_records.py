"""Reads the landed records behind risk signals, and looks pieces of evidence up again in the history they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.landing import landing_tables
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.evidence import history_of
from health_pipeline.mart.warehouse import INTERMEDIATE_SCHEMA
from health_pipeline.settings import Settings

MODEL = "int_risk_evidence_weekly"
RECORD_COLUMNS = (
    "account_id",
    "week",
    "record_set",
    "source_kind",
    "source_system",
    "source_instance",
    "source_table",
    "source_record_id",
    "load_id",
    "value",
    "observed_at",
    "available_at",
    "as_of_at",
    "known_at",
    "text_field",
    "span_start",
    "span_end",
)


def read_risk_records(settings: Settings, week: Week, account_ids: Sequence[str]) -> pa.Table:
    """Read the records of some accounts in a week, by account and set, the most telling first.

    Returns
    -------
    pyarrow.Table
        RECORD_COLUMNS, as int_risk_evidence_weekly has them; no text and no person's name.

    Raises
    ------
    FileNotFoundError
        If there is no warehouse yet.
    """
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        connection.register("asked", pa.table({"account_id": pa.array(list(account_ids), pa.string())}))
        return connection.execute(
            f"select {', '.join(f'records.{name}' for name in RECORD_COLUMNS)} "
            f"from {INTERMEDIATE_SCHEMA}.{MODEL} as records semi join asked using (account_id) "
            "where records.week = ? order by records.account_id, records.record_set, records.place",
            [week.monday],
        ).to_arrow_table()


def risk_query_hash(settings: Settings) -> str:
    """Hash of the compiled model that found the records, 16 hexadecimal digits.

    Raises
    ------
    FileNotFoundError
        If the feature mart was not built on this machine.
    """
    compiled = settings.home / "dbt" / "target" / "compiled"
    found = sorted(compiled.rglob(f"{MODEL}.sql"))
    if not found:
        raise FileNotFoundError(f"{compiled} has no {MODEL}.sql; build the feature mart before risks are reviewed.")
    parts = sorted({path.name: path for path in compiled.rglob("int_evidence_*_weekly.sql")}.items())
    digest = hashlib.sha256(found[0].read_bytes())
    for _, path in parts:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def unresolved_evidence(settings: Settings, evidence: pa.Table) -> list[str]:
    """The pieces of evidence that no landed record stands behind, looked up apart from the model that found them.

    A record stands behind a piece where the history has it under the same kind, system, instance, id and load, not
    deleted, happened before `as_of_at` where its table has an event time, and known by `known_at`.

    Parameters
    ----------
    evidence : rows of risk_evidence

    Returns
    -------
    list of str
        Their evidence_ids, sorted; empty where every piece resolves.
    """
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        connection.register("evidence", evidence)
        tables = [row[0] for row in connection.execute("select distinct source_table from evidence").fetchall()]
        connection.execute("create temporary table resolved (evidence_id varchar)")
        for table in sorted(tables):
            if table == SOURCE_LOAD or table in landing_tables():
                connection.execute(f"insert into resolved {_resolved_query(table)}", [table])
        rows = connection.execute(
            "select distinct evidence_id from evidence anti join resolved using (evidence_id) order by evidence_id"
        ).fetchall()
    return [row[0] for row in rows]


SOURCE_LOAD = "source_load"


def record_id_sql(table: str) -> str:
    """How a record of a landing table is named in evidence: the last part of its key; of a roll-up its day too."""
    if table == SOURCE_LOAD:
        return "load_id || ' ' || table_name"
    if table == "usage_daily":
        return "source_account_id || ' ' || cast(usage_date as varchar)"
    return f"cast({landing_tables()[table].key[-1]} as varchar)"


def _resolved_query(table: str) -> str:
    if table == SOURCE_LOAD:
        relation, known, happened, kept = "landing.source_load", "loaded_at", "loaded_at", "true"
    else:
        contract = landing_tables()[table]
        relation = f"{INTERMEDIATE_SCHEMA}.{history_of(table)}"
        known = "valid_from" if contract.is_mutable else "available_at"
        event = contract.event_time
        is_told = event is not None and contract.column(event).is_required
        happened = f"cast({event} as timestamp)" if is_told else "cast(null as timestamp)"
        kept = "not is_deleted"
    return f"""
        select evidence.evidence_id
        from evidence
        inner join (
            select source_kind, source_system, source_instance, {record_id_sql(table)} as source_record_id, load_id,
                {known} as known_from, {happened} as happened_at
            from {relation} where {kept}
        ) as records using (source_kind, source_system, source_instance, source_record_id, load_id)
        where evidence.source_table = ?
            and records.known_from <= evidence.known_at
            and coalesce(records.happened_at < evidence.as_of_at, true)
    """
