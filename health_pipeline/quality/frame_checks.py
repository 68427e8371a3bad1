"""Evaluates the suites of single tables with Great Expectations: one batch per table, imported when it is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from health_pipeline.contract.mart import mart_tables
from health_pipeline.quality.suites import Check
from health_pipeline.quality.verdict import MAX_ROW_IDS, CheckResult, RowId

if TYPE_CHECKING:
    import pandas as pd

FIRST_PIECE = 1000


def prepare() -> None:
    """Import Great Expectations: what takes longest of the first checks of a process."""
    # Nothing calls home; it must be set before the import.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401, PLC0415


def check_frames(
    checks: Sequence[Check], frames: Mapping[str, pd.DataFrame], retired: Mapping[str, Sequence[str]]
) -> list[CheckResult]:
    """Evaluate each table's checks on its frame.

    Parameters
    ----------
    checks : checks of single tables
    frames : one data frame per table, as read from the candidate's file
    retired : columns by table that the file has and the contract no longer names; they may be there

    Returns
    -------
    list of CheckResult
        One per check; not evaluated where Great Expectations raised or the frame is missing.
    """
    prepare()
    import great_expectations as gx  # noqa: PLC0415 - three seconds and more: only where it is used
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("candidate")
    results: list[CheckResult] = []
    for table in dict.fromkeys(check.suite for check in checks):
        own = [check for check in checks if check.suite == table]
        frame = frames.get(table)
        if frame is None:
            results += [_unevaluated(check, "the table is not in the candidate") for check in own]
            continue
        suite = gx.ExpectationSuite(name=table)
        named = {}
        for check in own:
            named[check.name] = check
            suite.add_expectation(_expectation(check, retired.get(table, ())))
        asset = source.add_dataframe_asset(table)
        batch = asset.add_batch_definition_whole_dataframe("slices").get_batch(batch_parameters={"dataframe": frame})
        outcome = batch.validate(suite, result_format={"result_format": "BASIC", "exclude_unexpected_values": True})
        found = {_name(result): result for result in outcome.results}
        # What was declared is asked for by name: an expectation that got lost on the way is not passed over.
        judged = [
            _result(check, found[name]) if name in found else _unevaluated(check, "lost by Great Expectations")
            for name, check in named.items()
        ]
        results += [
            replace(result, row_ids=_first_rows(asset, frame, named[result.name], retired.get(table, ())))
            if result.unexpected_count
            else result
            for result in judged
        ]
    return results


def _first_rows(asset: Any, frame: pd.DataFrame, check: Check, retired: Sequence[str]) -> tuple[RowId, ...]:
    """Ids of the first rows that break a check, from growing pieces of the frame.

    Great Expectations lists every such row or none, a millisecond each: fifty thousand of them took minutes.
    """
    key = mart_tables()[check.suite].key
    definition = asset.add_batch_definition_whole_dataframe(f"rows of {check.name}")
    rows: list[RowId] = []
    start, size = 0, FIRST_PIECE
    while start < len(frame) and len(rows) < MAX_ROW_IDS:
        piece = frame.iloc[start : start + size]
        outcome = definition.get_batch(batch_parameters={"dataframe": piece}).validate(
            _expectation(check, retired),
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": list(key),
                "exclude_unexpected_values": True,
                "return_unexpected_index_query": False,
            },
        )
        rows += _row_ids(outcome.result.get("unexpected_index_list") or [], key)
        start, size = start + size, size * 2
    return tuple(rows[:MAX_ROW_IDS])


def _expectation(check: Check, retired: Sequence[str]) -> Any:
    import great_expectations.expectations as kinds  # noqa: PLC0415 - see check_frames

    arguments = check.resolved_arguments
    if "column_set" in arguments:
        arguments["column_set"] = [*arguments["column_set"], *retired]
    kind = getattr(kinds, "".join(part.capitalize() for part in check.type.split("_")))
    return kind(**arguments, severity=check.severity, notes=check.reason, meta={"name": check.name})


def _name(result: Any) -> str:
    return str(result.expectation_config.meta["name"])


def _result(check: Check, result: Any) -> CheckResult:
    if error := _raised(result.exception_info):
        return _unevaluated(check, error)
    content = result.result
    return CheckResult(
        suite=check.suite,
        name=check.name,
        type=check.type,
        severity=check.severity,
        reason=check.reason,
        passed=bool(result.success),
        evaluated=True,
        observed=_observed(content),
        unexpected_count=int(content.get("unexpected_count") or 0),
    )


def _raised(info: Mapping[str, Any]) -> str:
    # Flat for an expectation that raised, nested by metric for a metric that did.
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if entry["raised_exception"]:
            # The message may quote values; its kind does not.
            return str(entry["exception_message"]).partition(":")[0].partition("(")[0][:80]
    return ""


def _observed(content: Mapping[str, Any]) -> str:
    if "mismatched" in (details := content.get("details") or {}):
        parts = [f"{kind}: {', '.join(names)}" for kind, names in sorted(details["mismatched"].items())]
        return "; ".join(parts)
    if isinstance(observed := content.get("observed_value"), int | float):
        return f"{observed:g}"
    if "unexpected_count" in content:
        return f"{content['unexpected_count']} of {content['element_count']} rows"
    return ""


def _row_ids(entries: Sequence[Mapping[str, Any]], key: Sequence[str]) -> tuple[RowId, ...]:
    """Key columns only: Great Expectations may put the judged column beside them."""
    rows: list[RowId] = []
    for entry in entries:
        columns = {name: values if isinstance(values, list) else [values] for name, values in entry.items()}
        count = max(len(values) for values in columns.values())
        for position in range(count):
            if len(rows) == MAX_ROW_IDS:
                return tuple(rows)
            rows.append(tuple((name, _text(columns[name][position])) for name in key if name in columns))
    return tuple(rows)


def _text(value: Any) -> str:
    return str(value.date()) if hasattr(value, "date") else str(value)


def _unevaluated(check: Check, error: str) -> CheckResult:
    return CheckResult(check.suite, check.name, check.type, check.severity, check.reason, False, False, error=error)
