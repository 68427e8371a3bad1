"""The verdict on a candidate, as data: which checks were evaluated on which file, and what they found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Severity = Literal["critical", "warning", "info"]
RunKind = Literal["weekly", "quarterly"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
RUN_KINDS: tuple[RunKind, ...] = get_args(RunKind)

MAX_ROW_IDS = 20
# What publishing adds to the candidate's manifest; everything else is covered by the verdict.
ADDED_BY_PUBLISHING = ("verdict", "published_at")

RowId = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DbtRecord:
    """Which dbt invocation built the run's tables, and what they held.

    Attributes
    ----------
    invocation_id : str
        dbt's own id of the invocation; empty where the run needed no dbt.
    table_hashes : mapping of str to str
        `contract.content.content_hash` of each table's slice of the run's weeks (whole snapshots), read from
        the warehouse after dbt's tests passed.
    """

    invocation_id: str = ""
    table_hashes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckResult:
    """What one check found. Holds ids and counts, never a value of the data.

    Attributes
    ----------
    suite : str
        The table, or `across_tables`.
    name, type : str
        Name in the suite; the Great Expectations type or `sql_no_rows`.
    evaluated : bool
        False where the check could not be carried out; `error` says which exception.
    observed : str
        The count or share that was judged, in words.
    unexpected_count : int
        Rows that break the check.
    row_ids : tuple of ((column, value), ...)
        Key columns of the first of them, at most 20; where a check says it by row, what is wrong as `problem`.
    """

    suite: str
    name: str
    type: str
    severity: Severity
    reason: str
    passed: bool
    evaluated: bool
    observed: str = ""
    unexpected_count: int = 0
    row_ids: tuple[RowId, ...] = ()
    error: str = ""

    @property
    def check(self) -> str:
        """The check's full name, `suite.name`."""
        return f"{self.suite}.{self.name}"


def critical_failures(results: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """What holds a publication back: failed critical checks and every check that could not be carried out."""
    return tuple(
        result for result in results if not result.evaluated or (result.severity == "critical" and not result.passed)
    )


def milder_failures(results: Sequence[CheckResult], severity: Severity) -> tuple[CheckResult, ...]:
    """Failed checks of a severity that holds nothing back."""
    return tuple(result for result in results if result.evaluated and result.severity == severity and not result.passed)


@dataclass(frozen=True)
class Verdict:
    """What the audit says of one candidate file. The gate asks for it again."""

    verdict_id: str
    candidate_id: str
    file_sha256: str
    manifest_sha256: str
    base_release: str | None
    run_kinds: tuple[RunKind, ...]
    dbt_invocation_id: str
    dbt_table_hashes: tuple[tuple[str, str], ...]
    results: tuple[CheckResult, ...]

    @property
    def evaluated(self) -> frozenset[str]:
        """Full names of the checks that were really carried out."""
        return frozenset(result.check for result in self.results if result.evaluated)

    @property
    def critical_failures(self) -> tuple[CheckResult, ...]:
        """What holds the publication back: failed critical checks and every check that could not be carried out."""
        return critical_failures(self.results)

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """Failed checks of severity warning."""
        return milder_failures(self.results, "warning")

    @property
    def passed(self) -> bool:
        """No critical failure and no unevaluated check. Derived, so that it can't be set."""
        return bool(self.results) and not self.critical_failures

    def to_json(self) -> str:
        """JSON text that `from_json` reads back."""
        return json.dumps({**asdict(self), "passed": self.passed}, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Read `to_json`'s text."""
        content: dict[str, Any] = json.loads(text)
        content.pop("passed")
        results = tuple(
            CheckResult(**{**entry, "row_ids": tuple(_row_id(row) for row in entry["row_ids"])})
            for entry in content.pop("results")
        )
        hashes = tuple((name, value) for name, value in content.pop("dbt_table_hashes"))
        return cls(**{**content, "run_kinds": tuple(content["run_kinds"])}, dbt_table_hashes=hashes, results=results)


def _row_id(pairs: list[list[str]]) -> RowId:
    return tuple((column, value) for column, value in pairs)


def verdict_path(candidate_folder: Path) -> Path:
    """Where a candidate's verdict lies."""
    return candidate_folder / "verdict.json"


def manifest_sha256(manifest: Mapping[str, Any]) -> str:
    """Hash of what a candidate's manifest says, without what publishing adds to it."""
    kept = {key: value for key, value in manifest.items() if key not in ADDED_BY_PUBLISHING}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def run_kinds(weeks: Sequence[object], quarters: Sequence[object]) -> tuple[RunKind, ...]:
    """Which checks a run has to pass: the weekly ones where it has weeks, the quarterly ones where it has quarters."""
    kinds: list[RunKind] = ["weekly"] if weeks else []
    return (*kinds, "quarterly") if quarters else tuple(kinds)
