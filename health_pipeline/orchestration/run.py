"""Runs a job in this process: what the command line does, and what the UI's runs do too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import dagster as dg

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.orchestration.build import build_definitions
from health_pipeline.orchestration.home import dagster_instance
from health_pipeline.orchestration.jobs import QUARTERLY_JOB, WEEKLY_JOB
from health_pipeline.orchestration.sensors import first_reason
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


class RunFailedError(RuntimeError):
    """A run failed; the message is its first reason."""


@dataclass(frozen=True)
class RunOutcome:
    """A run that succeeded: its id and what the release step said."""

    run_id: str
    release: str
    is_published: bool
    detail: str


def run_weekly(
    settings: Settings,
    weeks: Sequence[Week],
    restate_reason: str | None = None,
    definitions: dg.Definitions | None = None,
) -> RunOutcome:
    """Run the weekly review of those weeks: one run, one release.

    Parameters
    ----------
    restate_reason : why published weeks that come out differently are replaced; None refuses them
    definitions : `build_definitions(settings)`, where several runs share it

    Raises
    ------
    RunFailedError
        With the first reason; the last good release stays.
    """
    tags = {RANGE_START: str(weeks[0]), RANGE_END: str(weeks[-1])}
    config: dict[str, Any] = {}
    if restate_reason is not None:
        config = {"candidate_release": {"config": {"restate_reason": restate_reason}}}
    return _run(settings, WEEKLY_JOB, tags, None, config, "release", definitions)


def run_quarterly(
    settings: Settings,
    quarter: Quarter,
    definitions: dg.Definitions | None = None,
    restate_reason: str | None = None,
) -> RunOutcome:
    """Run the quarterly segmentation review of that quarter; RunFailedError with the first reason.

    `restate_reason` says why a published quarter that comes out differently is replaced; None refuses it.
    """
    config: dict[str, Any] = {}
    if restate_reason is not None:
        config = {"quarterly_candidate": {"config": {"restate_reason": restate_reason}}}
    return _run(settings, QUARTERLY_JOB, {}, str(quarter), config, "quarterly_release", definitions)


def _run(
    settings: Settings,
    job_name: str,
    tags: Mapping[str, str],
    partition_key: str | None,
    ops: Mapping[str, Any],
    release_asset: str,
    definitions: dg.Definitions | None,
) -> RunOutcome:
    load_company(settings.policy)
    with dagster_instance(settings) as instance:
        job = (definitions or build_definitions(settings)).resolve_job_def(job_name)
        log = settings.home / "logs" / f"{job_name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        # dbt's own lines go to a file: the terminal shows what the rooms say.
        with log.open("a", encoding="utf-8") as lines, redirect_stdout(lines):
            result = job.execute_in_process(
                instance=instance,
                tags=dict(tags),
                partition_key=partition_key,
                raise_on_error=False,
                run_config={"ops": dict(ops), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        if not result.success:
            # A step's failure comes before the run's, which is alone where what the steps share could not be set up.
            failures = [event for event in result.all_events if event.is_step_failure or event.is_job_failure]
            reason = first_reason(failures[0]) if failures else "the run was stopped"
            raise RunFailedError(f"{reason} (run {result.run_id})")
        for event in result.get_asset_materialization_events():
            materialization = event.step_materialization_data.materialization
            if materialization.asset_key == dg.AssetKey(release_asset):
                told = {key: value.value for key, value in materialization.metadata.items()}
                return RunOutcome(
                    result.run_id, str(told["release"]), bool(told["published"]), str(told["what happened"])
                )
    raise RunFailedError(f"run {result.run_id} ended without saying what was released")
