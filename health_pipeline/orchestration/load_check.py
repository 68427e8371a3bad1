"""`load --check`: loads into a folder of its own that is thrown away, and says what that would have brought."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from health_pipeline.contract.clocks import last_ended_week, naive_utc
from health_pipeline.contract.landing import landing_tables
from health_pipeline.identity.crosswalk import build_crosswalk
from health_pipeline.identity.landed import first_known_at, read_source_accounts
from health_pipeline.identity.overrides import load_overrides
from health_pipeline.observability.garbage import rare_collections
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.scoring.scorer import HealthScorer
from health_pipeline.settings import Settings
from health_pipeline.sources.drafting.document import open_decisions
from health_pipeline.sources.feature_needs import unfed
from health_pipeline.sources.files import load_files
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.outcomes import LoadResult
from health_pipeline.sources.preview import TablePreview, newest_known, preview_load
from health_pipeline.sources.records import LoadRecord


@dataclass(frozen=True)
class AccountMatch:
    """How many accounts of one source belong to an account of the company, by which methods."""

    accounts: int
    matched: int
    methods: tuple[tuple[str, int], ...]
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class CheckedLoad:
    """What one load of a mapping would do, and bring."""

    result: LoadResult
    mode: str
    tables: tuple[TablePreview, ...] = ()
    match: AccountMatch | None = None


@dataclass(frozen=True)
class Coverage:
    """What the score could measure with the landing and these loads.

    Attributes
    ----------
    share : of the weight of the scorecard, what has data at all: no account can have more coverage
    floor : the policy's: an account below it is not scored
    missing : measures without data, as (measure, share of the weight, landed columns that are missing)
    silent_domains : domains none of whose measures has data
    """

    scorecard: str
    share: float
    floor: float
    missing: tuple[tuple[str, float, tuple[str, ...]], ...]
    silent_domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadCheck:
    """All that `load --check` says; `stale` has a sentence for each source that a first review would find stale."""

    loads: tuple[CheckedLoad, ...]
    coverage: Coverage | None
    decisions: tuple[str, ...]
    stale: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether a load would not come in."""
        return any(load.result.status in ("refused", "held") for load in self.loads)


def check_load(settings: Settings, mapping: Path, data: Path, loaded_at: datetime, historical: bool) -> LoadCheck:
    """Say what a mapping would bring in; nothing under HEALTH_HOME is written.

    The files are really loaded, by the same code, into a temporary folder that knows what the landing holds
    already: so duplicates, volumes and accounts are judged as they would be.

    Raises
    ------
    MappingError
        If the mapping can't be used or does not fit the files, a sentence for each place.
    """
    company = load_company(settings.policy).model
    real = Landing(settings.landing, settings.quarantine)
    with TemporaryDirectory(prefix="load-check-") as folder:
        trial = settings.model_copy(update={"home": Path(folder)})
        records = settings.landing / "source_load"
        if records.is_dir():
            shutil.copytree(records, trial.landing / "source_load")
        results = load_files(trial, company, mapping, data, loaded_at, historical)
        landing = Landing(trial.landing, trial.quarantine)
        committed = {record.load_id: record for record in landing.loads()}
        manifest = _joined(real.manifest(), landing.manifest())
        crosswalk = _links(settings, manifest, company)
        loads = []
        for result in results:
            record = committed.get(result.load_id or "")
            if record is None or result.status != "committed":
                loads.append(CheckedLoad(result, "historical" if historical else "incremental"))
                continue
            tables = tuple(preview_load(trial.landing, record, result.delivered))
            loads.append(CheckedLoad(result, record.mode, tables, _match(record, trial.landing, *crosswalk)))
        filled = set(filled_columns(manifest.to_pylist()))
        coverage = coverage_of(company, load_health_score(settings.policy).model, filled)
        stale = tuple(_stale(company, loads, committed, trial.landing, loaded_at)) if historical else ()
    asked = [f"{mapping}:{one.line}: {one.text}" for one in open_decisions(mapping.read_text(encoding="utf-8"))]
    return LoadCheck(tuple(loads), coverage, tuple(asked), stale)


def _stale(
    company: CompanyPolicy,
    loads: Iterable[CheckedLoad],
    committed: Mapping[str, LoadRecord],
    landing: Path,
    loaded_at: datetime,
) -> Iterator[str]:
    """What the newest week that can be reviewed now would find stale: a historical load only knows its own times."""
    week = last_ended_week(loaded_at, company.cutoff_hours)
    known_at = naive_utc(week.known_at(company.cutoff_hours))
    for load in loads:
        record = committed.get(load.result.load_id or "")
        if record is None or load.result.status != "committed" or record.loaded_at <= known_at:
            continue
        newest, policy = newest_known(landing, record, known_at), company.source(record.source_kind)
        if newest is not None and known_at - newest <= timedelta(days=policy.stale_after_days):
            continue
        said = f"its newest record is of {newest:%Y-%m-%d}" if newest else "nothing in it says when it was made"
        needed = f" to {(known_at - newest).days + 7} or more" if newest else ""
        effect = "holds every review back, because it is required" if policy.required else "counts as stale"
        yield (
            f"{record.source_kind} from {record.source_system}: {said}, so in the week of {week} it {effect}; if it is "
            f"complete all the same, set stale_after_days for {record.source_kind} in company.yaml{needed} (it is "
            f"{policy.stale_after_days}), or review a week that ends after today"
        )


def _joined(real: pa.Table, trial: pa.Table) -> pa.Table:
    """The landing's manifest, and behind it the loads that only the trial has."""
    known = pa.array(real["load_id"].to_pylist(), pa.string())
    return pa.concat_tables([real, trial.filter(pc.invert(pc.is_in(trial["load_id"], known)))])


def _links(settings: Settings, manifest: pa.Table, company: CompanyPolicy) -> tuple[pa.Table, pa.Table]:
    with rare_collections():
        crosswalk = build_crosswalk(
            read_source_accounts(manifest),
            manifest,
            load_overrides(settings.policy, settings.home),
            first_known_at=first_known_at(manifest, company.cutoff_hours),
        )
    return crosswalk.links, crosswalk.unmatched


def _match(record: LoadRecord, landing: Path, links: pa.Table, unmatched: pa.Table) -> AccountMatch | None:
    held = next((one for one in record.tables if one.table == "source_account" and one.rows), None)
    if held is None:
        return None
    ids = set(pq.read_table(landing / held.path, columns=["source_account_id"])["source_account_id"].to_pylist())
    source = (record.source_kind, record.source_system, record.source_instance)
    methods: dict[str, int] = {}
    for row in links.to_pylist():
        own = (row["source_kind"], row["source_system"], row["source_instance"])
        if own == source and row["source_account_id"] in ids and row["valid_to"] is None:
            methods[row["method"]] = methods.get(row["method"], 0) + 1
    reasons: dict[str, int] = {}
    for row in unmatched.to_pylist():
        own = (row["source_kind"], row["source_system"], row["source_instance"])
        if own == source and row["source_account_id"] in ids:
            reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
    by_count = sorted(reasons.items(), key=lambda entry: -entry[1])
    return AccountMatch(len(ids), sum(methods.values()), tuple(sorted(methods.items())), tuple(by_count))


def filled_columns(manifest: Iterable[dict[str, object]]) -> Iterator[str]:
    """Landed columns with a value on some row, as `table.column`, told from the statistics of the landed files."""
    tables = landing_tables()
    for row in manifest:
        if not row["rows"] or row["table_name"] not in tables:
            continue
        file = pq.ParquetFile(str(row["path"]))
        names = file.schema_arrow.names
        for place, name in enumerate(names):
            for group in range(file.metadata.num_row_groups):
                column = file.metadata.row_group(group).column(place)
                if column.statistics is None or column.statistics.null_count < column.num_values:
                    yield f"{row['table_name']}.{name}"
                    break


def coverage_of(company: CompanyPolicy, policy: HealthScorePolicy, filled: set[str]) -> Coverage:
    """What part of the score's weight has any data, on the scorecard of established accounts."""
    scorer = HealthScorer(policy, company.not_applicable_domains).fit()
    shown = scorer.weights_shown()
    card = policy.scorecard_of(policy.default_lifecycle_stage, "")
    weights = shown[shown["scorecard"] == card].set_index("measure")["normalised_weight"]
    measures = policy.scorecard_measures(card)
    applicable = {
        name: weights[name]
        for name, measure in measures.items()
        if name in weights and measure.domain not in company.not_applicable_domains
    }
    total = sum(applicable.values())
    gaps = unfed({measures[name].feature for name in applicable}, filled)
    missing = [
        (name, float(weight / total), gaps[measures[name].feature])
        for name, weight in applicable.items()
        if measures[name].feature in gaps
    ]
    missing.sort(key=lambda entry: -entry[1])
    share = 1.0 - sum(weight for _, weight, _ in missing)
    heard = {measures[name].domain for name in applicable if measures[name].feature not in gaps}
    silent = dict.fromkeys(measures[name].domain for name in applicable if measures[name].domain not in heard)
    return Coverage(card, max(share, 0.0), policy.coverage_floor, tuple(missing), tuple(silent))
