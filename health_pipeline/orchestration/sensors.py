"""Failed runs and failed checks reach the notifier."""

import re

import dagster as dg

from health_pipeline.orchestration.resources import Notifier

# Dagster puts the exception's class before its message; the sentence is for people.
_CLASS_NAME = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Failure): ")


def build_sensors() -> list[dg.SensorDefinition]:
    """A sensor for runs that failed, and one for checks that failed without stopping their run.

    They hear of every run of this code location: a backfill from an asset's page is no run of a job.
    """

    @dg.run_failure_sensor(
        name="tell_failed_runs",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A failed run is told once, with its first reason: of a job, or of assets chosen in the UI.",
    )
    def tell_failed_runs(context: dg.RunFailureSensorContext, notifier: Notifier) -> None:
        steps = context.get_step_failure_events()
        reason = first_reason(steps[0]) if steps else context.failure_event.message
        notifier.notify(f"{run_name(context.dagster_run)} failed", reason or "", context.dagster_run.run_id)

    @dg.run_status_sensor(
        name="tell_failed_checks",
        run_status=dg.DagsterRunStatus.SUCCESS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Checks that failed as warnings in a run that succeeded are told once.",
    )
    def tell_failed_checks(context: dg.RunStatusSensorContext, notifier: Notifier) -> None:
        failed = failed_checks(context.instance, context.dagster_run.run_id)
        if failed:
            notifier.notify(
                f"{len(failed)} {'check warns' if len(failed) == 1 else 'checks warn'}",
                ", ".join(failed),
                context.dagster_run.run_id,
            )

    return [tell_failed_runs, tell_failed_checks]


def run_name(run: dg.DagsterRun) -> str:
    """The job of a run, or words for what the UI starts without one."""
    return "A run of chosen assets" if run.job_name.startswith("__") else run.job_name


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Names of the checks of a run that did not pass, as `asset: check`."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = []
    for entry in logs:
        if entry.dagster_event is None:
            continue
        evaluation = entry.dagster_event.asset_check_evaluation_data
        if not evaluation.passed:
            found.append(f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}")
    return sorted(found)


def first_reason(event: dg.DagsterEvent) -> str:
    """The innermost reason of a failed step, as one sentence."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    text = error.message.strip() if error is not None else str(event.message)
    return _CLASS_NAME.sub("", text)
