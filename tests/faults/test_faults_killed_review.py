"""`health-pipeline demo` killed with SIGKILL again and again in one home: it ends where an undisturbed one ends."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
from killed_runs import (
    Command,
    Start,
    assert_it_is_told,
    assert_nothing_is_left_over,
    assert_published_is_whole,
    content_of,
    is_building,
    processes_of_group,
    release_of,
    runs_in_history,
)

from health_pipeline.publication.releases import current_release, list_releases
from health_pipeline.segmentation.registry import adoptions
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing

DEMO = ("demo", "--accounts", "80")


def current_name(settings: Settings) -> str:
    release = current_release(settings)
    return release.name[:7] if release else "none"


def committed(settings: Settings) -> int:
    return len(Landing(settings.landing, settings.quarantine).loads())


@pytest.mark.long
def test_a_killed_review_goes_on_where_it_was_and_ends_as_an_undisturbed_one(start: Start, tmp_path: Path) -> None:
    settings, undisturbed = Settings(home=tmp_path / "home"), Settings(home=tmp_path / "undisturbed")
    reference = start(undisturbed, tmp_path / "undisturbed.txt", *DEMO)
    number = 0

    def demo() -> Command:
        nonlocal number
        number += 1
        return start(settings, tmp_path / f"demo-{number}.txt", *DEMO)

    run = demo()
    run.kill_when("the first landing", lambda: len(list((settings.landing / "source_load").glob("*.parquet"))) >= 30)
    assert 30 <= committed(settings) < 150
    assert not settings.identity.exists()

    run = demo()
    run.kill_when("the first build of dbt", lambda: is_building(settings) and size_of_log(settings) > 20_000)
    assert "landed" in run.said
    assert is_building(settings), "the warehouse was closed in time: nothing was tested"
    assert not processes_of_group(run.process.pid), "a dbt lives on"
    assert current_name(settings) == "none"

    run = demo()
    run.kill_when("the first release", (settings.published / "current").is_symlink)
    assert "waiting_for_warehouse" not in run.said
    assert current_name(settings) == "r000001"
    assert_published_is_whole(settings)
    assert not (settings.reports / "latest.html").exists(), "it was killed too late"
    assert adoptions(settings.ledger_url) == []

    run = demo()
    run.kill_when("the first quarter's release", lambda: current_name(settings) == "r000002")
    assert_it_is_told(settings)
    assert_published_is_whole(settings)
    assert release_of(settings).quarters == ("2026-01-01",)

    run = demo()
    run.kill_when("a later build of dbt", lambda: "linked" in run.said and is_building(settings))
    before = release_of(settings)
    assert before.name.startswith("r000002")
    assert [adoption.quarter.isoformat() for adoption in adoptions(settings.ledger_url)] == ["2026-01-01"]
    assert_published_is_whole(settings)
    holder = json.loads((settings.home / "run.holder").read_text())["run"]
    assert holder in runs_in_history(settings, dg.DagsterRunStatus.STARTED)

    last = demo()
    assert last.wait() == 0, last.said
    assert "TimeoutError" not in last.said
    assert holder in runs_in_history(settings, dg.DagsterRunStatus.FAILURE)
    assert len(runs_in_history(settings, dg.DagsterRunStatus.FAILURE)) == number - 1
    release = release_of(settings)
    assert (len(release.published_weeks), len(release.manifest["published_quarters"])) == (52, 3)
    assert list_releases(settings)[0].name == before.manifest["base_release"]
    assert_published_is_whole(settings)
    assert_nothing_is_left_over(settings)
    assert_it_is_told(settings)

    assert reference.wait() == 0, reference.said
    assert content_of(release) == content_of(release_of(undisturbed))
    assert adoptions(settings.ledger_url) == adoptions(undisturbed.ledger_url)
    assert committed(settings) == committed(undisturbed)

    again = demo()
    assert again.wait() == 0, again.said
    assert release_of(settings) == release


def size_of_log(settings: Settings) -> int:
    return settings.warehouse.with_name(f"{settings.warehouse.name}.wal").stat().st_size
