"""The BI team's dbt project: sources from the contract, a semantic model that parses, metrics that add up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.mart.landing_columns import PUBLISHED_PROJECT, PUBLISHED_SOURCES, render_published_sources

OLDER, NEWEST = date(2026, 11, 2), date(2026, 11, 9)
# account, week, score, effective tier, ARR: in the newest week one has no score and one no known revenue
HEALTH = [
    ("a", OLDER, 10.0, "at_risk", Decimal("1000.00")),
    ("a", NEWEST, 80.0, "healthy", Decimal("100.00")),
    ("b", NEWEST, 40.0, "at_risk", Decimal("300.00")),
    ("c", NEWEST, None, "not_scored", Decimal("600.00")),
    ("d", NEWEST, 30.0, "at_risk", None),
]


@dataclass(frozen=True)
class Published:
    """What dbt made of a small release."""

    file: Path
    manifest: dict
    semantic: dict

    def columns(self, model: str) -> set[str]:
        with self.open() as connection:
            return {name for name, *_ in connection.execute(f"describe {model}").fetchall()}

    def open(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(self.file))
        release = self.file.parent / "published" / "current" / "customer_health.duckdb"
        connection.execute(f"attach '{release}' as published (read_only)")
        return connection


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Published:
    home = tmp_path_factory.mktemp("bi")
    release = home / "published" / "current" / "customer_health.duckdb"
    release.parent.mkdir(parents=True)
    with duckdb.connect(str(release)) as connection:
        for name, table in mart_tables().items():
            connection.register("rows", empty_table(name))
            run_columns = set(table.column_names) - {column.name for column in table.built_columns}
            extra = "".join(f", cast(null as timestamp) as {column}" for column in run_columns)
            connection.execute(f"create table {name} as select *{extra} from rows")
        for account, week, score, tier, arr in HEALTH:
            connection.execute("insert into account_features_weekly (account_id, week) values (?, ?)", [account, week])
            connection.execute(
                "insert into account_health_weekly (account_id, week, score, effective_tier, arr_reporting) "
                "values (?, ?, ?, ?, ?)",
                [account, week, score, tier, arr],
            )
    environment = {
        **os.environ,
        "HEALTH_HOME": str(home),
        "HEALTH_BI_FILE": str(home / "bi.duckdb"),
        "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet", "build"]
    process = subprocess.run(
        command, cwd=PUBLISHED_PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return Published(
        home / "bi.duckdb",
        json.loads((home / "target" / "manifest.json").read_text()),
        json.loads((home / "target" / "semantic_manifest.json").read_text()),
    )


def test_the_sources_are_the_mart_contract():
    assert PUBLISHED_SOURCES.read_text() == render_published_sources(), "python -m health_pipeline.mart.landing_columns"
    (source,) = yaml.safe_load(PUBLISHED_SOURCES.read_text())["sources"]
    assert [table["name"] for table in source["tables"]] == list(mart_tables())
    assert all(column["description"] for table in source["tables"] for column in table["columns"])


def test_the_semantic_model_names_columns_that_exist(published):
    (model,) = published.semantic["semantic_models"]
    assert model["node_relation"]["alias"] == "account_weeks"
    parts = [*model["entities"], *model["dimensions"], *model["measures"]]
    assert len(parts) >= 15
    with published.open() as connection:
        for part in parts:
            # binds, or raises: an expression over a column that is not there has no type
            connection.execute(f"select {part['expr'] or part['name']} from account_weeks limit 0")


def test_each_model_describes_exactly_its_columns(published):
    for node in published.manifest["nodes"].values():
        assert node["description"].startswith("One row per ")
        assert set(node["columns"]) == published.columns(node["name"])
        assert all(column["description"] for column in node["columns"].values())


def test_the_time_spine_has_every_day_once(published):
    (spine,) = published.semantic["project_configuration"]["time_spines"]
    assert spine["primary_column"] == {"name": "date_day", "time_granularity": "day"}
    with published.open() as connection:
        assert connection.execute(
            "select count(*), count(distinct date_day), min(date_day), max(date_day) from metricflow_time_spine"
        ).fetchone() == (9497, 9497, date(2015, 1, 1), date(2040, 12, 31))


def test_a_week_is_a_state_and_no_measure_sums_over_weeks(published):
    (model,) = published.semantic["semantic_models"]
    for measure in model["measures"]:
        rule = measure["non_additive_dimension"]
        assert (rule["name"], rule["window_choice"]) == ("review_week", "max"), measure["name"]


def value(published: Published, name: str) -> float:
    """A metric over all weeks, as its definition in the semantic manifest says."""
    (model,) = published.semantic["semantic_models"]
    measures = {measure["name"]: measure for measure in model["measures"]}
    metric = {metric["name"]: metric for metric in published.semantic["metrics"]}[name]
    if metric["type"] == "ratio":
        parts = metric["type_params"]
        return value(published, parts["numerator"]["name"]) / value(published, parts["denominator"]["name"])
    measure = measures[metric["type_params"]["measure"]["name"]]
    aggregate = {"sum": "sum({})", "count_distinct": "count(distinct {})"}[measure["agg"]].format(measure["expr"])
    with published.open() as connection:
        query = f"select {aggregate} from account_weeks where week = (select max(week) from account_weeks)"
        return float(connection.execute(query).fetchone()[0])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accounts", 4),
        ("scored_accounts", 3),
        ("arr", 1000),
        ("arr_at_risk", 300),
        ("arr_at_risk_share", 0.3),
        ("average_score", (80 + 40 + 30) / 3),
        # the account without revenue has no weight, the one without a score no say
        ("average_score_by_arr", (80 * 100 + 40 * 300) / 400),
    ],
)
def test_metrics_of_a_small_release(published, metric, expected):
    assert value(published, metric) == pytest.approx(expected, rel=1e-12)
