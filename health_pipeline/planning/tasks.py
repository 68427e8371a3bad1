"""Review tasks: opened and marked quiet by the pipeline, closed by a person. A week twice counts once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from health_pipeline.contract.mart import mart_tables

# Subjects of kinds that have one thing to be about; the subject of a tier task is the tier.
NOTICE = "notice_not_to_renew"
WEAK_INSIDE = "weak_inside"
OWNER = "owner"
_ONE_WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Signal:
    """Something seen in one week that a person has to look at."""

    account_id: str
    kind: str
    subject: str
    owner_email: str | None
    due_date: date
    priority: int
    reason: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two signals the same."""
        return (self.account_id, self.kind, self.subject)


@dataclass(frozen=True)
class Task:
    """One row of review_tasks."""

    task_id: str
    account_id: str
    kind: str
    subject: str
    episode: int
    state: str
    opened_week: date
    last_signal_week: date
    occurrences: int
    owner_email: str | None
    due_date: date
    priority: int
    reason: str


def task_id(account_id: str, kind: str, subject: str, episode: int) -> str:
    """Hash of account, kind, subject and episode: 32 hexadecimal digits."""
    return hashlib.sha256("\x1f".join((account_id, kind, subject, str(episode))).encode()).hexdigest()[:32]


class TaskBook:
    """All tasks, folded week by week.

    A task is `open` while its signal is there in the newest week, `quiet` else. `closed` is a person's word
    and stays: a signal that goes on after it does not open the task again; one that returns after a week
    without it opens the next episode. A week that a task has seen already changes neither its occurrences nor
    its state.
    """

    def __init__(self, tasks: pa.Table) -> None:
        self._tasks: dict[str, Task] = {}
        self._newest: dict[tuple[str, str, str], str] = {}
        self._seen_through: date | None = None
        for row in tasks.to_pylist():
            self._put(Task(**row))
        if self._tasks:
            self._seen_through = max(task.last_signal_week for task in self._tasks.values())
            states = {task.state for task in self._tasks.values()}
            # Quiet throughout: a later week was seen in which nothing fired.
            if "quiet" in states and "open" not in states:
                self._seen_through += _ONE_WEEK

    def _put(self, task: Task) -> None:
        key = (task.account_id, task.kind, task.subject)
        self._tasks[task.task_id] = task
        newest = self._newest.get(key)
        if newest is None or self._tasks[newest].episode <= task.episode:
            self._newest[key] = task.task_id

    def fold(self, week: date, signals: Iterable[Signal]) -> Mapping[tuple[str, str, str], Task]:
        """Take in one week's signals.

        Parameters
        ----------
        week : the Monday
        signals : one per key at most

        Returns
        -------
        mapping
            The task of each signal's key after the week.
        """
        is_newest = self._seen_through is None or week >= self._seen_through
        touched = {}
        for signal in signals:
            touched[signal.key] = self._fire(week, signal, is_newest)
        if is_newest:
            self._seen_through = week
            for found in list(self._tasks.values()):
                if found.state == "open" and (found.account_id, found.kind, found.subject) not in touched:
                    self._put(replace(found, state="quiet"))
        return touched

    def _fire(self, week: date, signal: Signal, is_newest: bool) -> Task:
        newest = self._newest.get(signal.key)
        task = self._tasks[newest] if newest is not None else None
        if task is None:
            return self._open(week, signal, 1, is_newest)
        if week < task.last_signal_week:
            return task
        if task.state == "closed" and week > task.last_signal_week + _ONE_WEEK:
            return self._open(week, signal, task.episode + 1, is_newest)
        is_new_occurrence = week > task.last_signal_week
        fired = replace(task, last_signal_week=week, occurrences=task.occurrences + is_new_occurrence)
        if task.state == "quiet" and is_newest:
            # It comes back after a silence: nobody could have decided it by the old date.
            fired = replace(fired, due_date=signal.due_date)
        if task.state != "closed" and is_newest:
            fired = replace(
                fired,
                state="open",
                owner_email=signal.owner_email,
                priority=signal.priority,
                reason=signal.reason,
            )
        self._put(fired)
        return fired

    def _open(self, week: date, signal: Signal, episode: int, is_newest: bool) -> Task:
        task = Task(
            task_id=task_id(signal.account_id, signal.kind, signal.subject, episode),
            account_id=signal.account_id,
            kind=signal.kind,
            subject=signal.subject,
            episode=episode,
            state="open" if is_newest else "quiet",
            opened_week=week,
            last_signal_week=week,
            occurrences=1,
            owner_email=signal.owner_email,
            due_date=signal.due_date,
            priority=signal.priority,
            reason=signal.reason,
        )
        self._put(task)
        return task

    def table(self) -> pa.Table:
        """All tasks in the mart's schema, by account, kind, subject and episode."""
        ordered = sorted(self._tasks.values(), key=lambda t: (t.account_id, t.kind, t.subject, t.episode))
        rows: list[dict[str, Any]] = [vars(task) for task in ordered]
        return pa.Table.from_pylist(rows, schema=mart_tables()["review_tasks"].arrow_schema)
