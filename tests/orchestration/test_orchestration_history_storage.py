"""Dagster's history is written through one engine per file, and holds what it held before."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy import event
from sqlalchemy.engine import Engine

from health_pipeline.orchestration import history_storage
from health_pipeline.orchestration.home import dagster_instance
from health_pipeline.settings import Settings


@dg.multi_asset(specs=[dg.AssetSpec(f"part_{number}") for number in range(5)])
def parts():
    for number in range(5):
        yield dg.MaterializeResult(asset_key=f"part_{number}", metadata={"number": number})


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The file of every connection that is opened meanwhile."""
    found: list[str] = []

    def note(connection: sqlite3.Connection, _: object) -> None:
        found.append(connection.execute("pragma database_list").fetchone()[2])

    event.listen(Engine, "connect", note)
    yield found
    event.remove(Engine, "connect", note)


def test_a_run_makes_one_engine_per_file_and_its_events_are_all_kept(tmp_path, monkeypatch, opened):
    made: list[str] = []

    def counted(url: str, **arguments):
        made.append(url)
        return real(url, **arguments)

    real = history_storage.create_engine
    monkeypatch.setattr(history_storage, "create_engine", counted)
    settings = Settings(home=tmp_path / "home")
    job = dg.Definitions(assets=[parts], jobs=[dg.define_asset_job("all_parts")]).resolve_job_def("all_parts")
    with dagster_instance(settings) as instance:
        assert sqlite_event_log.create_engine is history_storage._engine_of
        result = job.execute_in_process(instance=instance)
    events = result.all_events
    assert len(events) > 10
    assert len(made) == len(set(made)) <= 3
    run_file = settings.dagster_home / "history" / "runs" / f"{result.run_id}.db"
    assert str(run_file) in "".join(made)
    assert 1 <= opened.count(str(run_file)) <= 2
    with sqlite3.connect(run_file) as connection:
        kept = connection.execute("select count(*) from event_logs where dagster_event_type is not null").fetchone()[0]
    assert kept >= len(events)
    with dagster_instance(settings) as instance:
        numbers = [
            instance.get_latest_materialization_event(dg.AssetKey(f"part_{number}")).asset_materialization.metadata[
                "number"
            ]
            for number in range(5)
        ]
    assert [one.value for one in numbers] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("is_linked", [False, True])
def test_where_other_files_came_in_their_place_those_are_read(tmp_path, is_linked):
    (tmp_path / "disk").mkdir()
    home = tmp_path / "home"
    if is_linked:
        home.symlink_to(tmp_path / "disk" / "home")
    settings = Settings(home=home)
    job = dg.Definitions(assets=[parts], jobs=[dg.define_asset_job("all_parts")]).resolve_job_def("all_parts")

    def newest() -> str | None:
        with dagster_instance(settings) as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey("part_4"))
        return None if event is None else event.run_id

    def run() -> str:
        with dagster_instance(settings) as instance:
            return job.execute_in_process(instance=instance).run_id

    if is_linked:
        (tmp_path / "disk" / "home").mkdir()
    first = run()
    shutil.copytree(home, tmp_path / "aside")
    second = run()
    assert newest() == second != first
    shutil.rmtree(home / "dagster")
    (tmp_path / "aside" / "dagster").rename(home / "dagster")
    assert newest() == first
    third = run()
    assert newest() == third
    shutil.rmtree(home / "dagster")
    assert newest() is None
