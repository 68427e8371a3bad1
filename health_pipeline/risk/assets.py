"""Dagster assets of the risk room: the run's risks as packets, the evidence behind them, the exception queue."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, get_args

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.case_states import ENDED
from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table
from health_pipeline.mart.account_facts import Decided
from health_pipeline.mart.decisions import (
    DECISION_MODELS,
    read_audit_findings,
    read_case_rows,
    read_decided,
    read_event_rows,
    read_measurements,
    read_new_audit_findings,
)
from health_pipeline.mart.packet_facts import FACT_MODELS
from health_pipeline.mart.published import read_published, read_published_newest
from health_pipeline.mart.risk_records import MODEL, read_risk_records, risk_query_hash, unresolved_evidence
from health_pipeline.mart.warehouse import read_mart, reading, write_marts
from health_pipeline.observability.dagster_metadata import (
    STORES,
    mart_spec,
    newest_week,
    report_preview,
    report_slices,
    weeks_of,
)
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.capacity import load_capacity
from health_pipeline.policy.company import load_company
from health_pipeline.policy.exception_queue import load_exception_queue
from health_pipeline.policy.risk_signals import RiskSignalPolicy, load_risk_signals
from health_pipeline.risk.episodes import EpisodesBefore
from health_pipeline.risk.evidence import RecordsBySet
from health_pipeline.risk.history import EpisodeHistory
from health_pipeline.risk.metrics import metrics_table
from health_pipeline.risk.model import Severity
from health_pipeline.risk.outcomes import WeekDecisions
from health_pipeline.risk.packet_building import load_packet_policy
from health_pipeline.risk.packets_of_week import packets_of_week
from health_pipeline.risk.patterns import FeaturePaths
from health_pipeline.risk.queue import queue_packets
from health_pipeline.risk.restricted import PACKETS_FOR_SECOND, verify_briefs
from health_pipeline.risk.rows import evidence_rows, records_by_account
from health_pipeline.risk.weekly import ReviewedWeek, RiskInputs, review_weeks
from health_pipeline.settings import Settings

GROUP = "04b_risk"
TABLES = ("risk_packets", "risk_evidence", "exception_queue_weekly")
MEASURES = ("review_metrics_weekly", "measurement_events", "random_audit_findings")
# A brief that does not verify is wrong in one place as a rule; what follows from it repeats it.
LOGGED_PROBLEMS = 5
logger = get_logger("risk")


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Risks, their evidence and the exception queue, by week."""
    inputs = [
        dg.AssetDep("account_features_weekly"),
        dg.AssetDep("account_health_weekly"),
        dg.AssetDep("watermelon_accounts_weekly"),
        *(dg.AssetDep(["intermediate", name]) for name in (MODEL, *FACT_MODELS, *DECISION_MODELS)),
    ]

    @dg.multi_asset(
        name="review_risks",
        specs=[mart_spec(name, GROUP, inputs, {"python", "duckdb"}) for name in TABLES],
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def review_risks(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Observe the policy's signals, gather the records behind them, fold occurrences, build packets."""
        settings = context.resources.settings
        weeks = weeks_of(context)
        with reading(settings, weeks):
            tables, numbers = _review(context, settings, weeks)
        write_marts(settings, tables, weeks=weeks)
        for name, table in tables.items():
            report_slices(context, name, table, numbers if name == "risk_packets" else None)
            yield dg.MaterializeResult(asset_key=name)
        report_preview(context, "risk_packets", newest_week(tables["risk_packets"], "category", _SUMS))
        report_preview(context, "risk_evidence", newest_week(tables["risk_evidence"], "source_table", {}))

    return [review_risks, _measure_review(weekly)]


def _review(
    context: dg.AssetExecutionContext, settings: Settings, weeks: Sequence[Week]
) -> tuple[dict[str, pa.Table], dict[str, dict[str, float]]]:
    """The tables of the run's weeks, and what the UI plots of them; bodies are stored on the way.

    Raises
    ------
    dagster.Failure
        If a piece of evidence resolves to no landed record.
    """
    signals = load_risk_signals(settings.policy)
    packets = load_packet_policy(settings.policy)
    if withheld := packets.not_ready():
        context.log.warning("packets are withheld: %s", "; ".join(withheld))
    found: dict[str, list[pa.Table]] = {name: [empty_table(name)] for name in ("risk_packets", "risk_evidence")}
    numbers = {}
    read = dict.fromkeys((*EpisodesBefore.COLUMNS, *EpisodeHistory.COLUMNS))
    # of a packet's weeks with the same signals the newest tells all that the next week has to know
    newest = read_published_newest(settings, "risk_packets", list(read), ("packet_id", "signals"), weeks[0])
    published = newest.to_pylist()
    decided = read_decided(settings, weeks)
    inputs_of_run = _inputs(settings, weeks, signals.model, published, decided)
    history = EpisodeHistory(published, weeks[0].monday)
    if not withheld and len(inputs_of_run.before.open) >= PACKETS_FOR_SECOND:
        # by the time the first packets are made, it has started
        context.resources.second_process.submit(verify_briefs, [])
    for reviewed in review_weeks(inputs_of_run, weeks):
        # without a packet to be part of, evidence would be about nothing
        risks = () if withheld else reviewed.risks
        made = packets_of_week(
            settings,
            risks,
            reviewed.week,
            packets,
            history,
            decided[reviewed.week.monday],
            context.resources.second_process,
        )
        for packet_id, problems in made.unverified.items():
            found_wrong = list(problems[:LOGGED_PROBLEMS])
            logger.error("brief_not_verified", week=str(reviewed.week), packet=packet_id, problems=found_wrong)
        found["risk_packets"].append(made.rows)
        found["risk_evidence"].append(evidence_rows(risks))
        numbers[str(reviewed.week)] = _numbers(found["risk_packets"][-1], reviewed)
        logger.info(
            "risks_reviewed",
            week=str(reviewed.week),
            risks=len(risks),
            without_record=sum(reviewed.without_record.values()),
            not_evaluated=len(reviewed.not_evaluated),
        )
    tables = {name: pa.concat_tables(parts) for name, parts in found.items()}
    if unresolved := unresolved_evidence(settings, tables["risk_evidence"]):
        raise dg.Failure(description=unresolved_sentence(unresolved), allow_retries=False)
    queued = queue_packets(
        tables["risk_packets"],
        read_mart(settings, "watermelon_accounts_weekly", weeks),
        inputs_of_run.features,
        load_exception_queue(settings.policy).model,
        load_capacity(settings.policy).model,
    )
    tables |= {"risk_packets": queued.packets, "exception_queue_weekly": queued.queue}
    return tables, numbers


def _measure_review(weekly: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    measured = [
        dg.AssetDep("risk_packets"),
        dg.AssetDep("account_features_weekly"),
        *(dg.AssetDep(["intermediate", name]) for name in (*DECISION_MODELS, "int_review_event")),
    ]

    @dg.multi_asset(
        name="measure_review",
        specs=[mart_spec(name, GROUP, measured, {"python", "duckdb"}) for name in MEASURES],
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def measure_review(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Rate the week's packets by their parts, count decisions and outcomes, list events and audit findings."""
        settings = context.resources.settings
        weeks = weeks_of(context)
        with reading(settings, weeks):
            packets = read_mart(settings, "risk_packets", weeks)
            features = read_mart(settings, "account_features_weekly", weeks)
            clocks = features.select(["week", "as_of_at", "known_at"])
            clocks = clocks.group_by(clocks.column_names).aggregate([]).to_pylist()
            cutoff_hours = load_company(settings.policy).model.cutoff_hours
            metrics = metrics_table(packets, clocks, _decisions(settings, weeks, features, cutoff_hours))
            newest = newest_known_week(settings, weeks)
            events = read_measurements(settings, newest, cutoff_hours)
            findings = read_audit_findings(settings, newest, cutoff_hours)
        made = {"review_metrics_weekly": metrics, "measurement_events": events, "random_audit_findings": findings}
        write_marts(settings, made, weeks=weeks)
        report_slices(context, "review_metrics_weekly", metrics, _metric_numbers(metrics))
        yield dg.MaterializeResult(asset_key="review_metrics_weekly")
        report_slices(context, "measurement_events", events)
        yield dg.MaterializeResult(asset_key="measurement_events", metadata={"events": events.num_rows})
        report_slices(context, "random_audit_findings", findings)
        yield dg.MaterializeResult(asset_key="random_audit_findings", metadata={"findings": findings.num_rows})

    return measure_review


def _decisions(
    settings: Settings, weeks: Sequence[Week], features: pa.Table, cutoff_hours: int
) -> dict[date, WeekDecisions]:
    """What people decided, of the weeks that know a ledger."""
    wanted = ["week", "account_id", "arr", "is_cancellation_scheduled"]
    of_accounts: dict[date, dict[str, Mapping[str, Any]]] = {}
    for row in features.select(wanted).to_pylist():
        of_accounts.setdefault(row["week"], {})[row["account_id"]] = row
    cases, events = (_by_week(read(settings, weeks)) for read in (read_case_rows, read_event_rows))
    findings = read_new_audit_findings(settings, weeks, cutoff_hours)
    return {
        monday: WeekDecisions(
            cases.get(monday, []), events.get(monday, []), of_accounts.get(monday, {}), findings[monday]
        )
        for monday, known in read_decided(settings, weeks).items()
        if known.is_connected
    }


def _by_week(rows: Sequence[Mapping[str, Any]]) -> dict[date, list[Mapping[str, Any]]]:
    found: dict[date, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["week"], []).append(row)
    return found


def newest_known_week(settings: Settings, weeks: Sequence[Week]) -> Week:
    """The newest week of the release that the run will make: its own, or a later one that is published."""
    published = read_published(settings, "risk_packets", columns=["week"])["week"]
    return max(weeks[-1], Week(pc.max(published).as_py())) if len(published) else weeks[-1]


_SUMS = {"value_at_risk": "value", "supporting_evidence": "for", "contradicting_evidence": "against"}


def _inputs(
    settings: Settings,
    weeks: Sequence[Week],
    policy: RiskSignalPolicy,
    published: Sequence[Mapping[str, Any]],
    decided: Mapping[date, Decided],
) -> RiskInputs:
    features = read_mart(settings, "account_features_weekly", weeks)
    paths = sorted({signal.path_of for signal in policy.signals if signal.path_of})
    earlier = [weeks[0].shift(-back) for back in range(policy.path_weeks, 0, -1)]
    columns = ["account_id", "week", *paths]
    before = read_published(settings, "account_features_weekly", weeks=earlier, columns=columns)

    def records_of(week: Week, accounts: Sequence[str]) -> dict[str, RecordsBySet]:
        return records_by_account(read_risk_records(settings, week, accounts))

    return RiskInputs(
        features=features,
        records_of=records_of,
        before=EpisodesBefore(published, weeks[0].monday),
        policy=policy,
        not_applicable_domains=load_company(settings.policy).model.not_applicable_domains,
        query_hash=risk_query_hash(settings),
        ended={monday: known.ended for monday, known in decided.items()},
        taken_up={monday: known.taken_up for monday, known in decided.items()},
        paths=FeaturePaths(pa.concat_tables([before, features.select(columns)]), paths),
    )


def unresolved_sentence(evidence_ids: Sequence[str]) -> str:
    """What is wrong with pieces of evidence that no landed record stands behind, and what to do."""
    return (
        f"{len(evidence_ids)} pieces of evidence resolve to no landed record that was known then, the first is "
        f"{evidence_ids[0]}; no risk of this run is kept: build the feature mart for these weeks again."
    )


def _metric_numbers(metrics: pa.Table) -> dict[str, dict[str, float]]:
    numbers: dict[str, dict[str, float]] = {}
    for row in metrics.to_pylist():
        if row["value"] is not None:
            numbers.setdefault(str(row["week"]), {})[row["metric"].replace("_", " ")] = row["value"]
    return numbers


def _numbers(packets: pa.Table, reviewed: ReviewedWeek) -> dict[str, float]:
    """Open risks by category and severity, and what did not fire: what the UI plots. Counts only."""
    rows = packets.select(["side", "category", "severity", "is_quiet", "state"]).to_pylist()
    rows = [row for row in rows if row["state"] not in ENDED]
    risks = [row for row in rows if row["side"] == "risk"]
    severities = Counter(row["severity"] or "not assessed" for row in risks)
    categories = Counter(row["category"] for row in risks)
    return {
        "open risks": len(risks),
        "quiet for the first week": sum(row["is_quiet"] for row in risks),
        "quiet, waiting for a person": reviewed.waiting,
        "open expansions": len(rows) - len(risks),
        **{f"severity {name}": severities.get(name, 0) for name in (*get_args(Severity), "not assessed")},
        **{f"category {name.replace('_', ' ')}": count for name, count in sorted(categories.items())},
        "met without a record": sum(reviewed.without_record.values()),
        "signals not evaluated": len(reviewed.not_evaluated),
    }
