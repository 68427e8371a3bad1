"""The tables of the weekly report about the plan and the segments: hours, the line, what enters at +10 %."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from health_pipeline.planning.capacity import owner_key
from health_pipeline.policy.playbooks import PERSONS_CHOICE
from health_pipeline.policy.wording import TIER_WORDS, counted, percent, role_words
from health_pipeline.reporting.charts import TIERS
from health_pipeline.reporting.figures import amount, signed
from health_pipeline.reporting.release_data import ReleaseData, Row
from health_pipeline.reporting.sections import NO_OWNER, owner_cell, playbook_cell, playbook_words
from health_pipeline.reporting.tables import Cell, Table, cut
from health_pipeline.reporting.verdict import revenue_of

OWNERS_DRAWN = 15
DESCRIPTION_SHOWN = 120  # characters


def _hours(hours: float | None) -> str:
    text = f"{hours or 0.0:,.1f}"
    return text.removesuffix(".0")


def plan_table(data: ReleaseData, currency: str) -> Table:
    """The plan by tier, segment and playbook, with what fits into the capacity."""
    cells = []
    # Groups that lost their last account stay in the mart for a week, so that changes sum; a reader needs none of them.
    shown = [row for row in data.plan if row["accounts"]]
    for row in sorted(shown, key=lambda r: (TIERS.index(r["effective_tier"]), r["segment"], r["playbook"])):
        needed = row["hours_needed"] or 0.0
        change = row["accounts_change"]
        arr_change = row["arr_reporting_change"]
        is_choice = row["playbook"] == PERSONS_CHOICE
        approval = ", ".join(role_words(role) for role in (row["approval_role"] or "").split(", "))
        cells.append(
            (
                Cell(TIER_WORDS[row["effective_tier"]], tier=row["effective_tier"]),
                Cell(row["segment"]),
                Cell(playbook_words(None if is_choice else row["playbook"]), f"approves: {approval}"),
                Cell(f"{row['accounts']:,}", "" if change is None else signed(change)),
                Cell(
                    amount(row["arr_reporting"]),
                    "" if arr_change is None else signed(float(arr_change)),
                ),
                Cell(f"{row['unowned_accounts']:,}"),
                Cell(
                    f"{_hours(row['hours_within_capacity'])} of {_hours(needed)} h",
                    share=(row["hours_within_capacity"] or 0.0) / needed if needed else None,
                ),
                Cell(
                    f"{row['accounts_below_line']:,}",
                    f"{row['accounts_entering_at_plus_10_percent']:,} enter at +10 %"
                    if row["accounts_entering_at_plus_10_percent"]
                    else "",
                ),
            )
        )
    columns = (
        ("Tier", False),
        ("Segment", False),
        ("Proposed playbook", False),
        ("Accounts", True),
        (f"Revenue, {currency}", True),
        ("Unowned", True),
        ("Fits into capacity", True),
        ("Below the line", True),
    )
    return cut(
        "Action plan by tier, segment and playbook",
        columns,
        cells,
        "action_plan_weekly",
        "by tier and segment",
        "No account needs a proposal this week.",
        fold_after=1,
    )


def capacity_sentence(data: ReleaseData) -> str:
    """The line in one sentence."""
    needed = sum(row["hours_needed"] or 0.0 for row in data.plan)
    if not needed:
        return "The plan asks for no hours this week."
    fits = sum(row["hours_within_capacity"] or 0.0 for row in data.plan)
    below = sum(row["accounts_below_line"] for row in data.plan)
    entering = sum(row["accounts_entering_at_plus_10_percent"] for row in data.plan)
    text = f"The proposals need {_hours(needed)} hours; {_hours(fits)} fit into the owners' capacity."
    if below:
        enters = "enters" if entering == 1 else "enter"
        text += f" {counted(below, 'account')} fall below the line, of which {entering:,} {enters} with a tenth more."
    else:
        text += " Nothing falls below the line."
    return text


def owners_of_plan(data: ReleaseData) -> list[Row]:
    """Rows of plan_capacity_weekly as shown: the accounts nobody owns first, then the longest queue."""
    return sorted(data.capacity, key=lambda row: (row["owner_email"] is not None, -row["hours_needed"], row["owner"]))


def owner_label(data: ReleaseData, row: Row) -> str:
    """The owner's name in the plan."""
    return data.owner_of(row["owner_email"]) if row["owner_email"] else NO_OWNER


def owners_table(data: ReleaseData, currency: str) -> Table:
    """Each owner's hours: needed, there, above the line, below it, and what a tenth more would reach."""
    rows = [
        (
            Cell(owner_label(data, row), tone="" if row["owner_email"] else "bad"),
            Cell(f"{row['accounts_planned']:,}", f"of {row['accounts_owned']:,}"),
            Cell(_hours(row["hours_needed"])),
            Cell(_hours(row["hours_available"])),
            Cell(
                _hours(row["hours_within_capacity"]), f"{_hours(row['hours_left'])} left" if row["hours_left"] else ""
            ),
            Cell(_hours(row["hours_below_line"])),
            Cell(f"{row['accounts_below_line']:,}"),
            Cell(
                amount(row["arr_reporting_below_line"]),
                f"and {row['accounts_below_line_without_arr']:,} unknown"
                if row["accounts_below_line_without_arr"] and row["arr_reporting_below_line"] is not None
                else "",
            ),
            Cell(
                f"{row['accounts_entering_at_plus_10_percent']:,}",
                f"{_hours(row['hours_entering_at_plus_10_percent'])} h"
                if row["accounts_entering_at_plus_10_percent"]
                else "",
            ),
        )
        for row in owners_of_plan(data)
    ]
    columns = (
        ("Owner", False),
        ("Accounts planned", True),
        ("Hours needed", True),
        ("Hours there are", True),
        ("Above the line", True),
        ("Hours below", True),
        ("Accounts below", True),
        (f"Revenue below, {currency}", True),
        ("Enter at +10 %", True),
    )
    order = "longest queue first"
    return cut("Hours by owner", columns, rows, "plan_capacity_weekly", order, "No owner.", fold_after=15)


def playbooks_table(data: ReleaseData, currency: str) -> Table:
    """Hours by playbook over all tiers and segments, most hours first."""
    groups: dict[str | None, list[Row]] = {}
    for row in data.plan_accounts:
        groups.setdefault(row["playbook"], []).append(row)
    cells = []
    for playbook, rows in sorted(groups.items(), key=lambda g: (-sum(r["hours_needed"] for r in g[1]), g[0] or "")):
        needed = sum(row["hours_needed"] for row in rows)
        fits = sum(row["hours_needed"] for row in rows if row["is_within_capacity"])
        below = [row for row in rows if not row["is_within_capacity"]]
        roles = sorted({role_words(row["approval_role"]) for row in rows})
        cells.append(
            (
                Cell(playbook_words(playbook), f"approves: {', '.join(roles)}"),
                Cell(f"{len(rows):,}"),
                Cell(amount(revenue_of(rows))),
                Cell(_hours(needed)),
                Cell(_hours(fits), share=fits / needed if needed else None),
                Cell(_hours(needed - fits)),
                Cell(f"{len(below):,}"),
                Cell(f"{sum(row['would_enter_at_plus_10_percent'] for row in below):,}"),
            )
        )
    columns = (
        ("Proposed playbook", False),
        ("Accounts", True),
        (f"Revenue, {currency}", True),
        ("Hours needed", True),
        ("Above the line", True),
        ("Hours below", True),
        ("Accounts below", True),
        ("Enter at +10 %", True),
    )
    return Table("Hours by playbook", columns, cells, "No account needs a proposal this week.")


def hours_matrix(data: ReleaseData) -> Table:
    """Hours needed, owner by playbook: what the planner lays against the hours there are."""
    playbooks = sorted({row["playbook"] or "" for row in data.plan_accounts}, key=lambda one: (not one, one))
    hours: dict[tuple[str, str], float] = {}
    for row in data.plan_accounts:
        key = (owner_key(row["owner_email"]), row["playbook"] or "")
        hours[key] = hours.get(key, 0.0) + row["hours_needed"]
    cells = [
        (
            Cell(owner_label(data, row), tone="" if row["owner_email"] else "bad"),
            *(Cell(_hours(value) if (value := hours.get((row["owner"], one), 0.0)) else "") for one in playbooks),
            Cell(_hours(row["hours_needed"])),
            Cell(_hours(row["hours_available"])),
        )
        for row in owners_of_plan(data)
    ]
    columns = (
        ("Owner", False),
        *((playbook_words(one or None), True) for one in playbooks),
        ("Needed", True),
        ("There are", True),
    )
    return cut("Hours needed by owner and playbook", columns, cells, "action_plan_accounts_weekly", "longest first", "")


def entering_table(data: ReleaseData, currency: str) -> Table:
    """The accounts below the line that a tenth more hours would reach, in plan order."""
    cells = [
        (
            Cell(data.name_of(row)),
            Cell(TIER_WORDS[row["effective_tier"]], tier=row["effective_tier"]),
            Cell(amount(row["arr_reporting"])),
            owner_cell(data, row["owner_email"]),
            playbook_cell(row["playbook"], row["approval_role"]),
            Cell(_hours(row["hours_needed"])),
        )
        for row in data.plan_accounts
        if row["would_enter_at_plus_10_percent"]
    ]
    columns = (
        ("Account", False),
        ("Tier", False),
        (f"Revenue, {currency}", True),
        ("Owner", False),
        ("Proposed playbook", False),
        ("Hours", True),
    )
    return cut(
        "What would enter with a tenth more hours",
        columns,
        cells,
        "action_plan_accounts_weekly",
        "in plan order",
        "A tenth more hours would reach no further account.",
        fold_after=8,
    )


def segments_table(data: ReleaseData, currency: str) -> Table:
    """Health by segment: accounts, revenue, mix of tiers."""
    described = _segment_descriptions(data.models, {row["segment_model_id"] for row in data.health})
    groups: dict[str, list[Row]] = {}
    for row in data.health:
        groups.setdefault(row["segment"] or "unsegmented", []).append(row)
    cells = []
    for segment in sorted(groups, key=lambda s: (s == "unsegmented", -float(revenue_of(groups[s]) or 0), s)):
        rows = groups[segment]
        tiers = Counter(row["effective_tier"] for row in rows)
        scores = [row["score"] for row in rows if row["score"] is not None]
        cells.append(
            (
                Cell(segment, described.get(segment, "")),
                Cell(f"{len(rows):,}"),
                Cell(amount(revenue_of(rows))),
                Cell(f"{sum(scores) / len(scores):.0f}" if scores else "none"),
                Cell(f"{tiers['at_risk']:,}", percent(tiers["at_risk"] / len(rows))),
                Cell(
                    ", ".join(f"{tiers[t]} {TIER_WORDS[t].lower()}" for t in TIERS if tiers[t]),
                    parts=tuple((tier, tiers[tier] / len(rows)) for tier in TIERS if tiers[tier]),
                ),
            )
        )
    columns = (
        ("Segment", False),
        ("Accounts", True),
        (f"Revenue, {currency}", True),
        ("Mean score", True),
        ("At risk", True),
        ("Tiers", False),
    )
    return cut(
        "Health by segment", columns, cells, "account_health_weekly", "largest revenue first", "No account this week."
    )


def _segment_descriptions(models: Sequence[Row], in_force: set[Any]) -> dict[str, str]:
    described: dict[str, str] = {}
    for model in models:
        if model["segment_model_id"] not in in_force:
            continue
        for entry in json.loads(model["segments"] or "[]"):
            name = entry.get("segment") or entry.get("name")
            if name:
                described[str(name)] = _first_clauses(str(entry.get("description") or ""))
    return described


def _first_clauses(text: str) -> str:
    """The leading clauses of a description that fit under a name; the registry has all of it."""
    kept = ""
    for clause in text.split("; "):
        longer = f"{kept}; {clause}" if kept else clause
        if len(longer) > DESCRIPTION_SHOWN:
            break
        kept = longer
    return kept
