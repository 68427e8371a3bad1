"""Dagster assets of the review: what people decided, landed before a week is built; packets taken in once it is out."""

import dagster as dg

from health_pipeline.observability.dagster_metadata import OWNERS, STORES, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.publication.releases import current_release
from health_pipeline.review.desk.desk_settings import DeskSettings
from health_pipeline.review.landed_decisions import LandedDecisions, land_decisions
from health_pipeline.review.landed_overrides import land_overrides
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.telling import TOLD, tell_high_risks
from health_pipeline.sources.landing import LoadResult

GROUP = "01_sources"
AFTER_GROUP = "08_review"
logger = get_logger("review")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The decisions that flow back into the weekly review, and the packets that go out to be decided."""

    @dg.asset(
        name="decided_overrides",
        group_name=GROUP,
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        kinds={"parquet"},
        required_resource_keys=STORES,
        description="One load per week in which somebody approved or withdrew an override of a tier: taken from the "
        "ledger as it was at the week's known_at.",
    )
    def decided_overrides(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        company = load_company(settings.policy).model
        result = land_overrides(settings, company, weeks_of(context)[-1].known_at(company.cutoff_hours))
        _refuse_unlanded("Overrides", result)
        logger.info("overrides_landed", status=result.status if result else "none")
        return dg.MaterializeResult(metadata={"overrides": result.rows if result else 0})

    @dg.asset(
        name="decided_cases",
        group_name=GROUP,
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        kinds={"parquet"},
        required_resource_keys=STORES,
        description="One load per week with what was decided since the last one, as the ledger was at the week's "
        "known_at; nothing where the sensor has landed it by then.",
    )
    def decided_cases(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        company = load_company(settings.policy).model
        landed = land_decisions(settings, company, weeks_of(context)[-1].known_at(company.cutoff_hours))
        return dg.MaterializeResult(metadata=_of_landing(landed))

    @dg.asset(
        name="review_cases",
        deps=["release"],
        group_name=AFTER_GROUP,
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        owners=OWNERS,
        kinds={"sql"},
        required_resource_keys=STORES,
        description="One case per published packet in the ledger, where people decide on it. Taking a release in again "
        "adds nothing; a packet whose evidence or severity is another one voids its approval.",
    )
    def review_cases(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        current = current_release(settings)
        if current is None:
            raise dg.Failure(description="Nothing is published yet; cases are made of a release.", allow_retries=False)
        with Ledger.open(settings, clock=context.resources.clock) as ledger:
            taken = ledger.intake(current)
            expired = len(ledger.expire_due())
            told = tell_high_risks(ledger, settings, DeskSettings().origin) if settings.webhook_url else None
            head = ledger.head()
        counts = {
            "new cases": taken.detected,
            "packets built anew": taken.rebuilt,
            "back to review": taken.returned_to_review,
            "reopened": taken.reopened,
            "renewed": taken.renewed,
            "accounts drawn at random": taken.drawn,
            "cases of customers that have left": taken.left,
            "approvals expired": expired,
            "told of high risks": told.type == TOLD if told else "nothing to tell, or no webhook",
        }
        logger.info("taken_in", release=taken.release, detected=taken.detected, returned=taken.returned_to_review)
        return dg.MaterializeResult(metadata={**counts, "ledger events": head.count if head else 0})

    return [decided_overrides, decided_cases, review_cases]


def build_landing_assets() -> list[dg.AssetsDefinition]:
    """What the sensor has landed between the weekly reviews."""

    @dg.asset(
        name="picked_up_decisions",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"parquet"},
        required_resource_keys=STORES,
        description="One load per pick-up: the ledger's events on cases since the newest one that is landed.",
    )
    def picked_up_decisions(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        settings = context.resources.settings
        landed = land_decisions(settings, load_company(settings.policy).model, context.resources.clock.now())
        return dg.MaterializeResult(metadata=_of_landing(landed))

    return [picked_up_decisions]


def _refuse_unlanded(what: str, load: LoadResult | None) -> None:
    if load is not None and not load.is_landed:
        raise dg.Failure(description=f"{what} were not landed: {' '.join(load.messages)}", allow_retries=False)


def _of_landing(landed: LandedDecisions | None) -> dict[str, str | int]:
    """What the run's page says of a landing.

    Raises
    ------
    dagster.Failure
        Where the landing refused it.
    """
    if landed is None:
        return {"events": 0, "newest event": 0}
    load = landed.load
    _refuse_unlanded("Decisions", load)
    logger.info("decisions_landed", status=load.status if load else "none", last_seq=landed.last_seq)
    return {"events": load.rows if load else 0, "newest event": landed.last_seq}
