"""`health-pipeline weekly` killed at twenty random moments: wholly old or wholly new, and the next run converges."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from killed_runs import (
    Start,
    assert_it_is_told,
    assert_nothing_is_left_over,
    assert_published_is_whole,
    content_of,
    release_of,
    small_company,
)

from health_pipeline.settings import Settings

FIRST_RUN = ("weekly", "--week", "2025-12-08", "--weeks", "2")
NEXT_RUN = ("weekly", "--week", "2025-12-15")
POINTS = 20
# How long a run takes depends on what else the machine does: one that ended before its moment is begun anew.
LATEST = 0.95
ATTEMPTS = 3
SEED = 20261121


@dataclass(frozen=True)
class Undisturbed:
    """A home with two weeks published, and what the next week gives where nothing disturbs it."""

    home: Path
    seconds: float
    content: dict[str, Any]


@pytest.fixture(scope="module")
def undisturbed(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    settings = Settings(home=folder / "home")
    small_company(settings)
    first = start(settings, folder / "first.txt", *FIRST_RUN)
    assert first.wait() == 0, first.said
    before = folder / "before"
    shutil.copytree(settings.home, before, symlinks=True)
    began = time.monotonic()
    following = start(settings, folder / "next.txt", *NEXT_RUN)
    assert following.wait() == 0, following.said
    return Undisturbed(before, time.monotonic() - began, content_of(release_of(settings)))


@pytest.mark.long
@pytest.mark.parametrize("point", range(POINTS))
def test_killed_at_a_random_moment_it_is_old_or_new_and_the_next_run_converges(
    start: Start, undisturbed: Undisturbed, tmp_path: Path, point: int
) -> None:
    settings = Settings(home=tmp_path / "home")
    # One moment in each twentieth of the run: random, and no part of it left out.
    share = LATEST * (point + random.Random(SEED + point).random()) / POINTS
    seconds, was_killed = undisturbed.seconds, False
    for _ in range(ATTEMPTS):
        shutil.rmtree(settings.home, ignore_errors=True)
        shutil.copytree(undisturbed.home, settings.home, symlinks=True)
        before, began = release_of(settings), time.monotonic()
        run = start(settings, tmp_path / "killed.txt", *NEXT_RUN)
        was_killed = run.kill_at(began + share * seconds)
        if was_killed:
            break
        seconds = time.monotonic() - began
    assert was_killed, f"{ATTEMPTS} runs ended before {share:.0%} of the time that the one before had taken"
    assert_published_is_whole(settings)
    after = release_of(settings)
    assert after == before or content_of(after) == undisturbed.content

    again = start(settings, tmp_path / "again.txt", *NEXT_RUN)
    assert again.wait() == 0, again.said
    assert content_of(release_of(settings)) == undisturbed.content
    assert_published_is_whole(settings)
    assert_nothing_is_left_over(settings)
    assert_it_is_told(settings)
