"""dbt started with the run: it builds what a dbt started later builds, and what nobody takes leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import date
from pathlib import Path

import duckdb
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.dbt import dbt_vars, weeks_apart
from health_pipeline.mart.dbt_ahead import DbtAhead
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings

WEEKS = [Week(date(2026, 1, 5)), Week(date(2026, 1, 12))]
ONE_MODEL = ["run", "--select", "int_week_spine"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home")
    settings.warehouse.parent.mkdir(parents=True)
    return settings


def variables_of(settings: Settings) -> tuple[dict[str, object], dict[str, str]]:
    variables, weeks = weeks_apart(dbt_vars(settings, load_company(settings.policy).model, WEEKS))
    # no landing was written
    return variables, weeks


def without_landing(ahead: DbtAhead) -> dict[str, object]:
    ahead._variables["landing_manifest"] = ""
    return dict(ahead._variables)


def test_it_builds_the_weeks_it_is_told_without_parsing_again(settings: Settings) -> None:
    _, weeks = variables_of(settings)
    with DbtAhead(settings) as ahead:
        process = ahead.take(ONE_MODEL, without_landing(ahead), weeks)
        assert process is not None
        assert ahead.take(ONE_MODEL, without_landing(ahead), weeks) is None
        assert process.stdout is not None
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait() == 0
    # closed, not left to the next one who opens it
    assert [path.name for path in settings.warehouse.parent.iterdir()] == [settings.warehouse.name]
    # what parsing says, it says before it is told to speak
    assert [line["info"]["name"] for line in lines].count("MainReportVersion") == 1
    assert lines[-1]["info"]["msg"].startswith("Done. PASS=")
    target = settings.home / "dbt" / "target"
    results = json.loads((target / "run_results.json").read_text())
    assert results["args"]["which"] == "run"
    # the variables of the build, not those of the parse
    assert results["args"]["vars"]["landing_manifest"] == ""
    with duckdb.connect(str(settings.warehouse), read_only=True) as warehouse:
        built = warehouse.execute("select week from intermediate.int_week_spine order by week").fetchall()
    assert [week for (week,) in built] == [week.monday for week in WEEKS]


def test_a_failing_node_and_a_wrong_argument_show_in_the_exit_code(settings: Settings) -> None:
    _, weeks = variables_of(settings)
    # the spine needs Mondays
    tuesday = {**weeks, "HEALTH_LAST_WEEK": "2026-01-13"}
    codes = []
    for args, environment in ((ONE_MODEL, tuesday), (["run", "--no-such-option"], weeks)):
        with DbtAhead(settings) as ahead:
            process = ahead.take(args, without_landing(ahead), environment)
            assert process is not None
            assert process.stdout is not None
            said = process.stdout.read().decode()
            codes.append(process.wait())
        if args is ONE_MODEL:
            assert "must be Mondays in order" in said
    assert codes == [1, 2]


def test_what_nobody_takes_ends_with_the_run_and_opens_no_warehouse(settings: Settings) -> None:
    with DbtAhead(settings) as ahead:
        process = ahead._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None
    assert not settings.warehouse.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_loaded_early_it_is_the_one_that_parses_and_builds(settings: Settings) -> None:
    _, weeks = variables_of(settings)
    ahead = DbtAhead(settings)
    ahead.load()
    loaded = ahead._process
    ahead.load()
    with ahead:
        process = ahead.take(ONE_MODEL, without_landing(ahead), weeks)
        assert process is not None
        assert process is loaded
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait() == 0, said
    # the next run of this process begins anew
    with ahead:
        again = ahead._process
        assert again is not None
        assert again is not loaded
    assert again.poll() is not None


def test_loaded_early_and_never_entered_it_is_ended_at_once_and_has_written_nothing(settings: Settings) -> None:
    before = sorted(settings.home.rglob("*"))
    ahead = DbtAhead(settings)
    ahead.load()
    process = ahead._process
    assert process is not None
    # so long that it has loaded dbt, and would parse if it were told
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(6)
    ahead.end()
    assert process.returncode == -signal.SIGKILL
    assert sorted(settings.home.rglob("*")) == before


def test_one_that_died_before_the_run_is_none(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    variables, weeks = variables_of(settings)
    ahead = DbtAhead(settings)
    ahead.load()
    assert ahead._process is not None
    ahead._process.kill()
    ahead._process.wait()
    with ahead:
        assert ahead.take(ONE_MODEL, variables, weeks) is None
    assert "dbt_ahead_died" in caplog.text


def test_of_other_variables_or_a_dead_one_there_is_none(settings: Settings) -> None:
    variables, weeks = variables_of(settings)
    with DbtAhead(settings) as ahead:
        assert ahead.take(ONE_MODEL, {**variables, "live_within_days": 1}, weeks) is None
        assert ahead._process is not None
        ahead._process.send_signal(signal.SIGKILL)
        ahead._process.wait()
        assert ahead.take(ONE_MODEL, variables, weeks) is None


def test_a_policy_that_can_not_be_read_is_left_to_the_step_that_needs_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "company.yaml").write_text("company_name: [")
    with DbtAhead(Settings(home=tmp_path / "home", policy=policy)) as ahead:
        assert ahead.take(ONE_MODEL, {}, {}) is None
    assert "company.yaml line 1 is not YAML" in caplog.text
