"""The base's file copied ahead: a candidate that takes it is the one it would be without, and nothing is left over."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mart_builder import build_tables, weeks_from
from publishing import build, publish_weeks

from health_pipeline.publication import base_copy, candidate, candidate_parquet
from health_pipeline.publication.base_copy import BaseCopy
from health_pipeline.publication.candidate import Candidate
from health_pipeline.publication.errors import DamagedReleaseError
from health_pipeline.publication.files import file_sha256
from health_pipeline.publication.parquet import slice_path
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


def spoil(file: Path) -> None:
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def test_a_linked_file_that_was_damaged_before_the_run_is_refused(
    published: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(published)
    week = base.published_weeks[0]
    spoil(base.folder / slice_path("account_health_weekly", str(week)))
    monkeypatch.setattr(candidate_parquet, "damaged_files", lambda *_: pytest.fail("read once more"))
    told = rf"account_health_weekly/.*{week}.*does not match its manifest"
    with BaseCopy(published) as copied, pytest.raises(DamagedReleaseError, match=told):
        build(published, NEXT, build_tables(NEXT), copied=copied)


def test_a_damaged_file_that_is_replaced_does_not_hold_its_restatement(published: Settings) -> None:
    base = base_of(published)
    newest = base.published_weeks[-1]
    spoil(base.folder / slice_path("account_health_weekly", str(newest)))
    tables = build_tables([newest], scores={("a0000", newest): 70.0})
    with BaseCopy(published) as copied:
        restated = build(published, [newest], tables, copied=copied, reason="the file was damaged", restate=True)
    assert isinstance(restated, Candidate)


def test_of_another_release_nothing_is_known_to_be_whole(published: Settings) -> None:
    with BaseCopy(published) as copied:
        assert copied.damaged(base_of(published)) == frozenset()
        publish_weeks(published, NEXT)
        assert copied.damaged(base_of(published)) is None


def test_where_reading_ahead_fails_the_files_are_read_when_they_are_linked(
    published: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> frozenset[str]:
        raise OSError(5, "Input/output error")

    read_again = []

    def again(base: Release, names: list[str]) -> frozenset[str]:
        read_again.extend(names)
        return frozenset()

    monkeypatch.setattr(base_copy, "damaged_files", unreadable)
    monkeypatch.setattr(candidate_parquet, "damaged_files", again)
    with BaseCopy(published) as copied:
        taken = build(published, NEXT, build_tables(NEXT), copied=copied)
    assert isinstance(taken, Candidate)
    assert slice_path("account_health_weekly", str(base_of(published).published_weeks[0])) in read_again


def test_a_run_that_ends_early_reads_no_further(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended, read = threading.Event(), threading.Event(), []

    def slowly(_: Release, names: Iterator[str]) -> frozenset[str]:
        for name in names:
            read.append(name)
            begun.set()
            ended.wait(10)
        return frozenset()

    monkeypatch.setattr(base_copy, "damaged_files", slowly)
    copied = BaseCopy(published).__enter__()
    assert begun.wait(10)
    copied._ended.set()
    ended.set()
    copied.__exit__(None, None, None)
    assert len(read) == 1
