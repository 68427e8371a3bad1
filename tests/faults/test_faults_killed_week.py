"""The weekly job ended at a crash point or killed: published is untouched or wholly new, and the retry converges."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dagster as dg
import pytest
from killed_runs import (
    Start,
    assert_it_is_told,
    assert_nothing_is_left_over,
    assert_published_is_whole,
    content_of,
    is_building,
    processes_of_group,
    release_of,
    runs_in_history,
    small_company,
)

from health_pipeline.observability.crash_points import EXIT_CODE
from health_pipeline.publication.files import read_json
from health_pipeline.publication.releases import MANIFEST_FILE, candidates_folder, current_release, releases_folder
from health_pipeline.settings import Settings
from health_pipeline.sources.landing import Landing

FIRST_RUN = ("weekly", "--week", "2025-12-08", "--weeks", "2")
NEXT_RUN = ("weekly", "--week", "2025-12-15")


@pytest.mark.long
def test_a_week_that_died_in_the_landing_and_before_the_flip_is_finished_by_the_next_run(
    start: Start, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home")
    small_company(settings)

    landing = start(settings, tmp_path / "landing.txt", *FIRST_RUN, crash_at="landing_record")
    assert landing.wait() == EXIT_CODE, landing.said
    assert Landing(settings.landing, settings.quarantine).loads() == []
    assert list(settings.landing.glob("[a-z]*/*/*/*.parquet")), "it died before it had landed anything"
    assert current_release(settings) is None

    flip = start(settings, tmp_path / "flip.txt", *FIRST_RUN, crash_at="publish.before_flip")
    assert flip.wait() == EXIT_CODE, flip.said
    assert "killed_run_closed" in flip.said
    assert current_release(settings) is None, "a release is current that was never flipped to"
    (waiting,) = releases_folder(settings).iterdir()
    holder = json.loads((settings.home / "run.holder").read_text())["run"]
    assert runs_in_history(settings, dg.DagsterRunStatus.STARTED) == [holder]
    built = read_json(waiting / MANIFEST_FILE)

    retry = start(settings, tmp_path / "retry.txt", *FIRST_RUN)
    assert retry.wait() == 0, retry.said
    assert "Nothing to publish" in retry.said, "the same inputs came out differently"
    assert release_of(settings).name == waiting.name
    assert release_of(settings).manifest == built
    assert_published_is_whole(settings)
    assert_nothing_is_left_over(settings)
    assert_it_is_told(settings)
    assert holder in runs_in_history(settings, dg.DagsterRunStatus.FAILURE)


@pytest.fixture(scope="module")
def published_home(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of the small company in one release."""
    folder = tmp_path_factory.mktemp("published")
    settings = Settings(home=folder / "home")
    small_company(settings)
    run = start(settings, folder / "said.txt", *FIRST_RUN)
    assert run.wait() == 0, run.said
    return settings.home


@pytest.mark.long
def test_whatever_kills_the_next_week_the_last_release_serves_until_a_retry_publishes_it(
    start: Start, published_home: Path, tmp_path: Path
) -> None:
    undisturbed, settings = Settings(home=tmp_path / "undisturbed"), Settings(home=tmp_path / "home")
    for copy in (undisturbed, settings):
        shutil.copytree(published_home, copy.home, symlinks=True)
    reference = start(undisturbed, tmp_path / "undisturbed.txt", *NEXT_RUN)
    before = release_of(settings)

    for point in (
        "landing_table",
        "scoring.between_tables",
        "candidate.before_manifest",
        "audit.before_verdict",
        "publish.after_move",
    ):
        crash = start(settings, tmp_path / f"{point}.txt", *NEXT_RUN, crash_at=point)
        assert crash.wait() == EXIT_CODE, crash.said
        assert release_of(settings) == before
        assert_published_is_whole(settings)
        assert len(list(releases_folder(settings).iterdir())) == (2 if point == "publish.after_move" else 1)
        left = list(candidates_folder(settings).iterdir())
        assert len(left) == (point in {"candidate.before_manifest", "audit.before_verdict"})

    # Alone: as where memory runs out. Its dbt lives on and holds the warehouse; the retry starts at once.
    alone = start(settings, tmp_path / "alone.txt", *NEXT_RUN)
    alone.kill_when("dbt's build", lambda: is_building(settings), is_group=False)
    assert processes_of_group(alone.process.pid), "dbt did not outlive its run"
    retry = start(settings, tmp_path / "retry.txt", *NEXT_RUN)
    assert retry.wait() == 0, retry.said
    assert "waiting_for_warehouse" in retry.said, "the dbt that outlived its run held nothing: nothing was tested"
    assert "Published r000002" in retry.said

    assert reference.wait() == 0, reference.said
    assert content_of(release_of(settings)) == content_of(release_of(undisturbed))
    assert_published_is_whole(settings)
    assert_nothing_is_left_over(settings)
    assert_it_is_told(settings)
    assert len(runs_in_history(settings, dg.DagsterRunStatus.FAILURE)) == 6
