"""The tables of the weekly report about the plan, segments, sources and the release itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from health_pipeline.planning.wording import TIER_WORDS, counted, percent, role_words
from health_pipeline.policy.playbooks import PERSONS_CHOICE
from health_pipeline.reporting.charts import TIERS
from health_pipeline.reporting.figures import amount, clock, signed
from health_pipeline.reporting.release_data import ReleaseData, Row
from health_pipeline.reporting.sections import NO_OWNER, playbook_words
from health_pipeline.reporting.tables import Cell, Table, cut
from health_pipeline.reporting.verdict import SOURCE_WORDS, revenue_of

OWNERS_DRAWN = 15
DESCRIPTION_SHOWN = 120  # characters


class ReportedIncident(Protocol):
    """What the report shows of an incident."""

    @property
    def incident_id(self) -> str:
        """What `health-pipeline incidents` calls it."""

    @property
    def opened_at(self) -> datetime:
        """UTC."""

    @property
    def state(self) -> str:
        """`open` or `assigned`."""

    @property
    def owner_email(self) -> str:
        """Who looks at it."""

    @property
    def title(self) -> str:
        """One line."""


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


def owners_of_plan(data: ReleaseData) -> list[tuple[str, int, float, float, int]]:
    """(owner, accounts, hours within, hours below, entering at +10 %) of each owner, the longest queue first."""
    found: dict[str, list[Row]] = {}
    for row in data.plan_accounts:
        found.setdefault(row["owner_email"] or NO_OWNER, []).append(row)
    owners = []
    for owner, rows in found.items():
        within = sum(row["hours_needed"] for row in rows if row["is_within_capacity"])
        below = sum(row["hours_needed"] for row in rows if not row["is_within_capacity"])
        entering = sum(row["would_enter_at_plus_10_percent"] for row in rows)
        owners.append((owner, len(rows), within, below, entering))
    return sorted(owners, key=lambda o: (o[0] != NO_OWNER, -(o[2] + o[3]), o[0]))


def owners_table(data: ReleaseData) -> Table:
    """Hours by owner."""
    rows = [
        (
            Cell(owner, tone="bad" if owner == NO_OWNER else ""),
            Cell(f"{accounts:,}"),
            Cell(_hours(within + below)),
            Cell(_hours(within)),
            Cell(_hours(below)),
            Cell(f"{entering:,}"),
        )
        for owner, accounts, within, below, entering in owners_of_plan(data)
    ]
    columns = (
        ("Owner", False),
        ("Accounts", True),
        ("Hours needed", True),
        ("Hours that fit", True),
        ("Hours below the line", True),
        ("Accounts entering at +10 %", True),
    )
    return cut("Hours by owner", columns, rows, "action_plan_accounts_weekly", "longest queue first", "No owner.")


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


def freshness_table(data: ReleaseData) -> Table:
    """Each kind of source: connected, fresh, matched."""
    cells = []
    for row in sorted(data.freshness, key=lambda r: list(SOURCE_WORDS).index(r["source_kind"])):
        name = SOURCE_WORDS[row["source_kind"]]
        if not row["is_connected"]:
            state = Cell("not connected", "required" if row["is_required"] else "", tone="warn")
        elif row["is_stale"]:
            state = Cell(
                "stale", "required" if row["is_required"] else "", tone="bad" if row["is_required"] else "warn"
            )
        else:
            state = Cell("fresh", "required" if row["is_required"] else "", tone="good")
        known = row["source_accounts"] or 0
        cells.append(
            (
                Cell(name[0].upper() + name[1:]),
                state,
                Cell(clock(row["newest_load_at"])),
                Cell(clock(row["newest_fact_at"])),
                Cell(f"{row['records'] or 0:,}" if row["is_connected"] else "unknown"),
                Cell(
                    "unknown" if row["match_share"] is None else percent(row["match_share"]),
                    f"{row['matched_accounts'] or 0:,} of {known:,}" if known else "",
                    share=row["match_share"],
                ),
            )
        )
    columns = (
        ("Source", False),
        ("State", False),
        ("Newest load", False),
        ("Newest fact", False),
        ("Records", True),
        ("Matched to accounts", True),
    )
    return Table("Sources as known this week", columns, cells, "No source was known this week.")


def unmatched_sentence(data: ReleaseData, currency: str) -> str:
    """What belongs to no account, in one sentence."""
    if not data.unmatched:
        return "Every source record belongs to an account."
    stakes = [row["revenue_at_stake"] for row in data.unmatched if row["revenue_at_stake"]]
    records = counted(len(data.unmatched), "source account")
    verb = "belongs" if len(data.unmatched) == 1 else "belong"
    at_stake = f"{currency} {amount(sum(stakes, Decimal(0)))} of revenue hangs" if stakes else "no known revenue hangs"
    return f"{records} {verb} to no account; {at_stake} on that (unmatched_records)."


def incidents_table(incidents: Sequence[ReportedIncident]) -> Table:
    """Data incidents that are not closed."""
    cells = [
        (
            Cell(incident.title),
            Cell(incident.state.replace("_", " ")),
            Cell(incident.owner_email or NO_OWNER, tone="" if incident.owner_email else "bad"),
            Cell(clock(incident.opened_at)),
        )
        for incident in incidents
    ]
    columns = (("Incident", False), ("State", False), ("Owner", False), ("Opened", False))
    return Table("Open data incidents", columns, cells, "No data incident is open.")


def provenance(data: ReleaseData) -> list[tuple[str, str]]:
    """(what, value) that say which release this is and why it may be trusted."""
    manifest = data.manifest
    found = manifest.get("verdict") or {}
    checks = found.get("checks_evaluated") or []
    warnings = found.get("warnings") or []
    versions = manifest.get("versions") or {}

    def distinct(column: str) -> str:
        return ", ".join(sorted({row[column] for row in data.health if row[column]})) or "unknown"

    audit = (
        f"passed: {counted(len(checks), 'check')} evaluated, {counted(len(warnings), 'warning')}"
        if found
        else "no verdict is recorded"
    )
    facts = [
        ("Release", manifest.get("release") or "unknown"),
        ("Built on", manifest.get("base_release") or "nothing: the first release"),
        ("Kind", f"{manifest.get('kind') or 'unknown'}{_because(manifest.get('reason'))}"),
        ("Built", clock(_instant(manifest.get("built_at")))),
        ("Published", clock(_instant(manifest.get("published_at")))),
        ("Audit", audit),
        ("Verdict", found.get("verdict_id") or "unknown"),
        ("dbt invocation", found.get("dbt_invocation_id") or "none"),
        ("Content hash", manifest.get("content_hash") or "unknown"),
        ("Policy version", distinct("policy_version")),
        ("Scoring code", distinct("code_version")),
        *((f"Version of {name.replace('_', ' ')}", str(value)) for name, value in sorted(versions.items())),
    ]
    if warnings:
        facts.append(("Warnings", ", ".join(warnings)))
    return facts


def _because(reason: str | None) -> str:
    return f", because {reason}" if reason else ""


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
