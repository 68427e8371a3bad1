"""Dagster assets of the feature mart: the dbt models, with their tests as asset checks."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)
from packaging.version import Version

from health_pipeline.contract.landing import landing_tables
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.connection import wait_until_free
from health_pipeline.mart.dbt import (
    DBT_PROJECT,
    build_args,
    dbt_environment,
    dbt_vars,
    ensure_manifest,
    failure_sentence,
    record_build,
    weeks_apart,
    write_landing_manifest,
)
from health_pipeline.mart.warehouse import intermediate_rows, read_marts
from health_pipeline.observability.dagster_metadata import (
    OWNERS,
    STORES,
    key_sentence,
    published_name,
    report_numbers,
    report_slices,
    weeks_of,
)
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.sources.landing import Landing

GROUPS = {"staging": "03a_staging", "intermediate": "03b_intermediate", "marts": "03c_feature_mart"}
MART_TABLES = tuple(name for name, table in mart_tables().items() if table.room in {"mart", "identity"})
logger = get_logger("mart")


class MartTranslator(DagsterDbtTranslator):
    """Names dbt's nodes as the rest of the project does: marts by table, the rest by layer, sources by landing.

    dbt's tests run over the run's weeks at once and so have no partitions: a partitioned check of a run of several
    weeks shows as skipped.
    """

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Add group, owners and kinds; dbt's own description (the grain first) and columns stay."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id) or manifest["sources"][unique_id]
        if node["resource_type"] == "source":
            return spec.replace_attributes(key=source_key(node["name"]))
        layer = node["fqn"][1]
        if layer != "marts":
            return spec.replace_attributes(
                key=dg.AssetKey([layer, node["name"]]), group_name=GROUPS[layer], owners=OWNERS
            )
        # dbt's description is the grain, then the SQL: the key stands between them.
        grain, _, sql = (spec.description or "").partition("\n\n")
        return spec.replace_attributes(
            key=dg.AssetKey([node["name"]]),
            group_name=GROUPS[layer],
            owners=OWNERS,
            description="\n\n".join(part for part in (grain, key_sentence(node["name"]), sql) if part),
            metadata={**spec.metadata, "dagster/table_name": published_name(node["name"])},
        )


class DbtOfThisEnvironment(DbtCliResource):
    """dbt as it is installed here: its version is known, and nothing is asked of an adapter in this process.

    Each time, dagster-dbt starts dbt once more to ask for its version (3 CPU seconds, and dbt then asks PyPI for a
    newer one), and makes an adapter for row counts of its own (1.4): the rows are counted here when dbt has ended.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return installed_dbt()

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        return None


def installed_dbt() -> Version:
    """The version of dbt beside this Python."""
    return Version(metadata.version("dbt-core"))


def source_key(table: str) -> dg.AssetKey:
    """The asset that lands a dbt source: identity's tables, the load record, or the first kind that sends it."""
    if table.startswith("identity_"):
        return dg.AssetKey(["identity", "crosswalk"])
    contract = landing_tables().get(table)
    return dg.AssetKey(["landing", contract.kinds[0] if contract else "source_load"])


def build_assets(weekly: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Every dbt model as an asset, partitioned by week."""
    manifest_path = ensure_manifest()

    @dbt_assets(
        manifest=manifest_path,
        name="feature_mart",
        dagster_dbt_translator=MartTranslator(),
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={*STORES, "dbt_ahead", "meanwhile"},
    )
    def feature_mart(context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Hand dbt the committed loads and the run's weeks, build and test, and record what was tested."""
        settings = context.resources.settings
        weeks = weeks_of(context)
        company = load_company(settings.policy).model
        write_landing_manifest(settings, Landing(settings.landing, settings.quarantine).manifest())
        variables, run_weeks = weeks_apart(dbt_vars(settings, company, weeks))
        target_path = Path(dbt_environment(settings)["DBT_TARGET_PATH"])
        # The lock of runs does not hold back a dbt that outlived its killed run.
        wait_until_free(settings.warehouse, settings.run_lock_wait_seconds)
        invocation = _invocation_ahead(context, manifest_path, variables, run_weeks)
        with _environment({**dbt_environment(settings), **run_weeks}):
            if invocation is None:
                dbt = DbtOfThisEnvironment(
                    project_dir=str(DBT_PROJECT),
                    profiles_dir=str(DBT_PROJECT),
                    target=settings.target,
                    # It need not be on the PATH.
                    dbt_executable=str(Path(sys.executable).with_name("dbt")),
                )
                invocation = dbt.cli(
                    [*build_args(), "--vars", json.dumps(variables)],
                    context=context,
                    raise_on_error=False,
                    target_path=target_path,
                )
            context.resources.meanwhile()
            # Kept until the rows are counted: what is attached to an asset after its event is lost.
            events = list(invocation.stream())
        if not invocation.is_successful():
            yield from events
            results = invocation.get_artifact("run_results.json")["results"]
            raise dg.Failure(description=failure_sentence(results), allow_retries=False)
        tables = read_marts(settings, MART_TABLES, weeks)
        for name, table in tables.items():
            report_slices(context, name, table, _numbers(name, table))
        for name, rows in intermediate_rows(settings, weeks).items():
            context.add_asset_metadata({"dagster/row_count": rows.total}, asset_key=dg.AssetKey(["intermediate", name]))
            by_week = {week: {"dagster/partition_row_count": count} for week, count in rows.by_week.items()}
            report_numbers(context, ["intermediate", name], by_week)
        with ThreadPoolExecutor(1, thread_name_prefix="build-record") as beside:
            # what takes its time is not Python's, and Dagster writes hundreds of events down
            record = beside.submit(record_build, settings, target_path / "run_results.json", tables, weeks)
            yield from events
        logger.info("features_built", weeks=len(weeks), invocation=record.result().invocation_id)

    return [feature_mart]


def _invocation_ahead(
    context: dg.AssetExecutionContext, manifest: Path, variables: Mapping[str, Any], run_weeks: Mapping[str, str]
) -> DbtCliInvocation | None:
    """The dbt that was started with the run, at work on the whole mart; None for a part, or where there is none."""
    settings = context.resources.settings
    if context.assets_def.is_subset:
        # which part, dagster-dbt tells dbt
        return None
    process = context.resources.dbt_ahead.take(build_args(), variables, run_weeks)
    if process is None:
        return None
    return DbtCliInvocation(
        process=process,
        manifest=json.loads(manifest.read_text(encoding="utf-8")),
        dagster_dbt_translator=MartTranslator(),
        project_dir=DBT_PROJECT,
        target_path=Path(dbt_environment(settings)["DBT_TARGET_PATH"]),
        raise_on_error=False,
        cli_version=installed_dbt(),
        context=context,
    )


def _numbers(name: str, table: pa.Table) -> dict[str, dict[str, float]]:
    """What the UI plots over the weeks beside the rows: how much of each domain is known, how much matched."""
    if name == "account_features_weekly":
        statuses = [column for column in table.column_names if column.endswith("_status")]
        frame = table.select(["week", *statuses]).to_pandas()
        known = frame[statuses].isin(["measured", "zero"]).groupby(frame["week"]).mean()
        return {
            str(week): {
                f"{status.removesuffix('_status')} known, share of accounts": round(float(share), 4)
                for status, share in shares.items()
            }
            for week, shares in known.iterrows()
        }
    if name == "source_freshness_weekly":
        numbers: dict[str, dict[str, float]] = {}
        for row in table.select(["week", "source_kind", "match_share"]).to_pylist():
            if row["match_share"] is not None:
                label = f"{row['source_kind']} accounts matched, share"
                numbers.setdefault(str(row["week"]), {})[label] = round(row["match_share"], 4)
        return numbers
    return {}


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """dbt reads its paths from the environment; it runs as a child of this process."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
