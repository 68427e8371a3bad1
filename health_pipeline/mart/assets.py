"""Dagster assets of the feature mart: the dbt models, with their tests as asset checks."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)

from health_pipeline.contract.landing import landing_tables
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.dbt import (
    DBT_PROJECT,
    build_args,
    dbt_environment,
    dbt_vars,
    ensure_manifest,
    failure_sentence,
    record_build,
    write_landing_manifest,
)
from health_pipeline.mart.warehouse import read_mart
from health_pipeline.observability.dagster_metadata import OWNERS, STORES, report_slices, weeks_of
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.sources.landing import Landing

GROUPS = {"staging": "03a_staging", "intermediate": "03b_intermediate", "marts": "03c_feature_mart"}
MART_TABLES = tuple(name for name, table in mart_tables().items() if table.room in {"mart", "identity"})
logger = get_logger("mart")


class MartTranslator(DagsterDbtTranslator):
    """Names dbt's nodes as the rest of the project does: marts by table, the rest by layer, sources by landing."""

    def __init__(self, weekly: dg.PartitionsDefinition) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self.weekly = weekly

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Add group, owners and kinds; dbt's own description (the grain first) and columns stay."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id) or manifest["sources"][unique_id]
        if node["resource_type"] == "source":
            return spec.replace_attributes(key=source_key(node["name"]))
        layer = node["fqn"][1]
        key = [node["name"]] if layer == "marts" else [layer, node["name"]]
        return spec.replace_attributes(
            key=dg.AssetKey(key), group_name=GROUPS.get(layer, "03c_feature_mart"), owners=OWNERS
        )

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        """Checks carry the weeks, as their assets do."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec._replace(partitions_def=self.weekly) if spec else None


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
        dagster_dbt_translator=MartTranslator(weekly),
        partitions_def=weekly,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys=STORES,
    )
    def feature_mart(context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Hand dbt the committed loads and the run's weeks, build and test, and record what was tested."""
        settings = context.resources.settings
        weeks = weeks_of(context)
        company = load_company(settings.policy).model
        write_landing_manifest(settings, Landing(settings.landing, settings.quarantine).manifest())
        variables = json.dumps(dbt_vars(settings, company, weeks))
        environment = dbt_environment(settings)
        dbt = DbtCliResource(
            project_dir=str(DBT_PROJECT),
            profiles_dir=str(DBT_PROJECT),
            target=settings.target,
            # The one of this environment, which need not be on the PATH.
            dbt_executable=str(Path(sys.executable).with_name("dbt")),
        )
        with _environment(environment):
            invocation = dbt.cli(
                [*build_args(), "--vars", variables],
                context=context,
                raise_on_error=False,
                target_path=Path(environment["DBT_TARGET_PATH"]),
            )
            yield from invocation.stream()
        if not invocation.is_successful():
            results = invocation.get_artifact("run_results.json")["results"]
            raise dg.Failure(description=failure_sentence(results), allow_retries=False)
        for name in MART_TABLES:
            table = read_mart(settings, name, weeks if mart_tables()[name].partition == "week" else None)
            report_slices(context, name, table)
        record = record_build(settings, Path(environment["DBT_TARGET_PATH"]) / "run_results.json", MART_TABLES, weeks)
        logger.info("features_built", weeks=len(weeks), invocation=record.invocation_id)

    return [feature_mart]


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
