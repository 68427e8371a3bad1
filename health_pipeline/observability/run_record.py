"""What a run was, as plain values: its steps with times, rows, peak memory and verdicts; one JSON file per run.

Ids, counts, weeks and names of steps only: what an error said, and what an asset told in words, stay where they are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.observability.logs import get_logger
from health_pipeline.observability.resident_memory import PeakMemory

Outcome = Literal["running", "succeeded", "failed", "killed"]
Verdict = Literal["published", "unchanged", "refused"]
CheckSeverity = Literal["critical", "warning", "info"]
# A part of a step that is told apart, such as the gate inside publishing.
Timed = Callable[[str], AbstractContextManager[None]]

# Which stage of the review a Dagster step belongs to; several steps may land.
STAGES: Mapping[str, str] = {
    "decided_overrides": "landing",
    "decided_cases": "landing",
    "picked_up_decisions": "landing",
    "pull_sources": "landing",
    "identity__crosswalk": "identity",
    "landing__text": "text",
    "feature_mart": "dbt",
    "fit_segments": "segments",
    "score_accounts": "score",
    "score_validation": "validation",
    "review_risks": "risk",
    "measure_review": "risk",
    "plan_reviews": "plan",
    "theme_tickets": "plan",
    "candidate_release": "candidate",
    "quarterly_candidate": "candidate",
    "release_verdict": "audit",
    "quarterly_verdict": "audit",
    "release": "publish",
    "quarterly_release": "publish",
    "release_newest_week_is_published": "checks",
    "release_current_release_is_whole": "checks",
    "emitted_plan": "emit",
    "weekly_report": "report",
    "quarterly_reports": "report",
    "review_cases": "review",
}
WHOLE_RUN = "run"
OTHER_STAGE = "other"
AUDIT = "audit"
# Longer than any quarter: what is older is in the mart's run_summary, or was never followed by a release.
KEPT_FOR = timedelta(days=400)
logger = get_logger("observability")


@dataclass
class StepRecord:
    """One step of a run, or a named part of it (`release/gate`), which lies inside the step's own seconds.

    Attributes
    ----------
    started_at : naive UTC
    seconds : wall time; None while it runs
    rows : of the tables it built, of the run's weeks; None where it builds none
    peak_memory_bytes : resident at most, with what the run started; None where the system does not tell, and of a part
    error : class of the exception it failed with; never its words
    checks_evaluated, critical_checks_failed, warning_checks_failed, info_checks_failed : of the step's asset checks
    """

    step: str
    stage: str
    started_at: datetime
    seconds: float | None = None
    rows: int | None = None
    peak_memory_bytes: int | None = None
    outcome: Outcome = "running"
    error: str | None = None
    checks_evaluated: int = 0
    critical_checks_failed: int = 0
    warning_checks_failed: int = 0
    info_checks_failed: int = 0


@dataclass
class RunRecord:
    """One run and its steps in the order in which they ended.

    Attributes
    ----------
    first_week, last_week : Mondays of the run's weeks; None of a quarter's run
    quarter : first day of the run's quarter; None of a week's run
    verdict : what came of the candidate; None where the run did not come to it
    release : the release it published, or found unchanged
    traceparent : W3C trace context of what started the run; None where nothing told one
    """

    run_id: str
    job: str
    started_at: datetime
    first_week: date | None = None
    last_week: date | None = None
    quarter: date | None = None
    seconds: float | None = None
    outcome: Outcome = "running"
    verdict: Verdict | None = None
    release: str | None = None
    traceparent: str | None = None
    steps: list[StepRecord] = field(default_factory=list)

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most of any step."""
        return max((step.peak_memory_bytes for step in self.steps if step.peak_memory_bytes is not None), default=None)

    def checks(self, count: str) -> int:
        """One of the counts of checks, over all steps."""
        return sum(getattr(step, count) for step in self.steps)


def untimed(part: str) -> AbstractContextManager[None]:
    """A part whose time nobody takes."""
    return nullcontext()


class RunRecorder:
    """Takes down one run while it goes on. It never ends a run: what it can't write is logged, and the run goes on."""

    def __init__(self, record: RunRecord, folder: Path | None, memory: PeakMemory | None = None) -> None:
        self.record = record
        self._folder = folder
        self._memory = memory or PeakMemory()
        self._began = time.monotonic()
        self._open: dict[str, tuple[StepRecord, float]] = {}
        self._rows: dict[str, dict[str, dict[str, int]]] = {}
        self._write()

    def step_started(self, step: str) -> None:
        """A step begins."""
        self._memory.restart()
        self._open[step] = (StepRecord(step, STAGES.get(step, OTHER_STAGE), _now()), time.monotonic())

    def step_ended(self, step: str, error: str | None = None, is_failed: bool = False) -> None:
        """A step ended, well or not; `error` is the class of its exception."""
        if step not in self._open:
            return
        entry, began = self._open.pop(step)
        entry.seconds = time.monotonic() - began
        entry.rows = rows_of_step(self._rows.pop(step, {}))
        entry.peak_memory_bytes = self._memory.peak()
        entry.outcome, entry.error = ("failed" if is_failed else "succeeded"), error
        if is_failed and entry.stage == AUDIT and entry.critical_checks_failed:
            self.record.verdict = "refused"
        self.record.steps.append(entry)
        self._write()

    def rows_told(self, step: str, asset: str, label: str, rows: int) -> None:
        """An asset of a step told a number of rows, under the label of a partition's or of the whole table's."""
        told = self._rows.setdefault(step, {}).setdefault(asset, {})
        told[label] = told.get(label, 0) + rows if label == PARTITION_ROWS else max(told.get(label, 0), rows)

    def check_evaluated(self, step: str, severity: CheckSeverity, passed: bool) -> None:
        """An asset check of a step was evaluated."""
        if step not in self._open:
            return
        entry = self._open[step][0]
        entry.checks_evaluated += 1
        if not passed:
            name = f"{severity}_checks_failed"
            setattr(entry, name, getattr(entry, name) + 1)

    def released(self, release: str, is_published: bool) -> None:
        """What the run published, or found published already."""
        self.record.release = release
        self.record.verdict = "published" if is_published else "unchanged"

    @contextmanager
    def part(self, step: str, stage: str) -> Iterator[None]:
        """A named part of a step; also taken down where it fails."""
        entry, began = StepRecord(f"{step}/{stage}", stage, _now()), time.monotonic()
        entry.outcome = "failed"
        try:
            yield
            entry.outcome = "succeeded"
        finally:
            entry.seconds = time.monotonic() - began
            self.record.steps.append(entry)

    def end(self) -> RunRecord:
        """The run ended: failed where a step did, or where one never ended."""
        self._memory.stop()
        for step in list(self._open):
            self.step_ended(step, is_failed=True)
        self.record.seconds = time.monotonic() - self._began
        is_failed = any(step.outcome == "failed" for step in self.record.steps)
        self.record.outcome = "failed" if is_failed else "succeeded"
        self._write()
        return self.record

    def _write(self) -> None:
        if self._folder is None:
            return
        try:
            write_record(self._folder, self.record)
        except OSError as error:
            logger.warning("run_record_not_written", run=self.record.run_id, reason=type(error).__name__)


PARTITION_ROWS = "dagster/partition_row_count"
TABLE_ROWS = "dagster/row_count"


def rows_of_step(told: Mapping[str, Mapping[str, int]]) -> int | None:
    """Rows of a step's tables: those of the run's weeks where a table has weeks, else the whole table's."""
    if not told:
        return None
    return sum(labels.get(PARTITION_ROWS, labels.get(TABLE_ROWS, 0)) for labels in told.values())


def _now() -> datetime:
    # When something was measured, not what a week knows: no clock of a review comes into it.
    return naive_utc(datetime.now(UTC))


def write_record(folder: Path, record: RunRecord) -> Path:
    """Write a run's file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.run_id}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(record), default=_text, sort_keys=True), encoding="utf-8")
    partial.replace(path)
    return path


def read_records(folder: Path) -> list[RunRecord]:
    """The runs on record, oldest first; a file that is no record (a power cut, another program) is left out."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            found.append(_record(json.loads(path.read_text(encoding="utf-8"))))
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
            logger.warning("run_record_not_read", file=path.name)
    return sorted(found, key=lambda record: (record.started_at, record.run_id))


def close_killed_records(folder: Path, now: datetime) -> list[RunRecord]:
    """Say of runs that still run by their record that they were killed; the caller holds the run lock.

    Files older than `KEPT_FOR` go. Returns the records that were closed.
    """
    closed = []
    for record in read_records(folder):
        if now - record.started_at > KEPT_FOR:
            (folder / f"{record.run_id}.json").unlink(missing_ok=True)
        elif record.outcome == "running":
            record.outcome = "killed"
            write_record(folder, record)
            closed.append(record)
    return closed


def _text(value: datetime | date) -> str:
    return value.isoformat()


def _record(content: dict[str, Any]) -> RunRecord:
    steps = [
        StepRecord(**{**step, "started_at": datetime.fromisoformat(step["started_at"])}) for step in content["steps"]
    ]
    days = {name: date.fromisoformat(content[name]) if content[name] else None for name in DAYS}
    began = datetime.fromisoformat(content["started_at"])
    return RunRecord(**{**content, **days, "started_at": began, "steps": steps})


DAYS = ("first_week", "last_week", "quarter")
