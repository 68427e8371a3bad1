"""A crosswalk that was begun before the newest loads were there is the one that is made in one go."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from drawn_books import DECISION, LANDING, QUIET, decisions, fill
from hypothesis import event, given
from hypothesis import strategies as st

from health_pipeline.contract.landing import landing_tables, schema_of
from health_pipeline.identity import ahead
from health_pipeline.identity.ahead import CrosswalkAhead
from health_pipeline.identity.crosswalk import Crosswalk, crosswalk_of, fold_landed
from health_pipeline.identity.landed import build_landed, fold_files
from health_pipeline.identity.overrides import Overrides
from health_pipeline.identity.records import Node
from health_pipeline.identity.store import LINK_FILE, write_crosswalk
from health_pipeline.observability.workers import WorkerEndedError, Workers, result_of
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import PolicyError
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing

TABLES = ("accounts", "links", "unmatched", "possible_duplicates")


def assert_same(one, other):
    for name in TABLES:
        assert getattr(one, name).equals(getattr(other, name)), name
    assert one.unknown_accounts == other.unknown_accounts


@QUIET
@given(
    **LANDING,
    drawn=DECISION,
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
    folded = fold_landed(*whole.tables(), overrides, begun=begun)
    event(f"goes on: {folded is begun}")
    assert_same(
        crosswalk_of(folded),
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


def accounts(*ids: str, at: datetime) -> pa.Table:
    """What a CRM delivers of these."""
    return pa.table(
        {
            "source_account_id": list(ids),
            "name": [f"Company {one}" for one in ids],
            "domain": [f"{one.lower()}.example" for one in ids],
            "source_updated_at": [at] * len(ids),
        }
    )


@dataclass
class Company:
    """A company whose CRM is landed, as a run finds it."""

    settings: Settings

    @property
    def landing(self) -> Landing:
        return Landing(self.settings.landing, self.settings.quarantine)

    def land(self, day: int, *ids: str) -> None:
        """A complete extract of the CRM, so many days after the first."""
        at = datetime(2026, 1, 5, 2) + timedelta(days=day)
        table = TableExtract("source_account", accounts(*ids, at=at), is_complete=True)
        extract = Extract("crm", "salesforce", "incremental", (table,))
        result = self.landing.load(extract, load_company(None).model, at, accept=True)
        assert result.status == "committed", result

    def land_reading(self, day: int) -> None:
        """What a run has read in texts, so many days after the first."""
        at = datetime(2026, 1, 5, 2) + timedelta(days=day)
        names = ("text_reading", "text_phrase")
        tables = (TableExtract(name, schema_of(landing_tables()[name].columns).empty_table()) for name in names)
        extract = Extract("text", "salesforce", "incremental", tuple(tables))
        result = self.landing.load(extract, load_company(None).model, at)
        assert result.status == "committed", result

    def built(self) -> Crosswalk:
        """The crosswalk in one go."""
        return build_landed(self.settings, self.landing.manifest())


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Company:
    """Large enough for the second process, with one load."""
    made = Company(Settings(home=tmp_path / "home"))
    made.land(0, "C1", "C2", "C3")
    write_crosswalk(made.settings, made.built())
    monkeypatch.setattr(ahead, "LINKS_FOR_SECOND", 3)
    return made


def nodes_in_memory() -> int:
    """In the process this is called in."""
    return sum(isinstance(one, Node) for one in gc.get_objects())


def folded_on_top(caplog: pytest.LogCaptureFixture) -> list[bool]:
    lines = [json.loads(record.getMessage()) for record in caplog.records if "on_top" in record.getMessage()]
    return [line["on_top_of_what_was_begun"] for line in lines]


def test_what_was_begun_in_the_second_process_is_gone_on_with(company, caplog):
    caplog.set_level("INFO", "health_pipeline")
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.begin()
        assert second.submit(len, "begun").result() == len("begun")
        company.land(7, "C1", "C2", "C3", "C4")
        whole = company.built()
        # what was read is not read again
        Path(company.landing.manifest()["path"][0].as_py()).unlink()
        assert_same(crosswalk.finish(company.landing.manifest()), whole)
        # the next run of this process has nothing of this one
        with pytest.raises(FileNotFoundError, match="belongs to a committed load and is not there"):
            crosswalk.finish(company.landing.manifest())
    assert folded_on_top(caplog) == [True]


def test_a_record_missing_from_the_newest_extract_goes_on(company, caplog):
    caplog.set_level("INFO", "health_pipeline")
    company.land(7, "C1", "C2", "C3", "C4")
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.begin()
        assert result_of(second.submit(nodes_in_memory)) == 4
        company.land(14, "C1", "C3", "C4", "C5")
        assert_same(crosswalk.finish(company.landing.manifest()), company.built())
        assert result_of(second.submit(nodes_in_memory)) == 0
    assert folded_on_top(caplog) == [True]


def handed_over_to(monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., object]]:
    """What is handed over from now on."""
    noted = []
    submit = Workers.submit

    def taken_down(workers, work, *given):
        noted.append(work)
        return submit(workers, work, *given)

    monkeypatch.setattr(Workers, "submit", taken_down)
    return noted


ONCE = [ahead.fold_landed_so_far, ahead.fold_the_rest, ahead.give_back_memory]


def test_it_goes_on_while_the_run_reads_texts(company, monkeypatch, caplog):
    caplog.set_level("INFO", "health_pipeline")
    handed_over = handed_over_to(monkeypatch)
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.begin()
        company.land(7, "C1", "C2", "C4")
        crosswalk.go_on(company.landing.manifest())
        crosswalk.go_on(company.landing.manifest())
        company.land_reading(7)
        assert_same(crosswalk.finish(company.landing.manifest()), company.built())
        assert handed_over == ONCE
    assert folded_on_top(caplog) == [True]


def test_what_somebody_landed_since_it_went_on_is_linked_too(company, caplog):
    caplog.set_level("INFO", "health_pipeline")
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.begin()
        crosswalk.go_on(company.landing.manifest())
        company.land(7, "C1", "C2", "C3", "C9")
        made = crosswalk.finish(company.landing.manifest())
    assert made.links.filter(pc.field("source_account_id") == "C9").num_rows == 1
    assert_same(made, company.built())
    assert folded_on_top(caplog) == [False]


def test_what_a_run_went_on_with_and_did_not_take_is_not_the_next_ones(company, caplog):
    caplog.set_level("INFO", "health_pipeline")
    second = Workers()
    crosswalk = CrosswalkAhead(company.settings, second)
    with second:
        crosswalk.begin()
        crosswalk.go_on(company.landing.manifest())
    with second:
        crosswalk.begin()
        assert_same(crosswalk.finish(company.landing.manifest()), company.built())
    assert folded_on_top(caplog) == [True]


def test_where_nothing_was_begun_it_does_not_go_on(company):
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.go_on(company.landing.manifest())
        assert not second.is_running


def test_a_small_company_is_folded_in_the_runs_own_process(company, monkeypatch):
    monkeypatch.setattr(ahead, "LINKS_FOR_SECOND", 4)
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.begin()
        assert not second.is_running
        assert_same(crosswalk.finish(company.landing.manifest()), company.built())
        assert not second.is_running


@pytest.mark.parametrize("content", [b"", b"PAR1 and then the power was cut"])
def test_links_that_can_not_be_read_hinder_no_run(company, content):
    (company.settings.identity / LINK_FILE).write_bytes(content)
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.begin()
        assert not second.is_running
        assert_same(crosswalk.finish(company.landing.manifest()), company.built())


def test_it_is_begun_once_in_a_run_and_anew_after_one_that_failed(company, monkeypatch):
    handed_over = handed_over_to(monkeypatch)
    second = Workers()
    crosswalk = CrosswalkAhead(company.settings, second)
    with second:
        crosswalk.begin()
        crosswalk.begin()
        assert handed_over == [ahead.fold_landed_so_far]
    with second:
        crosswalk.begin()
        assert handed_over == [ahead.fold_landed_so_far] * 2
        assert_same(crosswalk.finish(company.landing.manifest()), company.built())


def test_a_process_that_is_killed_at_work_is_said(company):
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.begin()
        process = second.submit(os.getpid).result()
        os.kill(process, signal.SIGSTOP)
        threading.Timer(0.5, os.kill, (process, signal.SIGKILL)).start()
        with pytest.raises(WorkerEndedError, match="was killed or ran out of memory"):
            crosswalk.finish(company.landing.manifest())


def test_what_is_wrong_is_said_by_the_step_and_not_by_what_begins(company):
    (company.settings.home / "identity_overrides.csv").write_text("source_system\nsalesforce\n")
    with Workers() as second:
        crosswalk = CrosswalkAhead(company.settings, second)
        crosswalk.begin()
        crosswalk.go_on(company.landing.manifest())
        with pytest.raises(PolicyError, match=r"identity_overrides\.csv line 2"):
            crosswalk.finish(company.landing.manifest())
