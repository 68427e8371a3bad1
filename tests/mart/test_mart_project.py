"""The dbt project keeps its promises: generated files, grain, no label in a feature, portable SQL, unit tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from health_pipeline.contract.landing import landing_tables
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.dbt import DBT_PROJECT, IDENTITY_TABLES, ensure_manifest, run_dbt
from health_pipeline.mart.landing_columns import (
    LANDING_MACRO,
    MART_SCHEMA,
    dbt_tables,
    render_landing_columns,
    render_mart_schema,
)
from health_pipeline.policy.company import DOMAIN_KINDS
from health_pipeline.settings import Settings

MODELS = sorted((DBT_PROJECT / "models").rglob("*.sql"))


@pytest.fixture(scope="module")
def manifest() -> dict:
    return json.loads(ensure_manifest().read_text())


def own(manifest: dict, kind: str) -> list[dict]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == kind]


def test_the_landing_macro_is_the_landing_contract():
    assert LANDING_MACRO.read_text() == render_landing_columns(), "python -m health_pipeline.mart.landing_columns"


def test_the_schema_of_the_marts_is_the_mart_contract():
    assert MART_SCHEMA.read_text() == render_mart_schema(), "python -m health_pipeline.mart.landing_columns"


def test_each_landing_table_is_a_source_and_staged(manifest):
    sources = {source["name"] for source in manifest["sources"].values()}
    assert sources == {*landing_tables(), "source_load", *IDENTITY_TABLES}
    staged = {node["name"] for node in own(manifest, "model") if node["schema"] == "staging"}
    assert staged == {f"stg_{name}" for name in landing_tables()}


def test_each_table_of_dbt_is_a_mart_under_contract(manifest):
    marts = {node["name"]: node for node in own(manifest, "model") if node["schema"] == "marts"}
    assert set(marts) == {table.name for table in dbt_tables()}
    for table in dbt_tables():
        assert marts[table.name]["contract"]["enforced"]
        assert list(marts[table.name]["columns"]) == [column.name for column in table.built_columns]


def test_the_kinds_of_each_domain_are_the_policys():
    text = (DBT_PROJECT / "macros" / "reading" / "domains.sql").read_text()
    kinds = {
        domain: tuple(re.findall(r"'(\w+)'", listed))
        for domain, listed in re.findall(r"'(\w+)': \{'kinds': \[([^\]]*)\]", text)
    }
    assert kinds == DOMAIN_KINDS


def test_each_models_description_starts_with_its_grain(manifest):
    for node in own(manifest, "model"):
        assert node["description"].startswith("One row per "), node["name"]


def test_each_weekly_model_and_mart_tests_its_grain(manifest):
    tested = {
        parent: test["test_metadata"]["name"]
        for test in own(manifest, "test")
        if test.get("test_metadata")
        for parent in [test["attached_node"]]
    }
    for node in own(manifest, "model"):
        if node["schema"] == "marts" or "weekly" in node["config"]["tags"]:
            assert tested.get(node["unique_id"]) in {"grain", "one_row_per_spine_row"}, node["name"]


def test_each_staged_and_kept_table_is_in_the_tests_of_all(manifest):
    read = {
        parent.split(".")[-1]
        for test in own(manifest, "test")
        if not test.get("test_metadata")
        for parent in test["depends_on"]["nodes"]
    }
    names = {node["name"] for node in own(manifest, "model") if node["schema"] == "staging"}
    names |= {f"int_{table.name}{'_versions' if table.is_mutable else ''}" for table in landing_tables().values()}
    assert names <= read


def above(manifest: dict, name: str) -> set[str]:
    """Every node a model rests on, however far up."""
    found: set[str] = set()
    waiting = [node["unique_id"] for node in own(manifest, "model") if node["name"] == name]
    while waiting:
        parents = manifest["nodes"].get(waiting.pop(), {}).get("depends_on", {}).get("nodes", [])
        waiting += [parent for parent in parents if parent not in found]
        found.update(parents)
    return found


def test_no_model_reads_a_label_and_no_feature_rests_on_one(manifest):
    labels = "model.customer_health.account_outcomes_weekly"
    assert labels in manifest["nodes"]
    readers = [node["name"] for node in own(manifest, "model") if labels in node["depends_on"]["nodes"]]
    assert readers == []
    resting_on = above(manifest, "account_features_weekly")
    assert "model.customer_health.int_billing_subscription_versions" in resting_on
    assert labels not in resting_on
    # the walk finds what is there: the labels rest on the features
    assert "model.customer_health.account_features_weekly" in above(manifest, "account_outcomes_weekly")


def test_exposures_read_tables_that_exist(manifest):
    exposures = {exposure["name"]: exposure for exposure in manifest["exposures"].values()}
    assert set(exposures) == {"weekly_health_report", "review_desk_queue", "bi_mart", "validation_notebook"}
    built_by_dbt = {table.name for table in dbt_tables()}
    for name, exposure in exposures.items():
        tables = exposure["config"]["meta"]["published_tables"]
        assert set(tables) <= set(mart_tables()), name
        marts = {node.split(".")[-1] for node in exposure["depends_on"]["nodes"]}
        # what a reader takes of dbt's tables is in the lineage; what Python builds rests on the features
        assert set(tables) & built_by_dbt <= marts <= built_by_dbt, name
        assert "account_features_weekly" in marts
    readers_of_labels = [name for name, one in exposures.items() if "account_outcomes_weekly" in str(one["depends_on"])]
    assert readers_of_labels == ["validation_notebook"]


def test_partitioned_models_and_history_never_take_a_full_refresh(manifest):
    for node in own(manifest, "model"):
        if node["config"]["materialized"] == "incremental":
            assert node["config"]["full_refresh"] is False, node["name"]
    weekly = {table.name for table in dbt_tables() if mart_tables()[table.name].partition == "week"}
    strategies = {node["name"]: node["config"]["incremental_strategy"] for node in own(manifest, "model")}
    assert {strategies[name] for name in weekly} == {"overwrite_weeks"}


def test_facts_are_replaced_by_load_and_know_which_loads_are_pending(manifest):
    """A fact model that forgets either builds once, and fails at the second load."""
    facts = [node for node in own(manifest, "model") if "event_facts(" in node["raw_code"]]
    assert len(facts) >= 10
    for node in facts:
        assert node["config"]["incremental_strategy"] == "overwrite_loads", node["name"]
        assert "source.customer_health.landing.source_load" in node["depends_on"]["nodes"], node["name"]
        assert node["raw_code"].count("source('landing', 'source_load')") == 1, node["name"]


NOT_PORTABLE = {
    "the wall clock": r"\b(now\(|current_date|current_timestamp|today\()",
    "qualify": r"\bqualify\b",
    "a cast by ::": r"::",
    "filter (where)": r"\bfilter\s*\(",
    "an asof join": r"\basof\b",
    "group by all": r"\bgroup by all\b",
    "arg_max": r"\barg_m(ax|in)\b",
    "integer division": r"//",
    "a list or struct": r"\b(list_|struct_|array_agg|unnest)",
    "a window of row_number without nulls last": r"row_number\(\) over \((?:(?!nulls last|row_number)[\s\S])*?\) as\b",
}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_models_are_portable(path: Path):
    text = re.sub(r"\{#[\s\S]*?#\}|--.*", "", path.read_text())
    for what, pattern in NOT_PORTABLE.items():
        assert not re.search(pattern, text), what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("select now()", "the wall clock"),
        ("x::date", "a cast by ::"),
        ("row_number() over (partition by a order by b) as n", "a window of row_number without nulls last"),
    ],
)
def test_what_is_not_portable_is_found(text, what):
    assert re.search(NOT_PORTABLE[what], text)


def test_history_macros_break_ties_with_nulls_last():
    for path in (DBT_PROJECT / "macros").rglob("*.sql"):
        text = path.read_text()
        assert text.count("row_number() over") <= text.count("nulls last"), path


def test_no_model_reads_the_week_from_where_runs_do_not_put_it():
    """A run says its weeks in its environment: the variables are defaults, and a table built by them stays empty."""
    for path in MODELS:
        assert not re.search(r"var\(.(first|last)_week", path.read_text()), f"{path}: run_first_week(), run_last_week()"


def test_yaml_lists_each_model_once():
    names = [
        model["name"]
        for path in (DBT_PROJECT / "models").rglob("*.yml")
        for model in yaml.safe_load(path.read_text()).get("models", [])
    ]
    assert sorted(names) == sorted(path.stem for path in MODELS)


def test_every_feature_is_held_by_a_unit_test(manifest):
    """A feature that is added without its windows and states fails here."""
    expected = {
        column
        for test in manifest["unit_tests"].values()
        for row in test["expect"]["rows"]
        for column, value in row.items()
        if value is not None
    }
    features = {column.name for column in mart_tables()["account_features_weekly"].built_columns}
    # one loop counts the phrases of every category
    features -= {name for name in features if name.endswith("_phrases_28d")} - {"support_phrases_28d"}
    # set by the spine and by what publishes
    features -= {"account_id", "week", "as_of_at", "known_at", "published_at"}
    assert len(features) > 100
    assert features - expected == set()


def test_the_unit_tests_pass_on_an_empty_warehouse(tmp_path, manifest):
    """Everything is built from nothing first: all tables exist, typed and empty, and every data test holds."""
    settings = Settings(home=tmp_path / "home")
    result = run_dbt(settings, ["build"], {})
    unit_tests = [name for name in result.statuses if name.startswith("unit_test.")]
    assert len(unit_tests) == len(manifest["unit_tests"]) >= 41
    done = {name: status for name, status in result.statuses.items() if not name.startswith("exposure.")}
    assert set(done.values()) <= {"success", "pass"}
