"""Dagster resources: the run lock that guards the warehouse, what works beside a run, and the notifier."""

import contextlib
import functools
import importlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout

from health_pipeline.identity.ahead import CrosswalkAhead
from health_pipeline.mart.connection import wait_until_free
from health_pipeline.mart.dbt_ahead import DbtAhead
from health_pipeline.observability.garbage import rare_collections
from health_pipeline.observability.logs import get_logger
from health_pipeline.observability.webhook import is_web_address, post_json
from health_pipeline.observability.workers import Workers
from health_pipeline.orchestration.beside import Beside
from health_pipeline.publication.base_copy import BaseCopy
from health_pipeline.publication.releases import clean_scratch
from health_pipeline.settings import Settings

# What the scoring room imports of scikit-learn, and what draws the report.
LOADED_MEANWHILE = ("sklearn.utils.validation", "health_pipeline.reporting.weekly")
logger = get_logger("orchestration")


def run_lock_resource(settings: Settings) -> dg.ResourceDefinition:
    """Held from the first step of a run to its last, whoever started it: the command line or the UI.

    An operating-system lock: a killed run lets go of it. Dagster's pools do not, and let runs interleave. What a
    killed run left in the scratch folder, half published, or as running in Dagster's history is put right before the
    first step.
    """

    @dg.resource(description="One run at a time; scratch is clean when it starts.")
    def run_lock(context: dg.InitResourceContext) -> Iterator[str]:
        run_id = context.run.run_id if context.run else "unknown"
        log = context.log

        def tell(holder: str) -> None:
            if log is not None:
                log.warning(f"Waiting for another run to end: {holder} holds the run lock.")

        with hold_run_lock(settings.run_lock, run_id, settings.run_lock_wait_seconds, tell) as killed:
            if killed is not None and context.instance is not None:
                close_killed_run(context.instance, killed)
            wait_until_free(settings.warehouse, settings.run_lock_wait_seconds)
            removed = clean_scratch(settings)
            if removed:
                logger.warning("scratch_cleaned", candidates_left_by_an_earlier_run=removed)
            yield run_id

    return run_lock


def crosswalk_ahead_resource(beside: Beside) -> dg.ResourceDefinition:
    """Begun with the run, where it was not before; when it is finished, what it read is held against what is landed."""

    @dg.resource(
        description="The crosswalk of what is landed, begun in the second process while sources are pulled.",
        required_resource_keys={"second_process"},
    )
    def crosswalk_ahead() -> CrosswalkAhead:
        beside.crosswalk.begin()
        return beside.crosswalk

    return crosswalk_ahead


def base_copy_resource(settings: Settings) -> dg.ResourceDefinition:
    """Begun with the run, under its lock: no other run publishes meanwhile."""

    @dg.resource(
        description="A copy of the current release's file, made while the first steps are at work.",
        required_resource_keys={"run_lock"},
    )
    def base_copy() -> Iterator[BaseCopy]:
        with BaseCopy(settings) as copied:
            yield copied

    return base_copy


def dbt_ahead_resource(beside: Beside) -> dg.ResourceDefinition:
    """Entered with the run, under its lock: from then on it writes."""

    @dg.resource(
        description="A dbt that is loaded and parses the project while the first steps are at work.",
        required_resource_keys={"run_lock"},
    )
    def dbt_ahead() -> Iterator[DbtAhead]:
        with beside.dbt as ahead:
            yield ahead

    return dbt_ahead


@dg.resource(
    description="Loads what later steps need, when it is first called: by a step that waits for another process."
)
def meanwhile_resource() -> Callable[[], None]:
    """The run's own process has nothing to do while another one links or builds: 3 to 4 seconds of loading fit in.

    Where loading fails, the step that needs it fails with the reason.
    """
    return functools.cache(threading.Thread(target=_load_meanwhile, name="meanwhile", daemon=True).start)


def _load_meanwhile() -> None:
    for module in LOADED_MEANWHILE:
        importlib.import_module(module)


def second_process_resource(beside: Beside) -> dg.ResourceDefinition:
    """As long as a run, whoever started it; ended before the run lets go of its lock."""

    @dg.resource(
        description="A second process for work beside the run; Python searches for garbage seldom while it lasts.",
        required_resource_keys={"run_lock"},
    )
    def second_process() -> Iterator[Workers]:
        with rare_collections(), beside.second as second:
            yield second

    return second_process


@contextlib.contextmanager
def hold_run_lock(
    path: Path, holder: str, wait_seconds: float, tell: Callable[[str], None] | None = None
) -> Iterator[str | None]:
    """Hold the run lock; who holds it is written beside it, for the one who waits.

    Gives the holder before, where that one was killed: it did not take its note away.

    Parameters
    ----------
    path : the lock file
    holder : who will hold it
    wait_seconds : how long to wait for it
    tell : called once with who holds it, where there is waiting to be done

    Raises
    ------
    TimeoutError
        When it is not free within `wait_seconds`; names the holder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    note = path.with_suffix(".holder")
    lock = FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.warning("waiting_for_run", held_by=_holder(note), wait_seconds=wait_seconds)
            if tell is not None:
                tell(_holder(note))
            lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        raise TimeoutError(
            f"Another run ({_holder(note)}) has held {path} for {wait_seconds:.0f} s; wait for it to end, "
            f"or stop that process, and run again."
        ) from error
    try:
        left = _read_note(note)
        note.write_text(json.dumps({"run": holder, "process": os.getpid()}))
        yield left["run"] if left else None
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    content = _read_note(note)
    return f"run {content['run']}, process {content['process']}" if content else "not named yet"


def _read_note(note: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(note.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content


def close_killed_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Say in Dagster's history that a run failed whose process was killed: it holds up the queue as long as it runs."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return
    instance.report_run_failed(
        run, "The process of this run was killed, or the machine stopped; run it again: it goes on from what is there."
    )
    logger.warning("killed_run_closed", run=run_id)


class Notifier(dg.ConfigurableResource):
    """Where failed runs and failed checks are told: always the log, and a webhook where the settings name one."""

    webhook_url: str = ""
    timeout_seconds: float = 10.0

    def notify(self, title: str, detail: str, run_id: str) -> None:
        """Tell it once. A webhook that can't be reached is logged as an error, never raised: the run's own
        failure is the news.
        """
        logger.error("notification", title=title, detail=detail, run_id=run_id)
        if not self.webhook_url:
            return
        if not is_web_address(self.webhook_url):
            logger.error("webhook_refused", reason="HEALTH_WEBHOOK_URL must start with https:// or http://")
            return
        body = {"title": title, "text": detail, "run_id": run_id}
        if missed := post_json(self.webhook_url, body, self.timeout_seconds):
            logger.error("webhook_failed", reason=missed.reason, run_id=run_id)
