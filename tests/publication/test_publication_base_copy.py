"""The base's file copied ahead: a candidate that takes it is the one it would be without, and nothing is left over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mart_builder import build_tables, weeks_from
from publishing import build, publish_weeks

from health_pipeline.publication import candidate
from health_pipeline.publication.base_copy import BaseCopy
from health_pipeline.publication.candidate import Candidate
from health_pipeline.publication.errors import DamagedReleaseError
from health_pipeline.publication.files import file_sha256
from health_pipeline.publication.releases import Release, candidates_folder, current_release
from health_pipeline.settings import Settings

NEXT = weeks_from(3, 1)


def base_of(settings: Settings) -> Release:
    base = current_release(settings)
    assert base is not None
    return base


def test_a_candidate_takes_the_copy_and_is_the_same(
    published: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Settings(home=tmp_path / "other")
    shutil.copytree(published.home, other.home, symlinks=True)
    tables = build_tables(NEXT)
    plain = build(other, NEXT, tables)
    monkeypatch.setattr(candidate, "copy_with_sha256", lambda *_: pytest.fail("copied once more"))
    with BaseCopy(published) as copied:
        taken = build(published, NEXT, tables, copied=copied)
    assert isinstance(plain, Candidate)
    assert isinstance(taken, Candidate)
    assert taken.manifest["content_hash"] == plain.manifest["content_hash"]
    assert taken.manifest["files"][taken.file.name] == file_sha256(taken.file)
    assert [path.name for path in candidates_folder(published).iterdir()] == [taken.id]


def test_a_copy_is_taken_once_and_only_of_the_release_it_is_of(published: Settings, tmp_path: Path) -> None:
    before, target = base_of(published), tmp_path / "taken"
    with BaseCopy(published) as copied:
        publish_weeks(published, NEXT)
        after = base_of(published)
        assert copied.take(after, target) is None
        assert not target.exists()
    with BaseCopy(published) as copied:
        assert copied.take(after, target) == file_sha256(after.file) == file_sha256(target)
        assert copied.take(after, target) is None
    assert before.name != after.name


def test_what_is_not_taken_is_removed(settings: Settings, published: Settings) -> None:
    with pytest.raises(KeyError), BaseCopy(published):
        raise KeyError
    assert list(candidates_folder(published).iterdir()) == []


def test_before_the_first_release_there_is_nothing_to_copy(settings: Settings) -> None:
    with BaseCopy(settings) as copied:
        first = build(settings, weeks_from(0, 1), build_tables(weeks_from(0, 1)), copied=copied)
    assert isinstance(first, Candidate)
    assert first.base_release is None


def test_a_base_that_was_damaged_is_refused_from_its_copy_too(published: Settings) -> None:
    file = base_of(published).file
    file.chmod(0o644)
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        stream.write(b"\xff" * 64)
    with BaseCopy(published) as copied, pytest.raises(DamagedReleaseError, match="does not match its manifest"):
        build(published, NEXT, build_tables(NEXT), copied=copied)


def test_a_copy_that_fails_is_made_when_it_is_needed(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with BaseCopy(published) as copied:
        taken = build(published, NEXT, build_tables(NEXT), copied=copied)
    assert isinstance(taken, Candidate)
    assert taken.manifest["files"][taken.file.name] == file_sha256(taken.file)
    assert [path.name for path in candidates_folder(published).iterdir()] == [taken.id]


def test_a_copy_that_was_changed_after_it_was_made_is_refused(published: Settings) -> None:
    with BaseCopy(published) as copied:
        assert copied._copied is not None
        made = copied._copied.result()
        content = bytearray(made.read_bytes())
        content[len(content) // 2] ^= 1
        made.write_bytes(bytes(content))
        with pytest.raises(DamagedReleaseError, match="does not match its manifest"):
            build(published, NEXT, build_tables(NEXT), copied=copied)
