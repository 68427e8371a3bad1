"""A crosswalk that was begun before the newest loads were there is the one that is made in one go."""

from __future__ import annotations

import os
import signal
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from drawn_books import IDS, KINDS, LOAD, PAST, decisions, fill
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from health_pipeline.identity import ahead
from health_pipeline.identity.ahead import CrosswalkAhead
from health_pipeline.identity.crosswalk import crosswalk_of, fold_landed
from health_pipeline.identity.landed import build_landed, fold_files
from health_pipeline.identity.overrides import Overrides
from health_pipeline.identity.store import refresh_identity
from health_pipeline.observability.workers import Workers
from health_pipeline.policy.documents import PolicyError
from health_pipeline.settings import Settings

QUIET = hypothesis_settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
TABLES = ("accounts", "links", "unmatched", "possible_duplicates")


def assert_same(one, other):
    for name in TABLES:
        assert getattr(one, name).equals(getattr(other, name)), name
    assert one.unknown_accounts == other.unknown_accounts


@QUIET
@given(
    historical=st.lists(st.tuples(LOAD, st.lists(PAST, min_size=4, max_size=4)), max_size=4),
    incremental=st.lists(LOAD, min_size=1, max_size=8),
    late=st.none() | LOAD,
    drawn=st.tuples(
        st.sampled_from(KINDS), st.sampled_from(IDS), st.sampled_from(IDS), st.integers(-5, 18), st.booleans()
    ),
    knows_decision=st.booleans(),
    cuts=st.lists(st.integers(-1, 18), min_size=1, max_size=3).map(sorted),
)
def test_a_fold_that_was_begun_comes_to_what_a_whole_one_does(
    book, historical, incremental, late, drawn, knows_decision, cuts
):
    whole = fill(book.new(), historical, incremental, late)
    overrides = decisions(whole, drawn)
    begun = None
    for cut in cuts:
        # `until` keeps historical loads: a late one is among the first here, and missing there
        earlier = whole.until(cut) if cut >= 0 else book.new()
        begun = fold_landed(*earlier.tables(), overrides if knows_decision else Overrides(), begun=begun)
    assert_same(
        crosswalk_of(fold_landed(*whole.tables(), overrides, begun=begun)),
        crosswalk_of(fold_landed(*whole.tables(), overrides)),
    )


def test_what_is_later_is_folded_on_top_and_what_is_earlier_begins_anew(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}])
    book.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    begun = fold_landed(*book.tables())
    assert begun.links[-1].record.node.record_id == "B1"
    book.load(8, "billing", [{"id": "B2", "external": "C1"}])
    assert fold_landed(*book.tables(), begun=begun) is begun
    assert [link.record.node.record_id for link in begun.links] == ["C1", "B1", "B2"]
    # a history that comes late: of before everything that was folded
    book.load(9, "support", [{"id": "S1", "domain": "acme.example", "known": -5}], mode="historical")
    again = fold_landed(*book.tables(), begun=begun)
    assert again is not begun
    assert_same(crosswalk_of(again), book.crosswalk())


def test_what_comes_to_the_last_moment_begins_anew(book):
    """All of a moment is known before anything of it is decided."""
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}])
    begun = fold_landed(*book.tables())
    book.load(0, "crm", [{"id": "C2", "domain": "acme.example"}])
    assert fold_landed(*book.tables(), begun=begun) is not begun


def test_other_shared_domains_begin_anew(book):
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}])
    begun = fold_landed(*book.tables(), shared_domains=[])
    assert fold_landed(*book.tables(), shared_domains=["acme.example"], begun=begun) is not begun


def is_broken(second: Workers) -> bool:
    """Whether it was not noticed yet, and replaced, that the process is gone."""
    try:
        second.submit(os.getpid).result()
    except BrokenProcessPool:
        return True
    return False


@pytest.fixture
def landed(book, tmp_path) -> tuple[Settings, pa.Table]:
    """Settings and manifest of a landing of two loads, as files."""
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}])
    book.load(7, "support", [{"id": "S1", "domain": "acme.example"}])
    rows, manifest = book.tables()
    paths = [str(tmp_path / f"load_{sequence}.parquet") for sequence in manifest["load_sequence"].to_pylist()]
    for path, sequence in zip(paths, manifest["load_sequence"].to_pylist(), strict=True):
        pq.write_table(rows.filter(pc.field("load_sequence") == sequence), path)
    manifest = manifest.set_column(manifest.schema.get_field_index("path"), "path", pa.array(paths))
    return Settings(home=tmp_path / "home"), manifest


def test_files_that_were_read_are_not_read_again(landed, book):
    settings, manifest = landed
    begun = fold_files(settings, manifest.slice(0, 1))
    Path(manifest["path"][0].as_py()).unlink()
    assert_same(crosswalk_of(fold_files(settings, manifest, begun).fold), book.crosswalk())


def test_files_that_are_no_longer_landed_begin_anew(landed, book):
    settings, manifest = landed
    begun = fold_files(settings, manifest)
    assert_same(crosswalk_of(fold_files(settings, manifest.slice(0, 1), begun).fold), book.until(0).crosswalk())


def test_a_small_company_is_folded_in_the_runs_own_process(landed):
    settings, manifest = landed
    refresh_identity(settings, manifest)
    with Workers() as second:
        crosswalk = CrosswalkAhead(settings, second)
        crosswalk.begin()
        assert not second.is_running
        assert_same(crosswalk.finish(manifest), build_landed(settings, manifest))
        assert not second.is_running


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_large_one_is_folded_in_the_second_process(landed, monkeypatch, is_killed):
    settings, manifest = landed
    refresh_identity(settings, manifest)
    monkeypatch.setattr(ahead, "LINKS_FOR_SECOND", 2)
    with Workers() as second:
        crosswalk = CrosswalkAhead(settings, second)
        crosswalk.begin()
        process = second.submit(os.getpid).result()
        if is_killed:
            os.kill(process, signal.SIGKILL)
            while is_broken(second):
                pass
        assert_same(crosswalk.finish(manifest), build_landed(settings, manifest))
        # the next run's
        crosswalk.begin()
        assert_same(crosswalk.finish(manifest.slice(0, 1)), build_landed(settings, manifest.slice(0, 1)))


def test_what_is_wrong_is_said_by_the_step_and_not_by_what_begins(landed, monkeypatch):
    settings, manifest = landed
    refresh_identity(settings, manifest)
    monkeypatch.setattr(ahead, "LINKS_FOR_SECOND", 2)
    (settings.home / "identity_overrides.csv").write_text("source_system\nbilling_system\n")
    with Workers() as second:
        crosswalk = CrosswalkAhead(settings, second)
        crosswalk.begin()
        with pytest.raises(PolicyError, match=r"identity_overrides\.csv line 2"):
            crosswalk.finish(manifest)
