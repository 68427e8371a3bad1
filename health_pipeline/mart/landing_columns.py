"""The landing contract and the mart contract written out as dbt reads them: a macro file and two schema files."""

from __future__ import annotations

from pathlib import Path

import yaml

from health_pipeline.contract.landing import (
    DUCKDB_TYPES,
    LOAD_COLUMNS,
    SOURCE_COLUMNS,
    LandingTable,
    landing_tables,
)
from health_pipeline.contract.mart import MartTable, mart_tables
from health_pipeline.settings import REPOSITORY

LANDING_MACRO = REPOSITORY / "dbt_project" / "macros" / "landing_columns.sql"
MART_SCHEMA = REPOSITORY / "dbt_project" / "models" / "marts" / "_marts.yml"
# The published tables as sources of the BI team's own dbt project.
PUBLISHED_PROJECT = REPOSITORY / "dbt_published"
PUBLISHED_SOURCES = PUBLISHED_PROJECT / "models" / "_published.yml"
# Tables that dbt builds; the other tables of the mart contract are built by Python rooms.
DBT_ROOMS = frozenset({"mart", "identity"})


def dbt_tables() -> tuple[MartTable, ...]:
    """The tables of the mart contract that dbt builds, in contract order."""
    return tuple(table for table in mart_tables().values() if table.room in DBT_ROOMS)


def render_landing_columns() -> str:
    """The macro `landing_columns()`: for each landing table its column types, key, event time and lifecycle columns."""
    lines = [
        "{# Written by health_pipeline.mart.landing_columns from the landing contract; a test compares them. #}",
        "{% macro landing_columns() %}",
        "    {{ return({",
    ]
    for table in landing_tables().values():
        lines += _render_table(table)
    lines += ["    }) }}", "{% endmacro %}"]
    return "\n".join(lines) + "\n"


def _render_table(table: LandingTable) -> list[str]:
    system = (*SOURCE_COLUMNS, *LOAD_COLUMNS)
    lifecycle = [column.name for column in (*table.columns, *SOURCE_COLUMNS) if column.is_lifecycle]
    lines = [f"        '{table.name}': {{"]
    lines.append(f"            'key': {list(table.key)},")
    lines.append(f"            'event_time': {table.event_time or ''!r},")
    lines.append(f"            'is_mutable': {str(table.is_mutable).lower()},")
    lines.append(f"            'lifecycle': {lifecycle},")
    lines.append(f"            'own': {list(table.column_names)},")
    lines.append("            'types': {")
    lines += [
        f"                '{column.name}': '{DUCKDB_TYPES[column.type]}'," for column in (*table.columns, *system)
    ]
    lines += ["            },", "        },"]
    return lines


def render_mart_schema(tests: dict[str, list[object]] | None = None) -> str:
    """The schema file of the marts: description with the grain first, columns with types, the grain's test.

    Parameters
    ----------
    tests : further data tests by table
    """
    further = MART_TESTS if tests is None else tests
    models = [
        {
            "name": table.name,
            "description": table.grain,
            "data_tests": [
                _grain_test(table),
                *further.get(table.name, []),
            ],
            "columns": [
                {"name": column.name, "data_type": column.duckdb_type, "description": column.description}
                for column in table.built_columns
            ],
        }
        for table in dbt_tables()
    ]
    head = "# Written by health_pipeline.mart.landing_columns from the mart contract; a test compares them.\n"
    return head + yaml.safe_dump({"models": models}, sort_keys=False, width=140, allow_unicode=True)


def _grain_test(table: MartTable) -> dict[str, object]:
    arguments = {"columns": list(table.key)}
    if table.partition != "week":
        return {"grain": {"arguments": arguments}}
    # named as without the column, so that the check in Dagster stays the one it was
    name = "_".join(["grain", table.name, "__".join(table.key)])
    return {"grain": {"name": name, "arguments": {**arguments, "slice": table.slice_column}}}


MART_TESTS: dict[str, list[object]] = {
    "account_features_weekly": [
        {"one_row_per_spine_row": {"arguments": {"spine": "ref('int_account_week_spine')"}}},
    ],
}


def render_published_sources() -> str:
    """The sources file of `dbt_published`: every published table with its grain, each column described."""
    tables = [
        {
            "name": table.name,
            "description": table.grain,
            "columns": [
                {"name": column.name, "data_type": column.duckdb_type, "description": column.description}
                for column in table.columns
            ],
        }
        for table in mart_tables().values()
    ]
    source = {
        "name": "published",
        "description": "The newest release, as BI reads it; each run replaces it as a whole.",
        "database": "published",
        "schema": "main",
        "tables": tables,
    }
    head = "# Written by health_pipeline.mart.landing_columns from the mart contract; a test compares them.\n"
    return head + yaml.safe_dump({"sources": [source]}, sort_keys=False, width=140, allow_unicode=True)


def write_generated_files() -> tuple[Path, ...]:
    """Write the three files; returns their paths."""
    LANDING_MACRO.write_text(render_landing_columns(), encoding="utf-8")
    MART_SCHEMA.write_text(render_mart_schema(), encoding="utf-8")
    PUBLISHED_SOURCES.write_text(render_published_sources(), encoding="utf-8")
    return LANDING_MACRO, MART_SCHEMA, PUBLISHED_SOURCES


if __name__ == "__main__":
    write_generated_files()
