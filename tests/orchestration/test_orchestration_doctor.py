"""The doctor: each check has a state that makes it fail, a sound installation passes, and looking changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from filelock import FileLock

from health_pipeline import cli
from health_pipeline.contract.clocks import Week
from health_pipeline.orchestration.doctor import environment, stores
from health_pipeline.orchestration.doctor.diagnosis import ENVIRONMENT_CHECKS, STORE_CHECKS, diagnose
from health_pipeline.orchestration.doctor.environment import GIGABYTE, Environment
from health_pipeline.orchestration.doctor.findings import Finding
from health_pipeline.orchestration.doctor.gathering import gather_environment, gather_stores, locked_versions
from health_pipeline.orchestration.doctor.held_locks import HeldLock
from health_pipeline.orchestration.doctor.stores import RunState, SourceState, Stores, WaitingLoad
from health_pipeline.policy.company import load_company
from health_pipeline.publication.releases import current_release
from health_pipeline.quality.incidents import record_incident
from health_pipeline.quality.verdict import CheckResult
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing

NOW = datetime(2026, 10, 28, 9, 0)
SOUND = Environment(
    python=(3, 12),
    installed={"dagster": "1.0", "rich": "2.0"},
    locked={"dagster": "1.0", "rich": "2.0"},
    missing_parts=(),
    home=Path("/data/health"),
    home_problem=None,
    free_bytes=50 * GIGABYTE,
    release_bytes=GIGABYTE,
    now=NOW,
    newest_record=NOW - timedelta(hours=1),
    machine_offset=timedelta(hours=1),
    company_zone="Europe/Berlin",
    company_offset=timedelta(hours=1),
    memory_bytes=16 * GIGABYTE,
    memory_limit_bytes=4 * GIGABYTE,
    webhook_url="https://hooks.example/x",
)
FRESH = SourceState("crm", True, 14, NOW - timedelta(days=2))
WELL = Stores(
    now=NOW,
    sources=(FRESH,),
    release="r000001",
    newest_week="2026-10-19",
    reviewable_week="2026-10-19",
    accounts=100,
    revenue=Decimal(1000),
    runs=(RunState("weekly_health_review", "SUCCESS", NOW, "0123456789"),),
    schedules={"weekly": True},
    daemon_seen_at=NOW,
)


def test_a_sound_installation_has_no_finding() -> None:
    diagnosis = diagnose(SOUND, WELL)
    assert diagnosis.findings == ()
    assert not diagnosis.is_severe
    assert list(diagnosis.lines()) == [f"{diagnosis.checks} checks: all is well."]


MachineCase = tuple[Callable[[Environment], Iterator[Finding]], dict[str, object], str, str]
MACHINE: list[MachineCase] = [
    (environment.check_python, {"python": (3, 10)}, "severe", "this is Python 3.10"),
    (
        environment.check_lock,
        {"installed": {"rich": "2.0"}},
        "severe",
        "1 packages of requirements.lock are not installed: dagster",
    ),
    (environment.check_lock, {"installed": {"dagster": "1.1", "rich": "2.0"}}, "severe", "dagster 1.1 instead of 1.0"),
    (environment.check_lock, {"installed": {"dagster": "1.0", "rich": "2.1"}}, "warning", "rich 2.1 instead of 2.0"),
    (
        environment.check_checkout,
        {"missing_parts": ("dbt_project/dbt_project.yml",)},
        "severe",
        "is not beside the code",
    ),
    (environment.check_home, {"home_problem": "no right to write in /data"}, "severe", "can't be written to"),
    (
        environment.check_home,
        {"free_bytes": GIGABYTE},
        "severe",
        "1.0 GB are free on the disk of /data/health; a run needs about 2.0",
    ),
    (environment.check_home, {"free_bytes": 4 * GIGABYTE}, "warning", "4.0 GB are free"),
    (environment.check_clock, {"now": NOW - timedelta(hours=3)}, "severe", "the clock says 2026-10-28 06:00 UTC"),
    (
        environment.check_time_zone,
        {"machine_offset": timedelta(hours=-3, minutes=-30)},
        "note",
        "time_zone in company.yaml is Europe/Berlin (UTC+01:00); this machine is at UTC-03:30",
    ),
    (
        environment.check_memory,
        {"memory_bytes": 4 * GIGABYTE},
        "warning",
        "DuckDB may use 4.0 GB of this machine's 4.0 GB",
    ),
    (environment.check_webhook, {"webhook_url": None}, "note", "HEALTH_WEBHOOK_URL is not set"),
    (environment.check_webhook, {"webhook_url": "hooks.example"}, "warning", "does not start with https://"),
    (environment.check_telemetry, {"otel_endpoint": "localhost:4318"}, "warning", "does not start with https://"),
]


@pytest.mark.parametrize(("check", "change", "severity", "what"), MACHINE)
def test_each_check_of_the_machine_finds_its_fault(
    check: Callable[[Environment], Iterator[Finding]], change: dict[str, object], severity: str, what: str
) -> None:
    assert list(check(SOUND)) == []
    (finding,) = check(replace(SOUND, **change))  # type: ignore[arg-type]
    assert finding.severity == severity
    assert what in finding.what
    assert finding.means and finding.do


StoreCase = tuple[Callable[[Stores], Iterator[Finding]], dict[str, object], str, str]
HELD = WaitingLoad("l1", "billing", "stripe", "held", True)
STORES: list[StoreCase] = [
    (stores.check_readable, {"unreadable": ("the ledger can't be read: x",)}, "severe", "the ledger can't be read"),
    (stores.check_policy, {"policy_problems": ("weights must be positive",)}, "severe", "weights must be positive"),
    (stores.check_sources, {"sources": (replace(FRESH, last_loaded_at=None),)}, "warning", "nothing is loaded yet"),
    (
        stores.check_sources,
        {"sources": (FRESH, SourceState("billing", True, 14, None))},
        "severe",
        "billing was never loaded",
    ),
    (
        stores.check_sources,
        {"sources": (replace(FRESH, last_loaded_at=NOW - timedelta(days=20)),)},
        "severe",
        "20 days ago",
    ),
    (
        stores.check_sources,
        {"sources": (replace(FRESH, is_required=False, last_loaded_at=NOW - timedelta(days=20)),)},
        "warning",
        "20 days ago",
    ),
    (
        stores.check_sources,
        {"sources": (FRESH, SourceState("survey", False, 14, None))},
        "note",
        "not connected: survey",
    ),
    (stores.check_waiting_loads, {"waiting": (HELD,)}, "severe", "load l1 (billing from stripe) is held back"),
    (
        stores.check_waiting_loads,
        {"waiting": (replace(HELD, is_required=False, status="refused"),)},
        "warning",
        "is refused",
    ),
    (stores.check_release, {"release": None}, "warning", "nothing is published yet"),
    (
        stores.check_release,
        {"release_damages": ("a.parquet is missing",)},
        "severe",
        "r000001 is damaged: a.parquet is missing",
    ),
    (
        stores.check_ledger,
        {"ledger_problems": ("Event 2 was changed: its hash differs.",)},
        "severe",
        "the ledger does not hold: Event 2 was changed",
    ),
    (
        stores.check_stopped_holders,
        {"held_locks": (HeldLock("publish.lock", 7, True),)},
        "severe",
        "process 7 holds publish.lock and is stopped",
    ),
    (stores.check_left_behind, {"left_behind": ("r000002-x",)}, "note", "1 candidates were left behind: r000002-x"),
    (stores.check_weeks, {"newest_week": "2026-10-05"}, "warning", "the newest published week is 2026-10-05"),
    (stores.check_owners, {"unowned": 10}, "warning", "10 of 100 accounts have no owner (10%)"),
    (stores.check_owners, {"unowned": 1}, "note", "1 of 100"),
    (stores.check_coverage, {"unscored": 60}, "warning", "60 of 100 accounts are not scored"),
    (
        stores.check_unmatched,
        {"unmatched": 3, "unmatched_revenue": Decimal(30)},
        "warning",
        "3 source records belong to no account with 30",
    ),
    (stores.check_unmatched, {"unmatched": 3}, "note", "3 source records"),
    (stores.check_run_lock, {"lock_holder": "run a (process 1)"}, "warning", "was killed and left its note"),
    (stores.check_run_lock, {"lock_holder": "run a (process 1)", "holder_is_alive": True}, "note", "is running"),
    (
        stores.check_last_runs,
        {"runs": (RunState("weekly_health_review", "FAILURE", NOW, "0123456789"),)},
        "severe",
        "failed at 2026-10-28 09:00",
    ),
    (
        stores.check_risk_review,
        {"risk_review_lacks": ("no review scheduled",)},
        "severe",
        "the risk review is not ready: no review scheduled",
    ),
    (stores.check_incidents, {"open_incidents": ("i-1",)}, "warning", "1 incidents are open and nobody's: i-1"),
    (stores.check_schedules, {"schedules": {"weekly": False}}, "note", "switched off: weekly"),
    (
        stores.check_schedules,
        {"daemon_seen_at": NOW - timedelta(hours=1)},
        "severe",
        "the Dagster daemon was last seen at 2026-10-28 08:00",
    ),
]


@pytest.mark.parametrize(("check", "change", "severity", "what"), STORES)
def test_each_check_of_the_stores_finds_its_fault(
    check: Callable[[Stores], Iterator[Finding]], change: dict[str, object], severity: str, what: str
) -> None:
    assert list(check(WELL)) == []
    (finding,) = check(replace(WELL, **change))  # type: ignore[arg-type]
    assert finding.severity == severity
    assert what in finding.what
    assert finding.means and finding.do


def test_every_check_has_a_state_that_makes_it_fail() -> None:
    assert {case[0] for case in MACHINE} == set(ENVIRONMENT_CHECKS)
    assert {case[0] for case in STORES} == set(STORE_CHECKS)


def test_what_a_run_at_work_needs_is_not_left_behind() -> None:
    working = replace(WELL, left_behind=("r000002-x",), held_locks=(HeldLock("run.lock", 7, False),))
    assert list(stores.check_left_behind(working)) == list(stores.check_stopped_holders(working)) == []
    on_utc = replace(SOUND, machine_offset=timedelta())
    assert list(environment.check_time_zone(on_utc)) == []


def test_the_worst_comes_first_and_decides() -> None:
    diagnosis = diagnose(replace(SOUND, webhook_url=None), replace(WELL, unowned=10, policy_problems=("wrong",)))
    assert [finding.severity for finding in diagnosis.findings] == ["severe", "warning", "note"]
    assert diagnosis.is_severe
    assert json.loads(json.dumps(diagnosis.as_dict()))["findings"][0]["what"] == "wrong"


# What is gathered, on real stores.


@pytest.fixture
def home(tmp_path: Path, published_home: Path) -> Settings:
    shutil.copytree(published_home, tmp_path / "home", symlinks=True)
    return Settings(home=tmp_path / "home")


def gathered(settings: Settings, now: datetime = NOW) -> Stores:
    return gather_stores(settings, now)


def test_looking_at_a_published_home_changes_nothing(home: Settings) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.home.rglob("*")}
    found = gathered(home)
    assert {path: path.stat().st_mtime_ns for path in home.home.rglob("*")} == before
    release = current_release(home)
    assert release is not None
    assert (found.release, found.release_damages, found.newest_week) == (release.name, (), "2026-10-19")
    assert (found.reviewable_week, found.unreadable, found.policy_problems) == ("2026-10-19", (), ())
    assert found.accounts == 2


def test_an_empty_home_is_not_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "none")
    found = gathered(settings)
    machine = gather_environment(settings, NOW)
    assert not settings.home.exists()
    assert (found.release, found.accounts, found.unreadable) == (None, 0, ())
    assert machine.home_problem is None


def test_a_changed_file_of_the_release_is_found(home: Settings) -> None:
    release = current_release(home)
    assert release is not None
    with release.file.open("ab") as stream:
        stream.write(b"x")
    (finding,) = [one for one in diagnose(SOUND, gathered(home)).findings if one.check == "release"]
    assert finding.severity == "severe"
    assert "customer_health.duckdb was changed: its checksum differs" in finding.what


def test_a_lost_manifest_is_told_and_the_rest_is_still_looked_at(home: Settings) -> None:
    release = current_release(home)
    assert release is not None
    (release.folder / "manifest.json").unlink()
    diagnosis = diagnose(SOUND, gathered(home))
    assert any(one.check == "stores" and one.severity == "severe" for one in diagnosis.findings)
    assert any(one.check == "sources" for one in diagnosis.findings)


def test_a_held_load_and_an_open_incident_are_found(home: Settings) -> None:
    company = load_company(None).model
    landing = Landing(home.landing, home.quarantine)
    for week in range(6):
        rows = 100 if week < 5 else 3
        answers = pa.table(
            {
                "response_id": [f"{week}-{n}" for n in range(rows)],
                "survey_type": ["nps"] * rows,
                "score": [9.0] * rows,
                "scale_min": [0.0] * rows,
                "scale_max": [10.0] * rows,
                "responded_at": [datetime(2026, 9, 1)] * rows,
            }
        )
        extract = Extract("survey", "delighted", "incremental", (TableExtract("survey_response", answers),))
        landing.load(extract, company, datetime(2026, 9, 7, tzinfo=UTC) + timedelta(weeks=week))
    failed = CheckResult("suite", "check", "type", "critical", "reason", True, False)
    incident = record_incident(
        home.ledger_url, "publication_refused", date(2026, 10, 19), [failed], "data@example.com", NOW
    )
    found = gathered(home)
    assert [(load.kind, load.status) for load in found.waiting] == [("survey", "held")]
    assert found.open_incidents == (incident.id,)
    (state,) = [source for source in found.sources if source.kind == "survey"]
    assert state.last_loaded_at == datetime(2026, 9, 7) + timedelta(weeks=4)


def test_a_policy_that_cant_be_used_is_a_sentence(home: Settings, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "company.yaml").write_text("company_name: X\ntime_zone: Nowhere/Land\n")
    found = gather_stores(Settings(home=home.home, policy=policy), NOW)
    assert len(found.policy_problems) == 1
    assert "time_zone" in found.policy_problems[0]


def test_a_note_of_a_process_that_is_gone_is_a_killed_run(home: Settings) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    note = home.run_lock.with_suffix(".holder")
    note.write_text(json.dumps({"run": "abc", "process": gone.pid}))
    assert gathered(home).holder_is_alive is False
    note.write_text(json.dumps({"run": "abc", "process": os.getpid()}))
    with FileLock(home.run_lock):
        assert gathered(home).holder_is_alive is True
    # another process has its number now, as after a restart of a container
    assert gathered(home).holder_is_alive is False
    assert [one.check for one in stores.check_run_lock(gathered(home)) if one.severity == "warning"] == ["run lock"]


def test_the_lock_names_what_this_platform_needs() -> None:
    locked = locked_versions()
    assert locked["dagster"] == "1.13.27"
    assert "dbt-duckdb" in locked
    # the lock holds two, one of them for Python before 3.12
    assert locked["networkx"] == ("3.6.1" if sys.version_info < (3, 12) else "3.7")
    told = [finding.what for finding in environment.check_lock(gather_environment(Settings(), NOW))]
    assert not [what for what in told if "another version" in what]


def test_the_reviewable_week_follows_the_clock(home: Settings) -> None:
    found = gathered(home, datetime(2026, 11, 9, 7, 0))
    assert found.reviewable_week == str(Week(date(2026, 11, 2)))
    (finding,) = stores.check_weeks(found)
    assert "--week 2026-11-02 --weeks 2" in finding.do


def test_a_package_away_from_its_checkout_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "REPOSITORY", tmp_path)
    monkeypatch.setattr(sys, "argv", ["health-pipeline", "releases"])
    with pytest.raises(SystemExit, match=r"There is no dbt project beside the code in .*: it runs from its checkout"):
        cli.main()
