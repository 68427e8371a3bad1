"""The suites as they are committed, and the manifest that notices when one loses a check."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from health_pipeline.contract.mart import mart_tables
from health_pipeline.quality.suites import (
    ACROSS_TABLES,
    FOLDER,
    MANIFEST,
    SQL_TYPE,
    SuiteError,
    load_checks,
    manifest_of,
    query_path,
    required_checks,
    write_manifest,
)

CHECKS = load_checks()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "expectations"
    shutil.copytree(FOLDER, target)
    return target


def test_the_committed_manifest_is_the_suites() -> None:
    """When this fails on purpose: `python -c 'from health_pipeline.quality.suites import *; write_manifest()'`."""
    assert json.loads((FOLDER / MANIFEST).read_text()) == manifest_of(CHECKS)


@pytest.mark.parametrize("table", mart_tables())
def test_each_suite_has_row_count_column_set_and_non_null_share(table: str) -> None:
    own = {check.type: check for check in CHECKS if check.suite == table}
    assert "expect_table_row_count_to_be_between" in own
    assert "expect_column_values_to_not_be_null" in own
    columns = own["expect_table_columns_to_match_set"]
    assert columns.arguments["exact_match"] is True
    assert columns.resolved_arguments["column_set"] == list(mart_tables()[table].column_names)
    assert columns.severity == "critical"


def test_each_query_belongs_to_a_check_and_each_check_to_a_query() -> None:
    used = {query_path(check) for check in CHECKS if check.type == SQL_TYPE}
    assert used == set((FOLDER / "sql").glob("*.sql"))


def test_weekly_and_quarterly_runs_have_their_own_checks() -> None:
    weekly, quarterly = required_checks(["weekly"]), required_checks(["quarterly"])
    assert weekly["across_tables.contributions_sum_to_score"] == "critical"
    assert "segment_models.row_count" in quarterly
    # The ledger is verified in every run.
    assert weekly.keys() & quarterly.keys() == {"across_tables.ledger_chain_holds"}
    assert required_checks(["weekly", "quarterly"]) == {**weekly, **quarterly}


def edit(folder: Path, suite: str, change: dict[str, object] | None) -> None:
    path = folder / f"{suite}.yaml"
    document = yaml.safe_load(path.read_text())
    if change is None:
        document["expectations"].pop(0)
    else:
        document["expectations"][0].update(change)
    path.write_text(yaml.safe_dump(document))


def test_a_lost_expectation_is_noticed(folder: Path) -> None:
    edit(folder, "accounts", None)
    committed = json.loads((folder / MANIFEST).read_text())
    now = manifest_of(load_checks(folder), folder)
    assert committed["weekly"].keys() - now["weekly"].keys() == {"accounts.row_count"}


def test_a_weakened_expectation_is_noticed(folder: Path) -> None:
    edit(folder, "accounts", {"arguments": {"min_value": 0}})
    assert json.loads((folder / MANIFEST).read_text()) != manifest_of(load_checks(folder), folder)
    write_manifest(folder)
    assert json.loads((folder / MANIFEST).read_text()) == manifest_of(load_checks(folder), folder)


def test_a_changed_query_is_noticed(folder: Path) -> None:
    path = folder / "sql" / "quarters_are_there.sql"
    path.write_text(path.read_text() + "limit 0\n")
    assert json.loads((folder / MANIFEST).read_text()) != manifest_of(load_checks(folder), folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"severity": "fatal"}, "has severity 'fatal'; use critical, warning, info"),
        ({"reason": ""}, "check 'row_count' has no reason"),
        ({"level": 3}, "has unknown parts level"),
        ({"type": SQL_TYPE}, f"queries belong in {ACROSS_TABLES}.yaml"),
        ({"runs": ["daily"]}, "names runs daily"),
        ({"name": "column_set"}, "names accounts.column_set twice"),
    ],
)
def test_a_suite_that_can_not_be_used_is_refused(folder: Path, change: dict[str, object], sentence: str) -> None:
    edit(folder, "accounts", change)
    with pytest.raises(SuiteError) as refused:
        load_checks(folder)
    assert sentence in str(refused.value)


def test_a_table_without_a_suite_is_refused(folder: Path) -> None:
    (folder / "accounts.yaml").unlink()
    with pytest.raises(SuiteError, match="has no suite for accounts"):
        load_checks(folder)


def test_a_suite_of_no_table_is_refused(folder: Path) -> None:
    (folder / "accounts.yaml").rename(folder / "acounts.yaml")
    with pytest.raises(SuiteError, match=r"acounts\.yaml must say `table: acounts`"):
        load_checks(folder)
