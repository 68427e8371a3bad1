"""Clean-up of old releases that dies: each release is there whole or not at all, and the next run goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mart_builder import FIRST_WEEK, build_tables
from publishing import publish_weeks

from health_pipeline.observability.crash_points import ENVIRONMENT, EXIT_CODE
from health_pipeline.publication.releases import (
    candidates_folder,
    clean_scratch,
    current_release,
    damages,
    list_releases,
)
from health_pipeline.settings import Settings

LAST = FIRST_WEEK.shift(2)
PROGRAM = Path(__file__).with_name("publishing.py")
# Dies between moving the release away and removing it.
MOVED = """
import os, shutil, sys
from datetime import datetime
from pathlib import Path
from health_pipeline.publication import releases
from health_pipeline.settings import Settings
shutil.rmtree = lambda *_: os._exit(137)
releases.prune(Settings(home=Path(sys.argv[1])), datetime(2027, 1, 1))
"""


def names(settings: Settings) -> list[str]:
    return [release.name for release in list_releases(settings)]


def test_a_publisher_killed_before_it_removes_an_old_release_keeps_it_whole(published: Settings) -> None:
    for offset in (3, 4):
        publish_weeks(published, [FIRST_WEEK.shift(offset)])
    before = names(published)
    killed = subprocess.run(
        [sys.executable, str(PROGRAM), str(published.home), "5"],
        env={**os.environ, ENVIRONMENT: "prune.before_remove"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == EXIT_CODE, killed.stderr
    current = current_release(published)
    assert current is not None
    assert names(published) == [*before, current.name]
    assert [damages(release) for release in list_releases(published)] == [[], [], [], []]

    clean_scratch(published)
    newest = publish_weeks(published, [FIRST_WEEK.shift(6)])
    assert names(published) == [before[-1], current.name, newest.name]


def test_a_release_that_was_only_moved_away_is_removed_by_the_next_run(published: Settings) -> None:
    for number in range(3):
        tables = build_tables([LAST], scores={("a0000", LAST): 70.0 + number})
        publish_weeks(published, [LAST], tables, restate=True, reason="again")
    before = names(published)
    killed = subprocess.run([sys.executable, "-c", MOVED, str(published.home)], check=False)
    assert killed.returncode == EXIT_CODE
    assert names(published) == before[1:]
    assert [path.name for path in candidates_folder(published).iterdir()] == [f"pruned-{before[0]}"]
    assert [damages(release) for release in list_releases(published)] == [[], [], []]

    assert clean_scratch(published) == [f"pruned-{before[0]}"]
    assert list(candidates_folder(published).iterdir()) == []
    assert names(published) == before[1:]
