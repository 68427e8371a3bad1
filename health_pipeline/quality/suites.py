"""The committed suites, `expectations/*.yaml`: which checks there are, how severe, why, and which must be evaluated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from health_pipeline.contract.mart import mart_tables
from health_pipeline.contract.yaml_text import parse_yaml
from health_pipeline.quality.verdict import RUN_KINDS, SEVERITIES, RunKind, Severity
from health_pipeline.settings import REPOSITORY

FOLDER = REPOSITORY / "expectations"
MANIFEST = "manifest.json"
ACROSS_TABLES = "across_tables"
SQL_TYPE = "sql_no_rows"
LEDGER_TYPE = "ledger_chain"
PACKET_TYPE = "packet_bodies"
DRIFT_TYPE = "population_drift"
ACROSS_TYPES = (SQL_TYPE, LEDGER_TYPE, PACKET_TYPE, DRIFT_TYPE)
# Stands for "as the mart contract says", so that a suite does not repeat it.
CONTRACT = "contract"


class SuiteError(ValueError):
    """A suite can't be used; the message says which file, which check, and what it must be."""


@dataclass(frozen=True)
class Check:
    """One declared check.

    Attributes
    ----------
    suite, name : str
        The table (or `across_tables`) and the name in it.
    type : str
        A Great Expectations type in snake case, or one of `ACROSS_TYPES`.
    arguments : mapping
        Arguments of the expectation; of `sql_no_rows` the query's name and its parameters.
    runs : tuple of str
        The runs that must pass it.
    """

    suite: str
    name: str
    type: str
    arguments: Mapping[str, Any]
    severity: Severity
    reason: str
    runs: tuple[RunKind, ...]

    @property
    def full_name(self) -> str:
        """`suite.name`."""
        return f"{self.suite}.{self.name}"

    @property
    def resolved_arguments(self) -> dict[str, Any]:
        """The arguments, with what the mart contract says in place of the word `contract`."""
        filled = dict(self.arguments)
        if filled.get("column_set") == CONTRACT:
            filled["column_set"] = list(mart_tables()[self.suite].column_names)
        if filled.get("column_list") == CONTRACT:
            filled["column_list"] = list(mart_tables()[self.suite].key)
        return filled


def load_checks(folder: Path = FOLDER) -> tuple[Check, ...]:
    """Read every suite, in order of file name.

    Raises
    ------
    SuiteError
        If a suite names no table of the contract, a table has no suite, or a check lacks a part or repeats a name.
    """
    checks: list[Check] = []
    suites = set()
    for path in sorted(folder.glob("*.yaml")):
        document = parse_yaml(path.read_text(encoding="utf-8"))
        suite = document.get("table")
        if suite != path.stem or (suite != ACROSS_TABLES and suite not in mart_tables()):
            raise SuiteError(f"{path} must say `table: {path.stem}`, and that must be a table of the mart contract.")
        suites.add(suite)
        runs = _runs(path, document.get("runs") or _runs_by_partition(suite))
        checks += [_check(path, suite, entry, runs) for entry in document["expectations"]]
    if without := sorted(mart_tables().keys() - suites):
        raise SuiteError(f"{folder} has no suite for {', '.join(without)}; write one with row count and column set.")
    names = [check.full_name for check in checks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SuiteError(f"{folder} names {', '.join(twice)} twice; each check has a name of its own.")
    return tuple(checks)


def _runs_by_partition(suite: str) -> list[str]:
    if suite == ACROSS_TABLES:
        return ["weekly"]
    table = mart_tables()[suite]
    return ["quarterly"] if table.partition == "quarter" or table.room == "segmentation" else ["weekly"]


def _runs(path: Path, given: Iterable[str]) -> tuple[RunKind, ...]:
    if unknown := [kind for kind in given if kind not in RUN_KINDS]:
        raise SuiteError(f"{path} names runs {', '.join(unknown)}; a run is weekly or quarterly.")
    return tuple(kind for kind in RUN_KINDS if kind in given)


def _check(path: Path, suite: str, entry: dict[str, Any], runs: tuple[RunKind, ...]) -> Check:
    name = entry.get("name")
    if missing := [part for part in ("name", "type", "severity", "reason") if not entry.get(part)]:
        raise SuiteError(f"{path}: check {name!r} has no {', '.join(missing)}.")
    if unknown := sorted(entry.keys() - {"name", "type", "arguments", "severity", "reason", "runs"}):
        raise SuiteError(f"{path}: check {name!r} has unknown parts {', '.join(unknown)}.")
    if entry["severity"] not in SEVERITIES:
        raise SuiteError(f"{path}: check {name!r} has severity {entry['severity']!r}; use {', '.join(SEVERITIES)}.")
    if (entry["type"] in ACROSS_TYPES) != (suite == ACROSS_TABLES):
        raise SuiteError(f"{path}: check {name!r} has type {entry['type']}; queries belong in {ACROSS_TABLES}.yaml.")
    own_runs = _runs(path, entry["runs"]) if "runs" in entry else runs
    arguments = entry.get("arguments") or {}
    severity = cast(Severity, entry["severity"])
    return Check(suite, entry["name"], entry["type"], arguments, severity, entry["reason"], own_runs)


def _definition(check: Check, folder: Path) -> str:
    parts: dict[str, Any] = {"type": check.type, "arguments": dict(check.arguments)}
    if check.type == SQL_TYPE:
        parts["query"] = query_path(check, folder).read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def query_path(check: Check, folder: Path = FOLDER) -> Path:
    """The file of a `sql_no_rows` check's query."""
    return folder / "sql" / f"{check.arguments['query']}.sql"


def manifest_of(checks: Iterable[Check], folder: Path = FOLDER) -> dict[str, dict[str, dict[str, str]]]:
    """What has to be evaluated, by run: each check's severity and the hash of its definition."""
    every = list(checks)
    return {
        kind: {
            check.full_name: {"severity": check.severity, "definition": _definition(check, folder)}
            for check in sorted(every, key=lambda one: one.full_name)
            if kind in check.runs
        }
        for kind in RUN_KINDS
    }


def write_manifest(folder: Path = FOLDER) -> Path:
    """Write `expectations/manifest.json` from the suites; commit it together with the change that made it differ."""
    path = folder / MANIFEST
    content = manifest_of(load_checks(folder), folder)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def required_checks(kinds: Iterable[RunKind], folder: Path = FOLDER) -> dict[str, Severity]:
    """Full name and severity of every check such a run must have had evaluated, by the committed manifest."""
    committed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return {name: entry["severity"] for kind in kinds for name, entry in committed[kind].items()}
