"""The record of a run: what is counted how, and what becomes of it when the run is killed or its file damaged."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from health_pipeline.observability import resident_memory
from health_pipeline.observability.resident_memory import PeakMemory, cpu_and_memory, process_tree
from health_pipeline.observability.run_record import (
    KEPT_FOR,
    PARTITION_ROWS,
    TABLE_ROWS,
    RunRecord,
    RunRecorder,
    StepRecord,
    close_killed_records,
    read_records,
    rows_of_step,
    write_record,
)

BEGAN = datetime(2026, 11, 16, 6)


def a_record(run_id: str = "run-1", began: datetime = BEGAN) -> RunRecord:
    return RunRecord(run_id, "weekly_health_review", began, date(2026, 11, 9), date(2026, 11, 9))


def test_a_run_is_on_disk_after_each_step_and_comes_back_as_it_was(tmp_path: Path) -> None:
    recorder = RunRecorder(a_record(), tmp_path)
    assert [record.outcome for record in read_records(tmp_path)] == ["running"]
    recorder.step_started("pull_sources")
    recorder.rows_told("pull_sources", "landing/crm", TABLE_ROWS, 90)
    recorder.step_ended("pull_sources")
    (so_far,) = read_records(tmp_path)
    assert [(step.step, step.stage, step.rows, step.outcome) for step in so_far.steps] == [
        ("pull_sources", "landing", 90, "succeeded")
    ]
    recorder.step_started("release")
    with recorder.part("release", "gate"):
        pass
    recorder.released("r000001", True)
    recorder.step_ended("release")
    ended = recorder.end()
    assert read_records(tmp_path) == [ended]
    assert (ended.outcome, ended.verdict, ended.release) == ("succeeded", "published", "r000001")
    assert [step.stage for step in ended.steps] == ["landing", "gate", "publish"]
    assert ended.seconds is not None
    gate, publish = ended.steps[1:]
    assert 0 <= (gate.seconds or -1) <= (publish.seconds or -1) <= ended.seconds


def test_an_audit_that_found_something_critical_is_a_refusal(tmp_path: Path) -> None:
    recorder = RunRecorder(a_record(), tmp_path)
    recorder.step_started("release_verdict")
    for severity, passed in (("critical", True), ("critical", False), ("warning", False), ("info", False)):
        recorder.check_evaluated("release_verdict", severity, passed)  # type: ignore[arg-type]
    recorder.step_ended("release_verdict", "Failure", is_failed=True)
    record = recorder.end()
    assert (record.outcome, record.verdict, record.release) == ("failed", "refused", None)
    (step,) = record.steps
    assert (step.checks_evaluated, step.critical_checks_failed, step.warning_checks_failed) == (4, 1, 1)
    assert (step.info_checks_failed, step.error) == (1, "Failure")


def test_a_failure_before_the_audit_is_no_verdict(tmp_path: Path) -> None:
    recorder = RunRecorder(a_record(), tmp_path)
    recorder.step_started("feature_mart")
    recorder.step_ended("feature_mart", "Failure", is_failed=True)
    assert (recorder.end().outcome, recorder.record.verdict) == ("failed", None)


def test_a_step_that_never_ended_is_a_failure(tmp_path: Path) -> None:
    recorder = RunRecorder(a_record(), tmp_path)
    recorder.step_started("feature_mart")
    assert recorder.end().outcome == "failed"


def test_a_part_that_raises_is_taken_down(tmp_path: Path) -> None:
    recorder = RunRecorder(a_record(), tmp_path)
    with pytest.raises(ValueError, match="no"), recorder.part("release", "gate"):
        raise ValueError("no")
    assert [(step.step, step.outcome) for step in recorder.record.steps] == [("release/gate", "failed")]


def test_rows_are_those_of_the_runs_weeks_where_a_table_has_weeks() -> None:
    told = {
        "account_health_weekly": {PARTITION_ROWS: 822, TABLE_ROWS: 5000},
        "accounts": {TABLE_ROWS: 411},
        "report": {},
    }
    assert rows_of_step(told) == 822 + 411
    assert rows_of_step({}) is None


def test_rows_of_several_weeks_add_up_and_a_whole_tables_do_not(tmp_path: Path) -> None:
    recorder = RunRecorder(a_record(), tmp_path)
    recorder.step_started("score_accounts")
    for rows in (400, 411):
        recorder.rows_told("score_accounts", "account_health_weekly", PARTITION_ROWS, rows)
        recorder.rows_told("score_accounts", "accounts", TABLE_ROWS, 500)
    recorder.step_ended("score_accounts")
    assert recorder.end().steps[0].rows == 811 + 500


def test_a_killed_run_is_told_by_the_next_one_and_old_files_go(tmp_path: Path) -> None:
    write_record(tmp_path, a_record("killed"))
    ended = a_record("ended")
    ended.outcome = "succeeded"
    write_record(tmp_path, ended)
    write_record(tmp_path, a_record("old", BEGAN - KEPT_FOR - timedelta(days=1)))
    closed = close_killed_records(tmp_path, BEGAN)
    assert [record.run_id for record in closed] == ["killed"]
    assert {record.run_id: record.outcome for record in read_records(tmp_path)} == {
        "ended": "succeeded",
        "killed": "killed",
    }
    assert close_killed_records(tmp_path, BEGAN) == []


def test_a_damaged_file_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_record(tmp_path, a_record())
    (tmp_path / "cut.json").write_text('{"run_id": "cut", "st')
    (tmp_path / "other.json").write_text('{"hello": 1}')
    assert [record.run_id for record in read_records(tmp_path)] == ["run-1"]
    assert sum("run_record_not_read" in line for line in caplog.messages) == 2


def test_a_folder_that_can_not_be_written_to_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("a file stands where the folder should be")
    recorder = RunRecorder(a_record(), tmp_path / "file")
    recorder.step_started("release")
    recorder.step_ended("release")
    assert recorder.end().outcome == "succeeded"
    assert sum("run_record_not_written" in line for line in caplog.messages) == 3


def test_memory_is_that_of_the_process_and_its_children() -> None:
    size = 80 << 20
    program = f"import time; held = bytearray({size}); print(1, flush=True); time.sleep(60)"
    memory = PeakMemory(interval_seconds=0.02)
    memory.restart()
    before = memory.peak()
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in process_tree(child.pid)
        assert cpu_and_memory(child.pid)[1] > size
        during = memory.peak()
        child.kill()
    memory.restart()
    after = memory.peak()
    memory.stop()
    assert before is not None
    assert during is not None
    assert after is not None
    assert during - before > 0.9 * size
    assert after < during - 0.9 * size
    assert cpu_and_memory(child.pid) == (0.0, 0)


def test_a_step_knows_its_own_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resident = {"bytes": 100 << 20}
    monkeypatch.setattr(resident_memory, "cpu_and_memory", lambda process: (0.0, resident["bytes"]))
    monkeypatch.setattr(resident_memory, "process_tree", lambda root: [root])
    recorder = RunRecorder(a_record(), tmp_path, PeakMemory(interval_seconds=0.001))
    recorder.step_started("feature_mart")
    resident["bytes"] = 160 << 20
    recorder.step_ended("feature_mart")
    resident["bytes"] = 90 << 20
    recorder.step_started("score_accounts")
    recorder.step_ended("score_accounts")
    peaks = [step.peak_memory_bytes for step in recorder.end().steps]
    assert peaks == [160 << 20, 90 << 20]
    assert recorder.record.peak_memory_bytes == 160 << 20


def test_a_step_of_no_known_name_is_of_another_stage(tmp_path: Path) -> None:
    recorder = RunRecorder(a_record(), None)
    recorder.step_started("somebodys_own")
    recorder.step_ended("somebodys_own")
    assert [step.stage for step in recorder.end().steps] == ["other"]
    assert list(tmp_path.iterdir()) == []
    assert isinstance(recorder.record.steps[0], StepRecord)
