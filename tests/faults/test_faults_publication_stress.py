"""Publication after publication under readers in their own processes: no error, no torn read, no release going back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import seen_history
from mart_builder import FIRST_WEEK, build_tables, built_at
from publishing import build, passing_verdict, publish_weeks
from seen_history import Look, Publication, faults_in, read_looks

from health_pipeline.publication.candidate import Candidate
from health_pipeline.publication.gate import publish
from health_pipeline.publication.releases import candidates_folder, current_release, damages, list_releases
from health_pipeline.settings import Settings

READERS = 3
ACCOUNTS = ("a0000", "a0001")
# So many releases a simulated day: those of a day are kept, so clean-up is at work and the disk does not fill.
A_DAY = 24
MOMENT = timedelta(days=1) / A_DAY


def score_of(number: int) -> float:
    """The number of a publication as a score; above 50 no account is at risk."""
    return 50.0 + number


def publish_number(settings: Settings, number: int) -> Publication:
    tables = build_tables([FIRST_WEEK], scores={(account, FIRST_WEEK): score_of(number) for account in ACCOUNTS})
    candidate = build(settings, [FIRST_WEEK], tables, restate=True, reason=f"publication {number}")
    assert isinstance(candidate, Candidate)
    verdict = passing_verdict(candidate, tables)
    called = time.monotonic()
    release = publish(settings, candidate, verdict, built_at(FIRST_WEEK) + number * MOMENT)
    return Publication(int(score_of(number)), release.name, called, time.monotonic())


@contextmanager
def readers(settings: Settings, folder: Path) -> Iterator[None]:
    stop = folder / "stop"
    program = [sys.executable, seen_history.__file__, str(settings.home), str(stop)]
    started = [subprocess.Popen([*program, str(number)], stderr=subprocess.PIPE) for number in range(READERS)]
    try:
        deadline = time.monotonic() + 60
        while not all((folder / f"looks-{number}.jsonl").exists() for number in range(READERS)):
            assert time.monotonic() < deadline, "a reader never began"
            time.sleep(0.02)
        yield
        stop.touch()
        assert [process.wait(timeout=60) for process in started] == [0] * READERS
    finally:
        for process in started:
            process.kill()
            process.communicate(timeout=30)


def stressed(settings: Settings, folder: Path, count: int) -> None:
    """Publish `count` times and hold what the readers saw against it."""
    first = build_tables([FIRST_WEEK], scores={(account, FIRST_WEEK): score_of(0) for account in ACCOUNTS})
    release = publish_weeks(settings, [FIRST_WEEK], first)
    publications = [Publication(int(score_of(0)), release.name, 0.0, 0.0)]
    with readers(settings, folder):
        publications += [publish_number(settings, number) for number in range(1, count + 1)]
    looks = [look for number in range(READERS) for look in read_looks(folder / f"looks-{number}.jsonl")]
    assert list(faults_in(publications, looks, rows=len(ACCOUNTS))) == []
    # The fault fired: each reader looked all the while, and publications came in between its looks.
    for number in range(READERS):
        own = [look for look in looks if look.reader == number]
        assert len({look.numbers for look in own}) > min(5, count // 4)
        assert own[-1].numbers[0] == int(score_of(count))
    current = current_release(settings)
    assert current is not None
    assert (current.sequence, damages(current)) == (count + 1, [])
    assert A_DAY <= len(list_releases(settings)) <= A_DAY + 1 or count < A_DAY
    assert list(candidates_folder(settings).iterdir()) == []


def test_three_readers_over_five_publications(tmp_path: Path) -> None:
    stressed(Settings(home=tmp_path / "home"), tmp_path, 5)


@pytest.mark.long
def test_three_readers_over_a_thousand_publications(tmp_path: Path) -> None:
    stressed(Settings(home=tmp_path / "home"), tmp_path, 1000)


PUBLISHED = [Publication(50, "r1", 0.0, 0.0), Publication(51, "r2", 1.0, 2.0), Publication(52, "r3", 3.0, 4.0)]
SOUND = Look(0, 2.5, 2.6, (51, 51, 51), 2)


@pytest.mark.parametrize(
    ("look", "fault"),
    [
        (SOUND, None),
        (replace(SOUND, began=1.5, ended=1.6), None),  # between call and return either is right
        (replace(SOUND, began=1.5, ended=1.6, numbers=(50, 50, 50)), None),
        (replace(SOUND, numbers=(50, 50, 50)), "saw 50 when 51 was published already"),
        (replace(SOUND, numbers=(52, 52, 52)), "saw 52 before it was published"),
        (replace(SOUND, numbers=(51, 51, 50)), "a torn read"),
        (replace(SOUND, numbers=(50, 51, 51)), "a torn read"),
        (replace(SOUND, rows=1), "a torn read"),
        (replace(SOUND, numbers=(99, 99, 99)), "99 was never published"),
        (replace(SOUND, numbers=(), rows=0, error="IOException: x"), "an error (IOException: x)"),
    ],
)
def test_the_checker_sees_what_must_not_be(look: Look, fault: str | None) -> None:
    found = list(faults_in(PUBLISHED, [look], rows=2))
    assert found == [] if fault is None else [one for one in found if fault in one] == found != []


def test_the_checker_sees_a_reader_that_goes_back() -> None:
    back = [replace(SOUND, began=3.1, ended=3.2, numbers=(52, 52, 52)), replace(SOUND, began=3.3, ended=3.4)]
    assert list(faults_in(PUBLISHED, back, rows=2)) == ["reader 0 at 3.300: went back from 52 to 51"]
    assert list(faults_in(PUBLISHED, [back[0], replace(back[1], reader=1)], rows=2)) == []
