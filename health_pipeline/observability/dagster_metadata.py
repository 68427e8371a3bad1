"""Dagster metadata from plain values, and what every partitioned asset needs of its context.

Beside the rooms' `assets.py` and `checks.py` the one module that imports Dagster: they share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables

# Every asset that reads or writes a store takes part in the run lock, and is taken down in the run's record.
STORES = {"settings", "run_lock", "run_record", "second_process", "clock"}
OWNERS = ["team:customer-success-data"]


def weeks_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[Week]:
    """The run's weeks in order; a single-run backfill has several."""
    return [Week.parse(key) for key in sorted(context.partition_keys)]


def mart_spec(name: str, group: str, deps: Sequence[Any], kinds: set[str]) -> dg.AssetSpec:
    """Spec of a published table: the grain first, its columns with their descriptions, its owners."""
    table = mart_tables()[name]
    return dg.AssetSpec(
        name,
        deps=deps,
        group_name=group,
        description=f"{table.grain}\n\n{key_sentence(name)}",
        owners=OWNERS,
        kinds=kinds,
        metadata={"dagster/column_schema": column_schema(name), "dagster/table_name": published_name(name)},
    )


def column_schema(name: str) -> dg.TableSchema:
    """The built columns of a published table; its key is never null."""
    table = mart_tables()[name]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.name not in table.key),
            )
            for column in table.built_columns
        ]
    )


def key_sentence(name: str) -> str:
    """Key and partition of a published table, and where it is read."""
    table = mart_tables()[name]
    sliced = f"a slice per {table.partition}" if table.slice_column else "kept whole"
    if table.slice_column not in ("", table.partition):
        sliced += f", by {table.slice_column}"
    return (
        f"Key: {', '.join(table.key)}; {sliced}. Read it as `{name}` in the published "
        "`customer_health.duckdb`: what a run builds counts once it is released."
    )


def published_name(name: str) -> str:
    """The table's name in the published mart: the warehouse that builds it is the pipeline's own."""
    return f"customer_health.main.{name}"


def rows_by_slice(table: pa.Table, column: str) -> dict[str, int]:
    """Rows per week or quarter of a table."""
    return {str(count["values"]): count["counts"] for count in pc.value_counts(table[column]).to_pylist()}


def report_slices(
    context: dg.AssetExecutionContext,
    name: str,
    table: pa.Table,
    numbers: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Attach row counts, and the numbers given per partition, to each partition: the UI plots them over time."""
    column = mart_tables()[name].slice_column
    counts = rows_by_slice(table, column) if column else {}
    for key in context.partition_keys:
        values: dict[str, float] = {"dagster/partition_row_count": counts.get(key, 0)} if column else {}
        values.update((numbers or {}).get(key, {}))
        if values:
            context.add_asset_metadata(
                {label: _plain(value) for label, value in values.items()}, asset_key=name, partition_key=key
            )
    if not column:
        context.add_asset_metadata({"dagster/row_count": table.num_rows}, asset_key=name)


def report_numbers(
    context: dg.AssetExecutionContext, asset: str | Sequence[str], numbers: Mapping[str, Mapping[str, float]]
) -> None:
    """Attach the numbers given per partition to an asset that is no published table."""
    for key in context.partition_keys:
        values = {label: _plain(value) for label, value in numbers.get(key, {}).items()}
        if values:
            context.add_asset_metadata(values, asset_key=dg.AssetKey(asset), partition_key=key)


def _plain(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


# Above it the UI hides Markdown behind a link.
MARKDOWN_LIMIT = 1000


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of as many rows as fit into `MARKDOWN_LIMIT`; numbers to the right, None as an empty cell."""
    if not rows:
        return "No row."
    names = list(rows[0])
    is_number = {name: any(isinstance(row[name], int | float) for row in rows) for name in names}
    lines = [
        "| " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "|" + "|".join("---:" if is_number[name] else "---" for name in names) + "|",
    ]
    length = sum(len(line) + 1 for line in lines)
    for place, row in enumerate(rows):
        line = "| " + " | ".join(_cell(row[name]) for name in names) + " |"
        more = f"\n{len(rows) - place} more rows."
        if length + len(line) + 1 + len(more) >= MARKDOWN_LIMIT:
            return "\n".join(lines) + "\n" + more
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "/").replace("\n", " ")


def newest_week(table: pa.Table, by: str, sums: Mapping[str, str]) -> str:
    """The newest week of a weekly table by one of its columns, as a Markdown table: rows, and sums of columns.

    Parameters
    ----------
    table : with a column `week`
    by : the column it is grouped by; never one that names a person
    sums : column to its heading; a sum of unknowns only is empty
    """
    weeks = [week for week in table["week"].unique().to_pylist() if week is not None]
    if not weeks:
        return "No row."
    rows = table.filter(pc.equal(table["week"], pa.scalar(max(weeks), pa.date32())))
    summed = rows.group_by([by]).aggregate([([], "count_all"), *((column, "sum") for column in sums)])
    shown = []
    for row in summed.sort_by([("count_all", "descending"), (by, "ascending")]).to_pylist():
        values = {heading: row[f"{column}_sum"] for column, heading in sums.items()}
        plain = {
            heading: value if value is None else _plain(round(float(value), 1)) for heading, value in values.items()
        }
        shown.append({by: row[by], "rows": row["count_all"], **plain})
    return markdown_table(shown)


def report_preview(context: dg.AssetExecutionContext, name: str, markdown: str) -> None:
    """Attach a preview of the newest week to an asset: sums and counts, no account's or person's data."""
    context.add_asset_metadata({"newest week": dg.MetadataValue.md(markdown[: MARKDOWN_LIMIT - 1])}, asset_key=name)
