"""How dbt is called: its environment, variables and arguments as plain values, its run, its manifest, what it built."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.content import content_hashes
from health_pipeline.contract.landing import SOURCE_KINDS
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import CompanyPolicy, Domain
from health_pipeline.policy.risk_phrases import load_risk_phrases
from health_pipeline.settings import REPOSITORY, Settings
from health_pipeline.text.version import rule_version

DBT_PROJECT = REPOSITORY / "dbt_project"
MANIFEST = DBT_PROJECT / "target" / "manifest.json"
IDENTITY_TABLES = ("identity_account", "identity_link", "identity_suggestion")
# The run's weeks among the variables, and the environment variables that say them to dbt.
WEEK_VARIABLES = {"first_week": "HEALTH_FIRST_WEEK", "last_week": "HEALTH_LAST_WEEK"}
# What the history models are made of: a change of these, or of the cutoff, makes history anew from the landing.
HISTORY_SOURCES = ("macros", "models/staging", "models/intermediate/history")
_OUT_OF_MEMORY = "Out of Memory Error"

logger = get_logger("mart")


class DbtError(RuntimeError):
    """dbt failed; the message names the failing models and tests in one sentence."""


@dataclass(frozen=True)
class DbtResult:
    """A dbt invocation that succeeded.

    Attributes
    ----------
    invocation_id : dbt's own id
    statuses : status by unique id of each node that ran
    seconds : wall time dbt reports
    """

    invocation_id: str
    statuses: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class BuildRecord:
    """What the newest successful build was and built; the audit compares the candidate with it.

    Attributes
    ----------
    invocation_id : dbt's own id
    table_hashes : content hash by table: the run's weeks of a weekly table, the whole of a snapshot
    weeks : Mondays of the run's weeks
    """

    invocation_id: str = ""
    table_hashes: Mapping[str, str] = field(default_factory=dict)
    weeks: tuple[str, ...] = ()


def write_landing_manifest(settings: Settings, manifest: pa.Table) -> Path:
    """Write the list of committed files for dbt, with the identity files as tables of their own.

    Parameters
    ----------
    settings : where state lives
    manifest : `Landing.manifest()`, one row per load and table

    Raises
    ------
    FileNotFoundError
        If a file the manifest names is not there.
    """
    if missing := [path for path in manifest["path"].to_pylist() if not Path(path).is_file()]:
        raise FileNotFoundError(
            f"The landing names {len(missing)} files that are not there, the first is {missing[0]}; "
            f"restore the landing folder from a copy."
        )
    identity = [
        {"table_name": name, "path": str(settings.identity / f"{name}.parquet")}
        for name in IDENTITY_TABLES
        if (settings.identity / f"{name}.parquet").is_file()
    ]
    rows = [*manifest.to_pylist(), *identity]
    path = settings.scratch / "landing_manifest.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    # dbt opens the warehouse file and does not make its folder
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    pq.write_table(pa.Table.from_pylist(rows, schema=manifest.schema), partial)
    partial.replace(path)
    return path


def dbt_environment(settings: Settings) -> dict[str, str]:
    """The environment variables dbt needs in a process of its own: warehouse, target and log folders, no telemetry."""
    return {
        "HEALTH_WAREHOUSE": str(settings.warehouse),
        "HEALTH_DUCKDB_MEMORY_LIMIT": settings.duckdb_memory_limit,
        "DBT_TARGET_PATH": str(settings.home / "dbt" / "target"),
        "DBT_LOG_PATH": str(settings.home / "dbt" / "logs"),
        "HEALTH_DBT_KEEPS_OPEN": "True",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }


def build_args() -> list[str]:
    """Arguments of the weekly build: every model and data test; unit tests belong to the test suite."""
    return ["build", "--exclude-resource-type", "unit_test"]


def dbt_vars(settings: Settings, company: CompanyPolicy, weeks: Sequence[Week]) -> dict[str, Any]:
    """The variables of a build of those weeks, from the policy; the same inputs give the same variables.

    Raises
    ------
    ValueError
        If there is no week, or the weeks have a gap.
    """
    ordered = sorted(set(weeks))
    if not ordered or ordered[-1] != ordered[0].shift(len(ordered) - 1):
        named = ", ".join(str(week) for week in ordered) or "none"
        raise ValueError(f"A build takes consecutive weeks; it was given {named}.")
    weeks_of_run = {"first_week": str(ordered[0]), "last_week": str(ordered[-1])}
    return {**weeks_of_run, **lasting_vars(settings, company)}


def lasting_vars(settings: Settings, company: CompanyPolicy) -> dict[str, Any]:
    """The variables that are the same for every week: where the landing is, and what the policy says."""
    return {
        "landing_manifest": str(settings.scratch / "landing_manifest.parquet"),
        "integration_version": integration_version(company.cutoff_hours),
        "text_rule_version": rule_version(load_risk_phrases(settings.policy)),
        **policy_vars(company),
    }


def weeks_apart(variables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The variables without the run's weeks, and the weeks as environment variables.

    dbt parses the whole project anew whenever `--vars` differ from the run before; of a changed environment variable
    only the models that read it.
    """
    lasting = {name: value for name, value in variables.items() if name not in WEEK_VARIABLES}
    return lasting, {told: str(variables[name]) for name, told in WEEK_VARIABLES.items() if name in variables}


def policy_vars(company: CompanyPolicy) -> dict[str, Any]:
    """The part of the variables that comes from the company's policy alone."""
    return {
        "cutoff_hours": company.cutoff_hours,
        "live_within_days": company.live_within_days,
        "reporting_currency": company.reporting_currency,
        "rates": [
            {"currency": currency, "valid_from": day, "rate": rate}
            for currency, by_date in sorted(company.rates.items())
            if currency != company.reporting_currency
            for day, rate in sorted(by_date.items())
        ],
        "not_applicable_domains": sorted(company.not_applicable_domains),
        "stale_domain_after_days": stale_domain_after_days(company),
        "review_latency_hours": company.source("review").latency_hours,
        "source_kinds": {
            kind: {
                "latency_hours": company.source(kind).latency_hours,
                "is_required": company.source(kind).required,
                "stale_after_days": company.source(kind).stale_after_days,
            }
            for kind in SOURCE_KINDS
        },
    }


# Where the policy does not say: about as long as the domain's longest window.
STALE_DOMAIN_AFTER_DAYS: dict[Domain, int] = {
    "commercial": 400,
    "payment": 120,
    "usage": 28,
    "support": 91,
    "engagement": 91,
    "sentiment": 120,
    "outcomes": 120,
    "risk": 180,
}


def stale_domain_after_days(company: CompanyPolicy) -> dict[str, int]:
    """Days by domain: the policy's own, else the default."""
    return {str(domain): days for domain, days in (STALE_DOMAIN_AFTER_DAYS | company.stale_domain_after_days).items()}


def integration_version(cutoff_hours: int) -> str:
    """Hash of what history is made of: the project's macros, staging and history models, and the cutoff."""
    digest = hashlib.sha256(str(cutoff_hours).encode())
    for path in sorted(_files(DBT_PROJECT / part for part in HISTORY_SOURCES)):
        digest.update(path.relative_to(DBT_PROJECT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _files(folders: Iterable[Path]) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*.sql")]


def run_dbt(settings: Settings, args: Sequence[str], variables: Mapping[str, Any]) -> DbtResult:
    """Run dbt in a process of its own, so that no handle on the warehouse stays in this one.

    Parameters
    ----------
    settings : where state lives
    args : the command and its options, such as `build_args()`
    variables : `dbt_vars(...)`

    Raises
    ------
    DbtError
        If a node failed or dbt did not start; one sentence.
    """
    lasting, weeks = weeks_apart(variables)
    environment = {**os.environ, **dbt_environment(settings), **weeks}
    target = Path(environment["DBT_TARGET_PATH"])
    results = target / "run_results.json"
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    command = [*_dbt(), *args, "--target", settings.target, "--vars", json.dumps(lasting)]
    process = subprocess.run(
        command, cwd=DBT_PROJECT, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if not results.is_file():
        raise DbtError(f"dbt {args[0]} did not run: {_last_words(process.stdout + process.stderr)}")
    content = json.loads(results.read_text(encoding="utf-8"))
    if process.returncode != 0:
        raise DbtError(failure_sentence(content["results"]) or f"dbt {args[0]}: {_last_words(process.stdout)}")
    return DbtResult(
        content["metadata"]["invocation_id"],
        {result["unique_id"]: result["status"] for result in content["results"]},
        float(content["elapsed_time"]),
    )


def failure_sentence(results: Sequence[Mapping[str, Any]]) -> str:
    """Which nodes failed and why, in one sentence; empty where none did."""
    failed = [result for result in results if result["status"] in {"error", "fail", "runtime error"}]
    if not failed:
        return ""
    named = "; ".join(
        f"{result['unique_id'].split('.')[2]}: {' '.join((result['message'] or 'no message').split())[:300]}"
        for result in failed[:5]
    )
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    advice = " Set HEALTH_DUCKDB_MEMORY_LIMIT higher, or review fewer weeks at once." if _OUT_OF_MEMORY in named else ""
    return f"dbt stopped at {len(failed)} of {len(results)} nodes ({named}{more}).{advice}"


def _dbt() -> list[str]:
    return [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-use-colors"]


def _last_words(output: str) -> str:
    lines = [re.sub(r"^\d\d:\d\d:\d\d\s+", "", line).strip() for line in output.splitlines()]
    # lines that start with > are dbt's own call stack
    return " ".join([line for line in lines if line and not line.startswith(">")][-3:]) or "it said nothing"


def ensure_manifest() -> Path:
    """The project's `target/manifest.json`, made by `dbt parse` when it is missing or older than the project.

    Raises
    ------
    DbtError
        If the project does not parse.
    """
    sources = [
        path
        for path in DBT_PROJECT.rglob("*")
        if path.suffix in {".sql", ".yml"} and not {"target", "logs"} & set(path.relative_to(DBT_PROJECT).parts)
    ]
    newest = max(path.stat().st_mtime for path in sources)
    if MANIFEST.is_file() and MANIFEST.stat().st_mtime >= newest:
        return MANIFEST
    MANIFEST.parent.mkdir(parents=True, exist_ok=True)
    # dbt writes it piece by piece: made elsewhere, so that who is killed meanwhile or reads it sees none or all of it.
    with tempfile.TemporaryDirectory(dir=MANIFEST.parent, prefix=".parse-") as folder:
        environment = {
            **os.environ,
            "DBT_TARGET_PATH": folder,
            "DBT_LOG_PATH": str(DBT_PROJECT / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        process = subprocess.run(
            [*_dbt(), "parse"],
            cwd=DBT_PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        made = Path(folder) / MANIFEST.name
        if process.returncode != 0 or not made.is_file():
            raise DbtError(f"The dbt project does not parse: {_last_words(process.stdout + process.stderr)}")
        made.replace(MANIFEST)
    return MANIFEST


def _record_path(settings: Settings) -> Path:
    return settings.warehouse.parent / "build_record.json"


def record_build(
    settings: Settings, run_results: Path, tables: Mapping[str, pa.Table], weeks: Sequence[Week]
) -> BuildRecord:
    """Note which invocation built the tables and what they hold now, after their tests passed.

    Parameters
    ----------
    settings : where state lives
    run_results : dbt's `run_results.json` of the build
    tables : what dbt built, by name: the run's weeks of a weekly table, the whole of a snapshot
    weeks : the run's weeks
    """
    content = json.loads(run_results.read_text(encoding="utf-8"))
    record = BuildRecord(
        content["metadata"]["invocation_id"],
        content_hashes(tables),
        tuple(str(week) for week in weeks),
    )
    _record_path(settings).write_text(json.dumps(asdict(record), indent=2, sort_keys=True), encoding="utf-8")
    return record


def read_build_record(settings: Settings) -> BuildRecord:
    """The newest build's record.

    Raises
    ------
    FileNotFoundError
        If nothing was built yet.
    """
    path = _record_path(settings)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: build the feature mart before its candidate is audited.")
    content = json.loads(path.read_text(encoding="utf-8"))
    return BuildRecord(content["invocation_id"], content["table_hashes"], tuple(content["weeks"]))
