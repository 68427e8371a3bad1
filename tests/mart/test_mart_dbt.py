"""How dbt is called, as plain values."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml
from dbt.version import __version__

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.assets import DbtOfThisEnvironment
from health_pipeline.mart.dbt import (
    DBT_PROJECT,
    BuildRecord,
    build_args,
    dbt_environment,
    dbt_vars,
    failure_sentence,
    integration_version,
    policy_vars,
    read_build_record,
    stale_domain_after_days,
)
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.settings import Settings

WEEK = Week(date(2026, 1, 5))
COMPANY = CompanyPolicy(
    company_name="x",
    rates={"EUR": {"2026-01-01": 1.1, "2025-01-01": 1.0}, "USD": {"2025-01-01": 1.0}},
    not_applicable_domains=("usage", "risk"),
    stale_domain_after_days={"usage": 7},
)


def test_the_variables_hold_the_weeks_and_the_policy(tmp_path):
    variables = dbt_vars(Settings(home=tmp_path), COMPANY, [WEEK.shift(1), WEEK])
    assert (variables["first_week"], variables["last_week"]) == ("2026-01-05", "2026-01-12")
    assert variables["landing_manifest"] == str(tmp_path / "scratch" / "landing_manifest.parquet")
    assert variables["rates"] == [
        {"currency": "EUR", "valid_from": "2025-01-01", "rate": 1.0},
        {"currency": "EUR", "valid_from": "2026-01-01", "rate": 1.1},
    ]
    assert variables["not_applicable_domains"] == ["risk", "usage"]
    assert variables["source_kinds"]["crm"] == {"latency_hours": 24, "is_required": False, "stale_after_days": 14}
    assert json.dumps(variables) == json.dumps(dbt_vars(Settings(home=tmp_path), COMPANY, [WEEK, WEEK.shift(1)]))


@pytest.mark.parametrize("weeks", [[], [WEEK, WEEK.shift(2)]])
def test_weeks_with_a_gap_are_refused(tmp_path, weeks):
    with pytest.raises(ValueError, match="A build takes consecutive weeks; it was given"):
        dbt_vars(Settings(home=tmp_path), COMPANY, weeks)


def test_the_policy_names_its_own_limits_and_the_rest_stays():
    limits = stale_domain_after_days(COMPANY)
    assert (limits["usage"], limits["support"]) == (7, 91)


def test_every_policy_variable_has_a_default_in_the_project():
    defaults = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())["vars"]
    assert set(dbt_vars(Settings(home=Path("x")), COMPANY, [WEEK])) == set(defaults)
    assert set(policy_vars(load_company(None).model)["source_kinds"]) == set(defaults["source_kinds"])
    assert set(stale_domain_after_days(COMPANY)) == set(defaults["stale_domain_after_days"])


def test_history_is_versioned_by_what_it_is_made_of():
    assert integration_version(6) == integration_version(6)
    assert integration_version(6) != integration_version(7)


def test_the_weekly_build_leaves_unit_tests_to_the_test_suite():
    assert build_args() == ["build", "--exclude-resource-type", "unit_test"]


def test_the_environment_keeps_dbt_inside_the_state_folder(tmp_path):
    environment = dbt_environment(Settings(home=tmp_path))
    assert environment["HEALTH_WAREHOUSE"] == str(tmp_path / "warehouse" / "warehouse.duckdb")
    assert all(
        value.startswith(str(tmp_path)) for name, value in environment.items() if name.endswith(("_PATH", "WAREHOUSE"))
    )
    assert environment["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"


def test_failures_are_one_sentence():
    results = [
        {"unique_id": "model.customer_health.good", "status": "success", "message": "OK"},
        {
            "unique_id": "test.customer_health.grain_accounts.1a",
            "status": "fail",
            "message": "Got 2 results,\n  expected 0",
        },
    ]
    assert failure_sentence(results) == "dbt stopped at 1 of 2 nodes (grain_accounts: Got 2 results, expected 0)."
    assert failure_sentence(results[:1]) == ""


def test_a_record_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="build the feature mart before"):
        read_build_record(Settings(home=tmp_path))
    assert BuildRecord() == BuildRecord("", {}, ())


def test_the_version_that_dagster_is_told_is_the_one_dbt_tells():
    executable = Path(sys.executable).with_name("dbt")
    dbt = DbtOfThisEnvironment(
        project_dir=str(DBT_PROJECT), profiles_dir=str(DBT_PROJECT), dbt_executable=str(executable)
    )
    assert str(dbt._cli_version) == __version__
