"""Failed runs and failed checks reach the notifier; what people decide is picked up from the ledger."""

import re

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from health_pipeline.orchestration.resources import Notifier
from health_pipeline.quality.ledger_chain import ledger_head

# Dagster puts the exception's class before its message; the sentence is for people.
_CLASS_NAME = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Failure): ")


# Decisions are read once a week; a minute's work after each click would only fill the run history.
PICK_UP_SECONDS = 600


def build_sensors(decisions_job: UnresolvedAssetJobDefinition) -> list[dg.SensorDefinition]:
    """Sensors for runs that failed, for checks that failed without stopping their run, and for new decisions.

    The first two hear of every run of this code location: a backfill from an asset's page is no run of a job.
    """

    @dg.run_failure_sensor(
        name="tell_failed_runs",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A failed run is told once, with its first reason: of a job, or of assets chosen in the UI.",
    )
    def tell_failed_runs(context: dg.RunFailureSensorContext, notifier: Notifier) -> None:
        steps = context.get_step_failure_events()
        reason = first_reason(steps[0] if steps else context.failure_event)
        notifier.notify(f"{run_name(context.dagster_run)} failed", reason, context.dagster_run.run_id)

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

    @dg.sensor(
        name="pick_up_decisions",
        job=decisions_job,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=PICK_UP_SECONDS,
        required_resource_keys={"settings"},
        description="Asks for a landing once the ledger has events after the number in its cursor.",
    )
    def pick_up_decisions(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return picked_up(context.cursor, context.resources.settings.ledger_url)

    return [tell_failed_runs, tell_failed_checks, pick_up_decisions]


def picked_up(cursor: str | None, ledger_url: str) -> dg.SensorResult:
    """One run for the ledger's newest event where it is another one than the cursor's; else why there is none.

    The run itself lands what is not landed yet, whatever the cursor says: a run that failed loses nothing.
    """
    head = ledger_head(ledger_url)
    if head is None:
        return dg.SensorResult(skip_reason="There is no ledger yet; it begins when a release is taken in.")
    # a smaller number than the cursor's: the ledger was restored from a copy, and what to do is the landing's to say
    if cursor is not None and head.seq == int(cursor):
        return dg.SensorResult(skip_reason=f"Nothing was decided since event {cursor}.")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"decisions-{head.seq}-{head.hash[:12]}")], cursor=str(head.seq)
    )


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
    """The innermost reason of a failed step, or of a run that failed outside its steps, as one sentence."""
    if event.is_step_failure:
        failure = event.step_failure_data
        if failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
        error = failure.error
    else:
        # a run that was closed from outside, as one that was killed, has a message alone
        error = event.job_failure_data.error if event.event_specific_data else None
    while error is not None and error.cause is not None:
        error = error.cause
    text = error.message.strip() if error is not None else str(event.message)
    return _CLASS_NAME.sub("", text)
