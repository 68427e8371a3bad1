"""Puts the rooms' assets together into Dagster definitions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from health_pipeline.contract.clocks import SystemClock
from health_pipeline.orchestration.beside import Beside
from health_pipeline.orchestration.home import prepare_home
from health_pipeline.orchestration.jobs import DECISIONS_JOB, QUARTERLY_JOB, VALIDATION_JOB, WEEKLY_JOB, build_job
from health_pipeline.orchestration.partitions import quarterly_partitions, weekly_partitions
from health_pipeline.orchestration.resources import (
    Notifier,
    base_copy_resource,
    crosswalk_ahead_resource,
    dbt_ahead_resource,
    meanwhile_resource,
    run_lock_resource,
    second_process_resource,
)
from health_pipeline.orchestration.run_recording import run_record_resource
from health_pipeline.orchestration.schedules import build_schedules
from health_pipeline.orchestration.sensors import build_sensors
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings

# Backfill policies, check partitions and owners are marked beta or preview by Dagster 1.13; they are pinned here.
for category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=category)


def build_definitions(
    settings: Settings | None = None,
    resource_overrides: Mapping[str, Any] | None = None,
    beside: Beside | None = None,
) -> dg.Definitions:
    """Everything Dagster knows of this project. Reads settings and policy, connects to nothing.

    Parameters
    ----------
    settings : the state folder and policy to use; from the environment where it is None
    resource_overrides : resources a test puts in the place of the real ones
    beside : what works beside the runs of this process, where it is begun already

    Raises
    ------
    PolicyError
        If `company.yaml` can't be used.
    """
    import health_pipeline.identity.assets as identity  # noqa: PLC0415  heavy: the command line's help stays quick
    import health_pipeline.mart.assets as mart  # noqa: PLC0415
    import health_pipeline.planning.assets as planning  # noqa: PLC0415
    import health_pipeline.publication.assets as publication  # noqa: PLC0415
    import health_pipeline.publication.checks as publication_checks  # noqa: PLC0415
    import health_pipeline.reporting.assets as reporting  # noqa: PLC0415
    import health_pipeline.review.assets as review  # noqa: PLC0415
    import health_pipeline.risk.assets as risk  # noqa: PLC0415
    import health_pipeline.scoring.assets as scoring  # noqa: PLC0415
    import health_pipeline.segmentation.assets as segmentation  # noqa: PLC0415
    import health_pipeline.sources.assets as sources  # noqa: PLC0415
    import health_pipeline.text.assets as text  # noqa: PLC0415

    settings = settings or Settings()
    beside = beside or Beside.of(settings)
    prepare_home(settings)
    company = load_company(settings.policy).model
    weekly, quarterly = weekly_partitions(company), quarterly_partitions(company)
    weekly_assets = [
        asset
        for room in (review, sources, identity, text, mart, scoring, risk, planning, publication, reporting)
        for asset in room.build_assets(weekly)
    ]
    quarterly_assets = [
        *segmentation.build_assets(quarterly),
        *publication.build_quarterly_assets(quarterly),
        *reporting.build_quarterly_assets(quarterly),
    ]
    weekly_job = build_job(
        WEEKLY_JOB,
        "The week that ended: pull, features, score and tiers, plan, audit, gate, release, report.",
        weekly_assets,
        weekly,
    )
    quarterly_job = build_job(
        QUARTERLY_JOB,
        "The quarter that ended: segments refitted on its last week, judged, audited, published, reported.",
        quarterly_assets,
        quarterly,
    )
    validation_assets = reporting.build_validation_assets()
    validation_job = build_job(
        VALIDATION_JOB,
        "Published scores held against what happened in the 13 weeks after; a page, and weights to compare with.",
        validation_assets,
    )
    decision_assets = review.build_landing_assets()
    decisions_job = build_job(
        DECISIONS_JOB,
        "What people decided since the last pick-up, landed like any source; the sensor asks for it.",
        decision_assets,
    )
    resources: dict[str, Any] = {
        "settings": settings,
        "clock": SystemClock(),
        "run_lock": run_lock_resource(settings),
        "run_record": run_record_resource(settings),
        "second_process": second_process_resource(beside),
        "crosswalk_ahead": crosswalk_ahead_resource(beside),
        "base_copy": base_copy_resource(settings),
        "dbt_ahead": dbt_ahead_resource(beside),
        "meanwhile": meanwhile_resource,
        "notifier": Notifier(webhook_url=settings.webhook_url or ""),
    }
    return dg.Definitions(
        assets=[*weekly_assets, *quarterly_assets, *validation_assets, *decision_assets],
        asset_checks=publication_checks.build_checks(),
        jobs=[weekly_job, quarterly_job, validation_job, decisions_job],
        schedules=build_schedules(weekly_job, quarterly_job, company, company.first_week),
        sensors=build_sensors(decisions_job),
        resources={**resources, **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )
