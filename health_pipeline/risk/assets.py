"""Dagster assets of the risk room: the risks of the run's weeks, the evidence behind them, the exception queue."""

from collections import Counter
from collections.abc import Iterator, Sequence

import dagster as dg
import pyarrow as pa

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table
from health_pipeline.mart.published import read_published
from health_pipeline.mart.risk_records import MODEL, read_risk_records, risk_query_hash, unresolved_evidence
from health_pipeline.mart.warehouse import read_mart, write_slices
from health_pipeline.observability.dagster_metadata import STORES, mart_spec, report_slices, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.capacity import load_capacity
from health_pipeline.policy.company import load_company
from health_pipeline.policy.exception_queue import load_exception_queue
from health_pipeline.policy.risk_signals import load_risk_signals
from health_pipeline.risk.episodes import EpisodesBefore
from health_pipeline.risk.evidence import RecordsBySet
from health_pipeline.risk.model import Risk
from health_pipeline.risk.queue import queue_packets
from health_pipeline.risk.rows import evidence_rows, packet_rows, records_by_account
from health_pipeline.risk.strength import LEVELS
from health_pipeline.risk.weekly import RiskInputs, review_weeks

GROUP = "04b_risk"
TABLES = ("risk_packets", "risk_evidence", "exception_queue_weekly")
logger = get_logger("risk")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Risks, their evidence and the exception queue, by week."""
    inputs = [
        dg.AssetDep("account_features_weekly"),
        dg.AssetDep("watermelon_accounts_weekly"),
        dg.AssetDep(["intermediate", MODEL]),
    ]

    @dg.multi_asset(
        name="review_risks",
        specs=[mart_spec(name, GROUP, inputs, {"python", "duckdb"}) for name in TABLES],
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def review_risks(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Observe the policy's signals, gather the records behind them, fold occurrences over the weeks."""
        settings = context.resources.settings
        weeks = weeks_of(context)
        policy = load_risk_signals(settings.policy)

        def records_of(week: Week, accounts: Sequence[str]) -> dict[str, RecordsBySet]:
            return records_by_account(read_risk_records(settings, week, accounts))

        features = read_mart(settings, "account_features_weekly", weeks)
        reviewed = review_weeks(
            RiskInputs(
                features=features,
                records_of=records_of,
                before=EpisodesBefore(read_published(settings, "risk_packets").to_pylist(), weeks[0].monday),
                policy=policy.model,
                not_applicable_domains=load_company(settings.policy).model.not_applicable_domains,
                query_hash=risk_query_hash(settings),
            ),
            weeks,
        )
        packets, evidence = [empty_table("risk_packets")], [empty_table("risk_evidence")]
        numbers: dict[str, dict[str, float]] = {}
        for one in reviewed:
            packets.append(packet_rows(one.risks, policy.hash))
            evidence.append(evidence_rows(one.risks))
            numbers[str(one.week)] = _numbers(one.risks)
        found = {"risk_packets": pa.concat_tables(packets), "risk_evidence": pa.concat_tables(evidence)}
        if unresolved := unresolved_evidence(settings, found["risk_evidence"]):
            raise dg.Failure(description=unresolved_sentence(unresolved), allow_retries=False)
        queued = queue_packets(
            found["risk_packets"],
            read_mart(settings, "watermelon_accounts_weekly", weeks),
            features,
            load_exception_queue(settings.policy).model,
            load_capacity(settings.policy).model,
        )
        found |= {"risk_packets": queued.packets, "exception_queue_weekly": queued.queue}
        for name, table in found.items():
            write_slices(settings, name, table, weeks=weeks)
            report_slices(context, name, table, numbers if name == "risk_packets" else None)
            yield dg.MaterializeResult(asset_key=name)
        logger.info("risks_reviewed", weeks=len(weeks), risks=found["risk_packets"].num_rows)

    return [review_risks]


def unresolved_sentence(evidence_ids: Sequence[str]) -> str:
    """What is wrong with pieces of evidence that no landed record stands behind, and what to do."""
    return (
        f"{len(evidence_ids)} pieces of evidence resolve to no landed record that was known then, the first is "
        f"{evidence_ids[0]}; no risk of this run is kept: build the feature mart for these weeks again."
    )


def _numbers(risks: tuple[Risk, ...]) -> dict[str, float]:
    """Open risks by category and strongest signal: what the UI plots. Counts only."""
    open_risks = [risk for risk in risks if risk.side == "risk"]
    strongest = Counter(risk.signals[0].contribution for risk in open_risks if risk.signals)
    categories = Counter(risk.signals[0].category for risk in open_risks if risk.signals)
    return {
        "open risks": len(open_risks),
        "open expansions": len(risks) - len(open_risks),
        **{f"strongest signal {level}": strongest.get(level, 0) for level in LEVELS},
        **{f"category {name.replace('_', ' ')}": count for name, count in sorted(categories.items())},
    }
