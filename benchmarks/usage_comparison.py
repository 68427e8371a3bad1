"""The usage features three ways on the same landed files: dbt's models, bare DuckDB SQL, pandas; equal, and timed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.dbt_times import busy_seconds, read_nodes
from benchmarks.sampling import ProcessRun, run_sampled
from health_pipeline.contract.clocks import Week
from health_pipeline.mart.dbt import (
    DBT_PROJECT,
    dbt_environment,
    dbt_vars,
    run_dbt,
    weeks_apart,
    write_landing_manifest,
)
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.settings import REPOSITORY, Settings
from health_pipeline.sources.landing import Landing

# Everything from landed events to the features; account, week, links and seats are given to all three.
MODELS = (
    "stg_usage_event", "stg_usage_daily", "int_usage_event", "int_usage_daily", "int_usage_days",
    "int_usage_user_weeks", "int_usage_feature_weeks", "int_usage_account_weeks", "int_usage_feature_starts",
    "int_usage_weekly",
)  # fmt: skip
COUNTS = ("active_users_28d", "active_days_28d", "feature_breadth_28d", "features_first_used_28d",
          "days_since_last_activity", "usage_newest_fact_age_days")  # fmt: skip
SHARES = ("license_utilisation", "stickiness", "usage_depth_28d", "usage_change_share_4w")
LABELS = ("usage_status",)
# A share is a quotient of whole numbers: the three ways divide in another order.
TOLERANCE = 1e-9


class UnequalFeaturesError(AssertionError):
    """A yardstick does not give what the models give; its time means nothing then."""


@dataclass(frozen=True)
class Timing:
    """One run of one way: seconds of the work itself, CPU seconds and peak memory of the whole process."""

    way: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Comparison:
    """The runs in the order in which they were made, and what was compared."""

    events: int
    account_weeks: int
    weeks: int
    timings: tuple[Timing, ...]


class UsageComparison:
    """A copy of the warehouse in which the usage models are built again and again from the landing.

    Parameters
    ----------
    settings : of the reviewed state folder; its files are read, not written
    company : its policy
    folder : where the copy goes, on a disk with room for it
    """

    def __init__(self, settings: Settings, company: CompanyPolicy, folder: Path) -> None:
        self.company = company
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        self.copy = settings.model_copy(update={"home": folder / "home"})
        self.copy.warehouse.parent.mkdir(parents=True)
        shutil.copyfile(settings.warehouse, self.copy.warehouse)
        for name in ("landing", "identity", "quarantine"):
            (self.copy.home / name).symlink_to(settings.home / name)
        self.manifest = Landing(self.copy.landing, self.copy.quarantine).manifest()
        write_landing_manifest(self.copy, self.manifest)

    def take_newest_run(self) -> None:
        """Give the yardsticks the weeks of the newest run, and hold them to what it built."""
        self._export()
        self._export_models()

    def give_weeks(self, weeks: Sequence[Week]) -> None:
        """Write what all three ways are given: accounts and weeks, links, seats, and the list of landed files."""
        self.variables = dbt_vars(self.copy, self.company, weeks)
        given = ["int_account_week_spine", "int_account_links_weekly", "int_commercial_weekly"]
        run_dbt(self.copy, ["run", "--select", *(f"+{name}" for name in given)], self.variables)
        self._export()

    def _export(self) -> None:
        exports = {
            "spine": "select account_id, week, as_of_at, knows_usage, usage_feed_at "
            "from intermediate.int_account_week_spine",
            "links": "select week, account_id, source_system, source_instance, source_account_id "
            "from intermediate.int_account_links_weekly where source_kind = 'usage'",
            "seats": "select account_id, week, seats_licensed from intermediate.int_commercial_weekly",
        }
        with duckdb.connect(str(self.copy.warehouse)) as connection:
            for name, query in exports.items():
                connection.execute(f"copy ({query}) to '{self.folder / name}.parquet'")
        files = {
            name: [row["path"] for row in self.manifest.to_pylist() if row["table_name"] == table]
            for name, table in (("events", "usage_event"), ("daily", "usage_daily"))
        }
        (self.folder / "inputs.json").write_text(json.dumps(files))

    def _export_models(self) -> None:
        with duckdb.connect(str(self.copy.warehouse), read_only=True) as connection:
            query = "select * from intermediate.int_usage_weekly"
            connection.execute(f"copy ({query}) to '{self.folder / 'models.parquet'}'")

    def compare(self, repeats: int, ways: Sequence[str]) -> Comparison:
        """Run the ways in turn and make sure that each gives what the models give.

        Parameters
        ----------
        repeats : how often each runs
        ways : of `models`, `bare` and `pandas`; without `models` the yardsticks are held to what was built before

        Raises
        ------
        UnequalFeaturesError
            If a way differs in any feature of any account and week.
        """
        timings = []
        for _ in range(repeats):
            for way in ways:
                timings.append(self.time_models() if way == "models" else self.time_yardstick(way))
                if way != "models":
                    self.refuse_difference(way)
        with duckdb.connect() as connection:
            query = f"select count(*), count(distinct week) from '{self.folder / 'spine.parquet'}'"
            rows, weeks = connection.execute(query).fetchall()[0]
        events = sum(row["rows"] for row in self.manifest.to_pylist() if row["table_name"] == "usage_event")
        return Comparison(events, rows, weeks, tuple(timings))

    def time_models(self) -> Timing:
        """Build the usage models anew from every landed file, one model at a time, and write what came out."""
        with duckdb.connect(str(self.copy.warehouse)) as connection:
            connection.execute("delete from landing.integrated_load")
        variables, weeks = weeks_apart(self.variables)
        command = [
            sys.executable, "-c", "from dbt.cli.main import cli; cli()", "run", "--threads", "1",
            "--select", *MODELS, "--vars", json.dumps(variables),
        ]  # fmt: skip
        run = self._run(command, {**os.environ, **dbt_environment(self.copy), **weeks}, DBT_PROJECT)
        nodes = [
            node for node in read_nodes(Path(dbt_environment(self.copy)["DBT_TARGET_PATH"])) if node.name in MODELS
        ]
        self._export_models()
        return _timing("models", busy_seconds(nodes), run)

    def time_yardstick(self, way: str) -> Timing:
        """Run bare SQL or pandas in a process of its own."""
        command = [
            sys.executable, "-m", "benchmarks.yardsticks.run", way, str(self.folder), self.copy.duckdb_memory_limit
        ]  # fmt: skip
        run = self._run(command, {**os.environ, "PYTHONPATH": str(REPOSITORY)}, REPOSITORY)
        seconds = json.loads((self.folder / f"{way}.json").read_text())["seconds"]
        return _timing(way, seconds, run)

    def _run(self, command: Sequence[str], environment: dict[str, str], folder: Path) -> ProcessRun:
        run = run_sampled(command, environment, folder)
        if run.returncode:
            raise RuntimeError(f"{' '.join(command[:4])} ended with {run.returncode}: {run.output[-2000:]}")
        return run

    def refuse_difference(self, way: str) -> None:
        """Make sure that a way gives every account and week the same features as the models.

        Raises
        ------
        UnequalFeaturesError
            With the number of differing values by column.
        """
        models, other = (f"'{self.folder / f'{name}.parquet'}'" for name in ("models", way))
        unequal = [f"count(*) filter (where a.{c}::bigint is distinct from b.{c}::bigint) as {c}" for c in COUNTS]
        unequal += [f"count(*) filter (where a.{c} is distinct from b.{c}) as {c}" for c in LABELS]
        unequal += [
            f"count(*) filter (where (a.{c} is null) <> (b.{c} is null) or abs(a.{c} - b.{c}) > {TOLERANCE}) as {c}"
            for c in SHARES
        ]
        with duckdb.connect() as connection:
            query = (
                "select count(*) filter (where a.account_id is null or b.account_id is null) as missing_rows, "
                f"{', '.join(unequal)} from {models} as a full join {other} as b using (account_id, week)"
            )
            found = connection.execute(query).fetch_arrow_table().to_pylist()[0]
        differing = {column: number for column, number in found.items() if number}
        if differing:
            raise UnequalFeaturesError(f"{way} differs from the models: {differing}")


def _timing(way: str, seconds: float, run: ProcessRun) -> Timing:
    samples = run.samples
    return Timing(way, seconds, samples.cpu_seconds[-1], max(samples.resident_bytes))
