"""Dagster assets of the publication room: candidate, verdict, release, and what is emitted after it."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg
import pyarrow as pa

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.dbt import read_build_record
from health_pipeline.mart.published import read_published
from health_pipeline.mart.warehouse import read_marts
from health_pipeline.observability.dagster_metadata import OWNERS, STORES, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.planning.emission import emit_plan
from health_pipeline.policy.company import load_company
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.publication.candidate import Kind, Unchanged, build_candidate
from health_pipeline.publication.errors import FrozenSliceError
from health_pipeline.publication.gate import publish
from health_pipeline.publication.in_run import (
    audit_candidate,
    candidate_of_run,
    evaluate_published,
    note_candidate,
    verdict_of,
)
from health_pipeline.publication.releases import current_release
from health_pipeline.publication.restricted_bodies import let_go_of_bodies
from health_pipeline.quality.checks import check_results, check_specs
from health_pipeline.quality.frame_checks import prepare
from health_pipeline.quality.incidents import open_incident
from health_pipeline.quality.verdict import CheckResult, DbtRecord, critical_failures, milder_failures
from health_pipeline.segmentation.adoption import adopt_first_model
from health_pipeline.settings import Settings

GROUP = "06_publication"
QUARTERLY_GROUP = "12_publication"
WEEKLY_ROOMS = ("mart", "identity", "scoring", "risk", "planning")
QUARTERLY_TABLES = (
    "segment_models",
    "segment_assignments_quarterly",
    "segment_performance_quarterly",
    "segment_stability_quarterly",
    "persona_alignment_quarterly",
    "segment_reconciliation_quarterly",
    "segment_figures_quarterly",
)
logger = get_logger("publication")


class CandidateConfig(dg.Config):
    """What a person may say about a run: the reason to replace published weeks that come out differently."""

    restate_reason: str | None = None


def weekly_tables() -> tuple[str, ...]:
    """The tables a weekly run hands to its candidate."""
    return (*(name for name, table in mart_tables().items() if table.room in WEEKLY_ROOMS), "segment_models")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The weekly candidate, its verdict, the release and the emitted plan."""
    single_run = dg.BackfillPolicy.single_run()

    @dg.asset(
        name="candidate_release",
        deps=[name for name in weekly_tables() if name != "segment_models"],
        group_name=GROUP,
        partitions_def=weekly,
        backfill_policy=single_run,
        owners=OWNERS,
        kinds={"duckdb", "parquet"},
        required_resource_keys={*STORES, "base_copy"},
        description="One candidate per run: a copy of the current release plus this run's weeks, never a rebuild. A "
        "published week that comes out differently is refused unless a restatement is asked for.",
    )
    def candidate_release(context: dg.AssetExecutionContext, config: CandidateConfig) -> dg.MaterializeResult:
        settings = context.resources.settings
        weeks = weeks_of(context)
        second = context.resources.second_process
        if second.is_running:
            # by the time the candidate is built, it is ready to audit it
            second.submit(prepare)
        tables = read_marts(settings, weekly_tables(), weeks)
        return _build(context, tables, weeks, [], "weekly", config.restate_reason)

    @dg.asset(
        name="release",
        deps=["release_verdict"],
        group_name=GROUP,
        partitions_def=weekly,
        backfill_policy=single_run,
        owners=OWNERS,
        kinds={"duckdb", "parquet"},
        required_resource_keys=STORES,
        description="One published release per run: the audited candidate, made current in one atomic step. The gate "
        "demands the verdict on exactly this file again, so materialising this asset alone can't go round it.",
    )
    def release(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return _publish(context)

    @dg.asset(
        name="emitted_plan",
        deps=["release"],
        group_name=GROUP,
        partitions_def=weekly,
        backfill_policy=single_run,
        owners=OWNERS,
        kinds={"csv"},
        required_resource_keys=STORES,
        description="One folder per week with the published action plan and the open review tasks, as CSV and JSON "
        "lines. Proposals for people to approve; nothing is sent to anybody.",
    )
    def emitted_plan(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        current = current_release(settings)
        if current is None:
            raise dg.Failure(description="Nothing is published yet; the plan is emitted from a release.")
        newest = current.published_weeks[-1]
        plan = read_published(settings, "action_plan_accounts_weekly", weeks=[newest])
        tasks = read_published(settings, "review_tasks")
        files = emit_plan(settings.emitted, current.name, newest, plan, tasks)
        logger.info("emitted", week=str(newest), proposals=plan.num_rows, folder=str(files[0].parent))
        return dg.MaterializeResult(
            metadata={
                "folder": dg.MetadataValue.path(files[0].parent),
                "week": str(newest),
                "proposals": plan.num_rows,
                "open review tasks": tasks["state"].to_pylist().count("open"),
            }
        )

    verdict = _verdict_asset("release_verdict", "candidate_release", GROUP, weekly, single_run)
    return [candidate_release, verdict, release, emitted_plan]


def build_quarterly_assets(quarterly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The same for a quarter's segments."""

    @dg.asset(
        name="quarterly_candidate",
        deps=list(QUARTERLY_TABLES),
        group_name=QUARTERLY_GROUP,
        partitions_def=quarterly,
        owners=OWNERS,
        kinds={"duckdb", "parquet"},
        required_resource_keys={*STORES, "base_copy"},
        description="One candidate per run: a copy of the current release plus the quarter's segments.",
    )
    def quarterly_candidate(context: dg.AssetExecutionContext, config: CandidateConfig) -> dg.MaterializeResult:
        settings = context.resources.settings
        quarter = load_company(settings.policy).model.quarter(context.partition_key)
        tables = read_marts(settings, QUARTERLY_TABLES, quarters=[quarter])
        return _build(context, tables, [], [quarter], "quarterly", config.restate_reason)

    @dg.asset(
        name="quarterly_release",
        deps=["quarterly_verdict"],
        group_name=QUARTERLY_GROUP,
        partitions_def=quarterly,
        owners=OWNERS,
        kinds={"duckdb", "parquet"},
        required_resource_keys=STORES,
        description="One published release per run: the audited candidate with the quarter's segments.",
    )
    def quarterly_release(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        result = _publish(context)
        settings, now = context.resources.settings, context.resources.clock.now()
        company = load_company(settings.policy).model
        adoption = adopt_first_model(settings, company, company.quarter(context.partition_key), now)
        if adoption is not None:
            logger.info("model_adopted", model=adoption.segment_model_id, effective_from=str(adoption.effective_from))
        return result

    verdict = _verdict_asset("quarterly_verdict", "quarterly_candidate", QUARTERLY_GROUP, quarterly, None)
    return [quarterly_candidate, verdict, quarterly_release]


def _build(
    context: dg.AssetExecutionContext,
    tables: dict[str, pa.Table],
    weeks: Sequence[Week],
    quarters: Sequence[Quarter],
    kind: Kind,
    restate_reason: str | None,
) -> dg.MaterializeResult:
    settings: Settings = context.resources.settings
    try:
        built = build_candidate(
            settings,
            tables,
            weeks,
            quarters,
            kind,
            context.resources.clock.now(),
            reason=restate_reason,
            restate=restate_reason is not None,
            versions={"health_score_policy": load_health_score(settings.policy).hash},
            copied=context.resources.base_copy,
        )
    except FrozenSliceError as error:
        step = context.op_execution_context.op.name
        raise dg.Failure(
            description=f"{error} In the UI the reason is `restate_reason` in the Launchpad: ops > {step} > config.",
            allow_retries=False,
        ) from error
    note_candidate(settings, context.run_id, built)
    if isinstance(built, Unchanged):
        logger.info("unchanged", base=built.base_release)
        return dg.MaterializeResult(metadata={"candidate": "none: what is published came out again"})
    logger.info("candidate_built", candidate=built.id, weeks=len(built.weeks))
    return dg.MaterializeResult(
        metadata={
            "candidate": built.id,
            "base": built.base_release or "none",
            "weeks added or replaced": ", ".join(map(str, built.weeks)) or "none",
            "content hash": built.manifest["content_hash"],
            "ledger head": _head_text(built.manifest["ledger_head"]),
            "size in kB": built.file.stat().st_size // 1024,
        }
    )


def _head_text(head: dict[str, Any] | None) -> str:
    return f"event {head['seq']}, {head['hash'][:16]}, of {head['count']}" if head else "nothing in the ledger yet"


def _verdict_asset(
    name: str,
    candidate_asset: str,
    group: str,
    partitions: dg.PartitionsDefinition,
    backfill_policy: dg.BackfillPolicy | None,
) -> dg.AssetsDefinition:
    """The audit of a candidate, with one asset check per expectation; critical ones block."""
    kind: Kind = "weekly" if backfill_policy else "quarterly"
    specs = check_specs(name, kind)

    @dg.multi_asset(
        name=name,
        specs=[
            dg.AssetSpec(
                name,
                deps=[candidate_asset],
                group_name=group,
                owners=OWNERS,
                kinds={"greatexpectations"},
                description="One verdict per candidate: every expectation of the committed suites, evaluated on the "
                "candidate's own file. A failed critical check opens an incident and publishes nothing.",
            )
        ],
        check_specs=specs,
        partitions_def=partitions,
        backfill_policy=backfill_policy,
        required_resource_keys=STORES,
    )
    def audit(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        settings: Settings = context.resources.settings
        company = load_company(settings.policy).model
        candidate = candidate_of_run(settings, context.run_id)
        incident = None
        if candidate is None:
            weeks = weeks_of(context) if kind == "weekly" else []
            quarters = [] if kind == "weekly" else [company.quarter(context.partition_key)]
            results: Sequence[CheckResult] = evaluate_published(settings, weeks, quarters)
            told = "none: what is published was checked again"
        else:
            record = DbtRecord()
            if kind == "weekly":
                built = read_build_record(settings)
                record = DbtRecord(built.invocation_id, built.table_hashes)
            verdict = audit_candidate(settings, candidate, record, context.resources.second_process)
            results, told = verdict.results, verdict.verdict_id
            if not verdict.passed:
                now = context.resources.clock.now()
                incident = open_incident(
                    settings.ledger_url, verdict, candidate.run_weeks, company.data_owner_email, now
                ).id
        failed = [result for result in results if not (result.passed and result.evaluated)]
        held_back = critical_failures(results)
        logger.info(
            "audited",
            checks=len(results),
            critical=len(held_back),
            warnings=len(milder_failures(results, "warning")),
            notes=len(milder_failures(results, "info")),
        )
        yield dg.MaterializeResult(
            asset_key=name,
            metadata={
                "verdict": told,
                "checks evaluated": sum(result.evaluated for result in results),
                "checks failed": len(failed),
                "critical checks failed": len(held_back),
                "failed": ", ".join(result.check for result in failed) or "none",
            },
        )
        yield from check_results(name, results, specs)
        if held_back:
            # Dagster would stop here too, naming the checks; a person needs to know what to do.
            raise dg.Failure(description=refusal_sentence(held_back, settings, incident), allow_retries=False)

    return audit


def refusal_sentence(held_back: Sequence[CheckResult], settings: Settings, incident: str | None) -> str:
    """Why nothing is published, what stays, and what to do."""
    named = ", ".join(result.check for result in held_back[:3])
    more = f" and {len(held_back) - 3} more" if len(held_back) > 3 else ""
    failed = f"{len(held_back)} critical check{'s' if len(held_back) > 1 else ''} failed ({named}{more})"
    current = current_release(settings)
    stays = f"the last good release, {current.name}, stays" if current else "nothing was published before either"
    if incident is None:
        return (
            f"What is published no longer passes its audit: {failed}; see the checks for the rows, and "
            "`health-pipeline doctor`."
        )
    return (
        f"Not published: {failed}; {stays}. Incident {incident} holds the rows' ids: see `health-pipeline incidents "
        "list` and the asset's checks, put the cause right, and run again."
    )


def _publish(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    settings: Settings = context.resources.settings
    candidate = candidate_of_run(settings, context.run_id)
    if candidate is None:
        current = current_release(settings)
        assert current is not None  # an unchanged run has a base
        detail = f"Nothing to publish: what the run found is published already, in {current.name}."
        return dg.MaterializeResult(metadata={"release": current.name, "published": False, "what happened": detail})
    timed = partial(context.resources.run_record.part, context.op_execution_context.op.name)
    released = publish(settings, candidate, verdict_of(candidate), context.resources.clock.now(), timed=timed)
    gone = let_go_of_bodies(settings, context.resources.clock.now())
    if gone.bodies:
        logger.info("packet_bodies_removed", bodies=gone.bodies, texts=gone.texts)
    slices = [*map(str, candidate.weeks), *map(str, candidate.quarters)]
    detail = f"Published {released.name}: {len(slices)} {'week' if candidate.weeks else 'quarter'}"
    detail += (
        f"{'s' if len(slices) != 1 else ''}, {slices[0]} to {slices[-1]}." if len(slices) > 1 else f", {slices[0]}."
    )
    return dg.MaterializeResult(
        metadata={
            "release": released.name,
            "published": True,
            "what happened": detail,
            "mart": dg.MetadataValue.path(settings.published / "current" / "customer_health.duckdb"),
        }
    )
