"""Every expectation of the committed suites as a Dagster asset check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg

from health_pipeline.quality.suites import load_checks
from health_pipeline.quality.verdict import CheckResult, RunKind

SEVERITY = {
    "critical": dg.AssetCheckSeverity.ERROR,
    "warning": dg.AssetCheckSeverity.WARN,
    "info": dg.AssetCheckSeverity.WARN,
}


def check_name(suite: str, name: str) -> str:
    """Name of a check in Dagster, which allows letters, digits and underscores."""
    return f"{suite}__{name}"


def check_specs(asset: str, kind: RunKind) -> list[dg.AssetCheckSpec]:
    """One spec per check of that kind of run. Critical ones block what comes after in the run.

    Without partitions: a verdict is on a run's candidate, and the UI calls a partitioned check of a run of several
    weeks skipped, whatever it found.
    """
    return [
        dg.AssetCheckSpec(
            check_name(check.suite, check.name),
            asset=asset,
            description=check.reason,
            blocking=check.severity == "critical",
            metadata={"severity": check.severity, "type": check.type},
        )
        for check in load_checks()
        if kind in check.runs
    ]


def check_results(
    asset: str, results: Iterable[CheckResult], specs: list[dg.AssetCheckSpec]
) -> Iterator[dg.AssetCheckResult]:
    """One result per spec: numbers and row ids, never a value. A check without a result has failed."""
    by_name = {check_name(result.suite, result.name): result for result in results}
    for spec in specs:
        result = by_name.get(spec.name)
        if result is None:
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=spec.name,
                passed=False,
                severity=dg.AssetCheckSeverity.ERROR,
                description="This check was not evaluated; run again with the committed suites.",
            )
            continue
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name=spec.name,
            passed=bool(result.passed and result.evaluated),
            severity=SEVERITY[result.severity] if result.evaluated else dg.AssetCheckSeverity.ERROR,
            description=result.error or result.observed or None,
            metadata=_found(result),
        )


def _found(result: CheckResult) -> dict[str, dg.MetadataValue]:
    found: dict[str, dg.MetadataValue] = {
        "severity": dg.MetadataValue.text(result.severity),
        "rows that break it": dg.MetadataValue.int(int(result.unexpected_count)),
    }
    if result.row_ids:
        columns = [dg.TableColumn(name) for name, _ in result.row_ids[0]]
        rows = [dg.TableRecord({name: str(value) for name, value in row}) for row in result.row_ids]
        found[f"first {len(rows)} row ids"] = dg.MetadataValue.table(rows, dg.TableSchema(columns=columns))
    return found
