"""What a data scientist finds in the UI: groups, descriptions, columns, checks, partitions, jobs and automation."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from health_pipeline.contract.mart import mart_tables
from health_pipeline.observability.run_record import STAGES
from health_pipeline.orchestration.build import build_definitions
from health_pipeline.orchestration.partitions import quarterly_partitions, weekly_partitions
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.publication.assets import refusal_sentence
from health_pipeline.quality.checks import check_name, check_results
from health_pipeline.quality.suites import load_checks
from health_pipeline.quality.verdict import CheckResult
from health_pipeline.settings import Settings

READING_ORDER = [
    "01_sources",
    "02_identity",
    "02_text",
    "03a_staging",
    "03b_intermediate",
    "03c_feature_mart",
    "04_score",
    "04b_risk",
    "05_plan",
    "06_publication",
    "07_report",
    "08_review",
    "11_segments",
    "12_publication",
    "13_reports",
]
# What a later room will build: their tables are published, typed and empty.
BUILT_BY_NO_ASSET = {
    "account_health_current",
    "publication_log",
    "run_summary",
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    return build_definitions(Settings(home=tmp_path_factory.mktemp("definitions") / "home"))


@pytest.fixture(scope="module")
def specs(definitions) -> dict[str, dg.AssetSpec]:
    keys = {key for node in definitions.assets for key in node.keys}
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs() if spec.key in keys}


@pytest.fixture(scope="module")
def checks(definitions) -> dict[str, dg.AssetCheckSpec]:
    graph = definitions.resolve_asset_graph()
    return {f"{key.asset_key.to_user_string()}:{key.name}": graph.get(key) for key in graph.asset_check_keys}


def test_the_code_location_loads_and_every_job_resolves(definitions):
    dg.Definitions.validate_loadable(definitions)
    jobs = {"weekly_health_review", "quarterly_segmentation_review", "validate_score", "land_decisions"}
    assert {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")} == jobs
    for job in jobs:
        assert definitions.resolve_job_def(job).description


def test_every_step_of_every_job_has_a_stage_and_every_stage_a_step(definitions):
    jobs = [job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]
    steps = {node.name for job in jobs for node in job.graph.nodes}
    assert steps == set(STAGES)


def test_every_asset_says_its_grain_first_and_who_owns_it(specs):
    assert len(specs) > 70
    assert sorted({spec.group_name for spec in specs.values()}) == READING_ORDER
    for name, spec in specs.items():
        assert (spec.description or "").startswith("One "), f"{name}: {spec.description}"
        assert spec.owners == ["team:customer-success-data"], name
        assert spec.kinds, name


def test_every_table_an_asset_builds_shows_its_columns_and_where_it_is_published(specs):
    built = set(mart_tables()) & set(specs)
    assert set(mart_tables()) - built == BUILT_BY_NO_ASSET
    for name in built:
        table = mart_tables()[name]
        schema = specs[name].metadata["dagster/column_schema"]
        columns = getattr(schema, "value", schema).columns
        assert [column.name for column in columns] == [column.name for column in table.built_columns], name
        assert all(column.description for column in columns), name
        assert specs[name].metadata["dagster/table_name"] == f"customer_health.main.{name}"
        assert f"Key: {', '.join(table.key)}" in specs[name].description


def test_no_definition_names_a_person(specs, checks):
    for name, spec in specs.items():
        # dagster-dbt keeps dbt's whole manifest there, which the UI does not show.
        shown = {key: str(value) for key, value in spec.metadata.items() if not key.startswith("dagster_dbt/")}
        assert "@" not in json.dumps(shown), name
    for name, node in checks.items():
        assert "@" not in f"{node.description}", name


def test_schedules_and_sensors_say_in_words_what_they_do(definitions):
    schedules = {schedule.name: schedule for schedule in definitions.schedules}
    assert set(schedules) == {"weekly_health_review_schedule", "quarterly_segmentation_review_schedule"}
    sensors = {sensor.name: sensor for sensor in definitions.sensors}
    assert set(sensors) == {"tell_failed_runs", "tell_failed_checks", "pick_up_decisions"}
    assert all(entry.description.endswith(".") for entry in (*schedules.values(), *sensors.values()))
    assert {entry.default_status for entry in schedules.values()} == {dg.DefaultScheduleStatus.STOPPED}
    assert {entry.default_status for entry in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}


def test_there_is_one_check_per_expectation_and_critical_ones_block(checks):
    for asset, kind in (("release_verdict", "weekly"), ("quarterly_verdict", "quarterly")):
        wanted = {
            f"{asset}:{check_name(check.suite, check.name)}": check for check in load_checks() if kind in check.runs
        }
        found = {name: node for name, node in checks.items() if name.startswith(f"{asset}:")}
        assert set(found) == set(wanted)
        for name, check in wanted.items():
            assert found[name].description == check.reason, name
            assert found[name].blocking == (check.severity == "critical"), name
            assert found[name].metadata["severity"] == check.severity, name
            assert found[name].partitions_def is None, f"{name}: the UI would call it skipped"
    assert {name for name in checks if name.startswith("release:")} == {
        "release:newest_week_is_published",
        "release:current_release_is_whole",
    }


def test_a_checks_result_holds_numbers_and_row_ids():
    checks = [check for check in load_checks() if check.severity == "critical"][:3]
    specs = [dg.AssetCheckSpec(check_name(check.suite, check.name), asset="verdict") for check in checks]
    broken, unevaluated, _ = checks
    results = [
        CheckResult(
            broken.suite, broken.name, broken.type, "critical", broken.reason, False, True, "2 rows", 2,
            ((("account_id", "acc_1"), ("week", "2026-11-09")), (("account_id", "acc_2"), ("week", "2026-11-09"))),
        ),
        CheckResult(unevaluated.suite, unevaluated.name, "t", "warning", "why", False, False, error="KeyError"),
    ]  # fmt: skip
    first, second, third = check_results("verdict", results, specs)
    assert (first.passed, first.severity, first.description) == (False, dg.AssetCheckSeverity.ERROR, "2 rows")
    assert first.metadata["rows that break it"].value == 2
    table = first.metadata["first 2 row ids"]
    assert [record.data for record in table.records] == [
        {"account_id": "acc_1", "week": "2026-11-09"},
        {"account_id": "acc_2", "week": "2026-11-09"},
    ]
    for result in (second, third):
        assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "not evaluated" in third.description


def test_a_refusal_says_what_failed_what_stays_and_what_to_do(tmp_path):
    failed = [CheckResult("accounts", f"check_{n}", "t", "critical", "why", False, True) for n in range(5)]
    sentence = refusal_sentence(failed, Settings(home=tmp_path), "i-123")
    assert sentence.startswith("Not published: 5 critical checks failed (")
    assert "check_2 and 2 more" in sentence
    assert "nothing was published before either" in sentence
    assert "Incident i-123" in sentence
    assert "`health-pipeline incidents list`" in sentence
    assert "no longer passes its audit" in refusal_sentence(failed[:1], Settings(home=tmp_path), None)


def test_weekly_partitions_run_from_the_first_week_to_the_one_that_ended():
    weeks = weekly_partitions(load_company(None).model)
    keys = weeks.get_partition_keys(current_time=datetime(2026, 11, 15, 23, 59, tzinfo=UTC))
    assert keys[0] == load_company(None).model.first_week.isoformat()
    assert keys[-1] == "2026-11-02"
    assert weeks.get_partition_keys(current_time=datetime(2026, 11, 16, tzinfo=UTC))[-1] == "2026-11-09"
    assert all(date.fromisoformat(key).weekday() == 0 for key in keys)


@pytest.mark.parametrize(
    ("start_month", "months", "last"),
    [(1, {1, 4, 7, 10}, "2026-07-01"), (2, {2, 5, 8, 11}, "2026-08-01"), (12, {3, 6, 9, 12}, "2026-06-01")],
)
def test_quarterly_partitions_follow_the_fiscal_year(start_month, months, last):
    document = load_company(None).model.model_dump()
    company = CompanyPolicy.model_validate({**document, "fiscal_year_start_month": start_month})
    keys = quarterly_partitions(company).get_partition_keys(current_time=datetime(2026, 11, 20, tzinfo=UTC))
    assert keys[0] == company.first_quarter.first_day.isoformat()
    assert keys[-1] == last
    assert {date.fromisoformat(key).month for key in keys} <= months
    assert {date.fromisoformat(key).day for key in keys} == {1}


def test_a_weekly_backfill_is_one_run(definitions):
    weekly = definitions.resolve_job_def("weekly_health_review")
    for key in weekly.asset_layer.executable_asset_keys:
        node = definitions.resolve_asset_graph().get(key)
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), key
        assert isinstance(node.partitions_def, dg.TimeWindowPartitionsDefinition), key
