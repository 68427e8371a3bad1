"""An explanation as a person at a terminal reads it: sentences and one table."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from health_pipeline.mart.evidence import LandedRecords
from health_pipeline.policy.wording import counted, percent, readable, role_words
from health_pipeline.reporting.explanation import (
    ExplainedChange,
    ExplainedGroup,
    ExplainedMeasure,
    ExplainedPlan,
    Explanation,
)
from health_pipeline.reporting.explanation_words import YES_NO, tier_word

_PART_WORDS = {
    "code": "changed code",
    "policy": "a changed policy",
    "scorecard": "another scorecard",
    "coverage": "measures that appeared or vanished",
    "data": "changed values",
}


def explanation_text(explained: Explanation) -> Iterator[RenderableType]:
    """The explanation in reading order: verdict, reasons, every measure, what is unknown, change, plan, records."""
    yield from _verdict(explained)
    yield ""
    yield _measures(explained)
    yield from _unknown(explained)
    if explained.change is not None:
        yield ""
        yield from _change(explained.change)
    if explained.plan is not None:
        yield ""
        yield from _plan(explained.plan)
    yield from _records(explained)


def _verdict(explained: Explanation) -> Iterator[str]:
    name = f" ({escape(explained.account_name)})" if explained.account_name else ""
    yield f"[bold]{explained.account_id}{name}, week of {explained.week}[/bold]"
    score = "no score" if explained.score is None else f"score {explained.score:.2f} of 100"
    tier = tier_word(explained.effective_tier).capitalize()
    yield f"[bold]{tier}[/bold], {score}, coverage {percent(explained.coverage)}"
    yield f"Why {tier_word(explained.tier)}: {explained.why}."
    since = counted(explained.weeks_in_tier, "week")
    before = f"; the week before: {tier_word(explained.previous_tier)}" if explained.previous_tier else ""
    waits = f"; {tier_word(explained.pending_tier)} needs one more week" if explained.pending_tier else ""
    yield f"In this tier for {since}{before}{waits}."
    if explained.override is not None:
        override = explained.override
        until = f" until {override.expires_at:%Y-%m-%d}" if override.expires_at else ""
        yield (
            f"Override: {tier_word(override.tier)}{until}, approved by {escape(str(override.approved_by))}, reason "
            f"{escape(str(override.reason))}; the tier by rule stays {tier_word(explained.tier)}."
        )
    if explained.family is not None:
        family = explained.family
        mean = "none" if family.score is None else f"{family.score:.2f}"
        yield (
            f"Family of {family.topmost_account_id}: {family.accounts} accounts, mean score {mean}, "
            f"lowest tier {tier_word(family.lowest_tier)}."
        )
    if explained.watermelon_reasons:
        yield f"Green outside, weak inside: {'; '.join(explained.watermelon_reasons.values())}."
    money = "ARR unknown" if explained.arr is None else f"ARR {explained.arr:,.2f} {explained.currency}"
    yield (
        f"Scorecard {explained.scorecard}, segment {escape(explained.segment)}, {money}, "
        f"owner {escape(explained.owner_email or 'nobody')}."
    )
    yield (
        f"Facts before {explained.as_of_at:%Y-%m-%d %H:%M} UTC, known by {explained.known_at:%Y-%m-%d %H:%M} UTC; "
        f"policy {explained.policy_version}, code {explained.code_version}."
    )


def _measures(explained: Explanation) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("measure", "value", "in words"):
        table.add_column(heading, overflow="fold")
    for heading in ("points of 100", "weight by policy", "weight", "contribution"):
        table.add_column(heading, justify="right")
    table.add_column("status")
    for group in explained.groups:
        table.add_row(*_group_cells(group), style="bold")
        for measure in group.measures:
            table.add_row(*_measure_cells(measure), style="dim" if measure.curve_value is None else None)
    total = "none" if explained.score is None else f"{explained.score:.2f}"
    table.add_row("score", "", "", "", "100.0 %", "100.0 %", total, "", style="bold")
    return table


def _group_cells(group: ExplainedGroup) -> tuple[str, ...]:
    value = "" if group.value is None else f"{group.value:.1f}"
    contribution = "" if group.contribution is None else f"{group.contribution:.2f}"
    return (group.group, "", "", value, _share(group.nominal_weight), _share(group.weight), contribution, "")


def _measure_cells(measure: ExplainedMeasure) -> tuple[str, ...]:
    value = raw_words(measure.raw_value, measure.unit)
    points = "" if measure.curve_value is None else f"{measure.curve_value:.1f}"
    contribution = "" if measure.contribution is None else f"{measure.contribution:.2f}"
    weights = (_share(measure.nominal_weight), _share(measure.weight))
    status = measure.status.replace("_", " ")
    return (f"  {readable(measure.measure)}", value, measure.words, points, *weights, contribution, status)


def raw_words(value: float | None, unit: str) -> str:
    """A raw value with its unit, as short as a table wants it."""
    if value is None:
        return "unknown"
    if unit == YES_NO:
        return "yes" if value else "no"
    return f"{value:g} {unit}".rstrip()


def _share(weight: float) -> str:
    return f"{100 * weight:.1f} %"


def _unknown(explained: Explanation) -> Iterator[str]:
    if not explained.unknown:
        yield "Nothing on the scorecard is missing or stale."
        return
    cost = sum(measure.coverage_cost for measure in explained.unknown)
    named = ", ".join(
        f"{readable(measure.measure)} ({measure.status}, {_share(measure.coverage_cost)})"
        for measure in explained.unknown
    )
    yield f"Missing or stale, and what it cost in coverage ({_share(cost)}): {named}."


def _change(change: ExplainedChange) -> Iterator[str]:
    if change.change is None:
        yield "Change since last week: there is no score in both weeks to compare."
        return
    yield f"Change since last week: {change.change:+.2f} (from {change.score_before:.2f}), of it"
    for part, points in change.parts.items():
        yield f"  {points:+8.2f}  {_PART_WORDS.get(part, part.replace('_', ' '))}"
    if change.main_driver is not None:
        yield f"  Moved most: {readable(change.main_driver)} ({change.main_driver_change:+.2f})."


def _plan(plan: ExplainedPlan) -> Iterator[str]:
    line = "within the owner's capacity" if plan.is_within_capacity else "below the owner's line"
    if plan.would_enter_at_plus_10_percent:
        line += ", and would enter with a tenth more hours"
    yield f"Plan: rank {plan.rank}, {plan.hours_needed:g} hours, {line}, to be decided by {plan.due_date}."
    yield f"  {escape(plan.proposed_action)}"
    yield f"  Approval: {role_words(plan.approval_role)}; review task {plan.task_id}. Drivers: {escape(plan.drivers)}."


def _records(explained: Explanation) -> Iterator[str]:
    lines = {
        f"  {readable(measure.measure)}: {'; '.join(_record_words(record) for record in measure.evidence)}": None
        for measure in explained.measures
        if measure.evidence
    }
    if lines:
        yield ""
        yield "Landed records behind the values, as known then (ids, newest first):"
        yield from (escape(line) for line in lines)


def _record_words(record: LandedRecords) -> str:
    window = "" if record.in_window is None else f", {record.in_window} in the window"
    ids = f": {', '.join(record.newest_ids)}" if record.newest_ids else ""
    return f"{counted(record.records, 'record')} of {record.table} ({record.source_system}){window}{ids}"
