"""States that a benchmark keeps: whole, linked where nothing changes, and gone on from by the same commit alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.reviews import RunFigures, StageFigures
from benchmarks.states import KeptStates, copy_state

COMMIT = "0123456789"
RUN = RunFigures(
    "past weeks 1 to 7", StageFigures("whole", 60.5, 70.25, 2**30), (StageFigures("land", 1.5, 2.5, 7),), 3.5
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    release = home / "published" / "releases" / "r1"
    release.mkdir(parents=True)
    (release / "customer_health.duckdb").write_text("published")
    (home / "published" / "current").symlink_to("releases/r1")
    (home / "published" / "history.jsonl").write_text("first\n")
    (home / "warehouse").mkdir()
    (home / "warehouse" / "warehouse.duckdb").write_text("of 7 weeks")
    (home / "restricted" / "bodies").mkdir(parents=True)
    (home / "restricted").chmod(0o700)
    (home / "empty").mkdir()
    return tmp_path


def content(home: Path) -> dict[str, str]:
    return {path.relative_to(home).as_posix(): path.read_text() for path in home.rglob("*") if path.is_file()}


def test_a_state_comes_back_as_it_was(folder: Path) -> None:
    home = folder / "home"
    before = content(home)
    copy_state(home, folder / "kept")
    (home / "warehouse" / "warehouse.duckdb").write_text("of 8 weeks")
    with (home / "published" / "history.jsonl").open("a") as stream:
        stream.write("second\n")
    (home / "published" / "releases" / "r2").mkdir()
    copy_state(folder / "kept", home)
    assert content(home) == before
    assert (home / "published" / "current").readlink() == Path("releases/r1")
    assert (home / "restricted").stat().st_mode & 0o777 == 0o700
    assert (home / "empty").is_dir()
    assert not (home / "published" / "releases" / "r2").exists()


def test_what_never_changes_is_linked_and_what_does_is_copied(folder: Path) -> None:
    copy_state(folder / "home", folder / "kept")

    def is_same(name: str) -> bool:
        return (folder / "home" / name).samefile(folder / "kept" / name)

    assert is_same("published/releases/r1/customer_health.duckdb")
    assert not is_same("published/history.jsonl")
    assert not is_same("warehouse/warehouse.duckdb")


def test_the_same_commit_goes_on_from_the_latest_state(folder: Path) -> None:
    states = KeptStates(folder, (7, 8), COMMIT)
    assert states.restore() == []
    states.keep(7, [RUN])
    (folder / "home" / "warehouse" / "warehouse.duckdb").write_text("of 8 weeks")
    again = KeptStates(folder, (7, 8), COMMIT)
    assert again.restore() == [RUN]
    assert again.kept == 7
    assert (folder / "home" / "warehouse" / "warehouse.duckdb").read_text() == "of 7 weeks"


@pytest.mark.parametrize(
    ("kept_by", "commit"), [(COMMIT, "9876543210"), (f"{COMMIT}+", f"{COMMIT}+"), ("unknown",) * 2]
)
def test_a_state_of_other_code_is_none(folder: Path, kept_by: str, commit: str) -> None:
    KeptStates(folder, (7,), kept_by).keep(7, [RUN])
    states = KeptStates(folder, (7,), commit)
    assert states.restore() == []
    assert states.kept == 0


def test_a_state_that_was_not_kept_to_its_end_is_none(folder: Path) -> None:
    copy_state(folder / "home", folder / "at_7")
    assert KeptStates(folder, (7,), COMMIT).restore() == []
    (folder / "at_7.partial").write_text(json.dumps({"commit": COMMIT, "runs": []}))
    assert KeptStates(folder, (7,), COMMIT).restore() == []
