"""The tables of the weekly report about accounts: who moved and why, who is at risk, weak inside, ready to grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from health_pipeline.planning.wording import (
    TIER_WORDS,
    WATERMELON_WORDS,
    counted,
    describe,
    percent,
    readable,
    role_words,
)
from health_pipeline.reporting.figures import amount, listed, short_day, signed
from health_pipeline.reporting.release_data import ReleaseData, Row
from health_pipeline.reporting.tables import Cell, Table, cut

NO_OWNER = "no owner"
_MOVEMENTS = ("down", "lost_score", "left", "up", "first_scored", "appeared")
_REASON_WORDS = {
    "decisive": "a notice not to renew is on record",
    "coverage_floor": "too little was measured",
    "outcome_cap": "active, but outcomes are weak",
    "expansion": "the conditions of expansion-ready hold",
}


def _arr(row: Row) -> Decimal:
    return row["arr_reporting"] if row["arr_reporting"] is not None else Decimal(-1)


def by_revenue(rows: Sequence[Row]) -> list[Row]:
    """Largest revenue first; unknown revenue last, then by account_id."""
    return sorted(rows, key=lambda row: (-_arr(row), row["account_id"]))


def score_cell(data: ReleaseData, row: Row) -> Cell:
    """The score with its change since last week."""
    if row["score"] is None:
        return Cell("not scored")
    before = data.scores_before.get(row["account_id"])
    return Cell(f"{row['score']:.0f}", "" if before is None else signed(row["score"] - before, 1))


def playbook_words(playbook: str | None) -> str:
    """A playbook's name in words; without one the choice is a person's."""
    return "A person chooses" if playbook is None else playbook.replace("_", " ").capitalize()


def _account_cell(data: ReleaseData, row: Row) -> Cell:
    segment = row.get("segment") or ""
    return Cell(data.name_of(row), "" if segment == "unsegmented" else segment)


def _owner_cell(owner: str | None) -> Cell:
    return Cell(owner) if owner else Cell(NO_OWNER, tone="bad")


def _tier_accounts(data: ReleaseData, tier: str, caption: str, empty: str, currency: str) -> Table:
    planned = {row["account_id"]: row for row in data.plan_accounts}
    rows = by_revenue([row for row in data.health if row["effective_tier"] == tier])
    cells = []
    for row in rows:
        plan = planned.get(row["account_id"])
        overridden = row["effective_tier"] != row["tier"]
        drivers = plan["drivers"] if plan else ""
        cells.append(
            (
                _account_cell(data, row),
                Cell(amount(row["arr_reporting"])),
                score_cell(data, row),
                Cell(drivers, f"by override; by rule {TIER_WORDS[row['tier']].lower()}" if overridden else ""),
                _owner_cell(row["owner_email"]),
                Cell(playbook_words(plan["playbook"]), f"approves: {role_words(plan['approval_role'])}")
                if plan
                else Cell("none"),
                Cell("" if row["coverage"] is None else percent(row["coverage"]), share=row["coverage"]),
            )
        )
    columns = (
        ("Account", False),
        (f"Revenue, {currency}", True),
        ("Score", True),
        ("What stands behind it", False),
        ("Owner", False),
        ("Proposed playbook", False),
        ("Measured", True),
    )
    return cut(caption, columns, cells, "action_plan_accounts_weekly", "largest revenue first", empty)


def at_risk_table(data: ReleaseData, currency: str) -> Table:
    """Accounts at risk, largest revenue first."""
    return _tier_accounts(data, "at_risk", "Accounts at risk", "No account is at risk this week.", currency)


def expansion_table(data: ReleaseData, currency: str) -> Table:
    """Accounts ready to grow, largest revenue first."""
    return _tier_accounts(
        data, "expansion_ready", "Expansion-ready accounts", "No account is expansion-ready this week.", currency
    )


def watermelon_table(data: ReleaseData, currency: str) -> Table:
    """Accounts that are green outside and weak inside."""
    cells = []
    for row in by_revenue(data.watermelons):
        reasons = [reason.strip() for reason in (row["reasons"] or "").split(",") if reason.strip()]
        words = [WATERMELON_WORDS.get(reason, reason.replace("_", " ")) for reason in reasons]
        cells.append(
            (
                Cell(data.name_of(row)),
                Cell(amount(row["arr_reporting"])),
                score_cell(data, row),
                Cell("; ".join(words)),
                _owner_cell(row["owner_email"]),
            )
        )
    columns = (
        ("Account", False),
        (f"Revenue, {currency}", True),
        ("Score", True),
        ("Why it is weak inside", False),
        ("Owner", False),
    )
    return cut(
        "Healthy by score, weak inside",
        columns,
        cells,
        "watermelon_accounts_weekly",
        "largest revenue first",
        "No healthy account looks weak inside this week.",
    )


def unowned_table(data: ReleaseData, currency: str) -> Table:
    """Planned accounts that nobody owns, in plan order."""
    rows = [row for row in data.plan_accounts if row["is_unowned"]]
    end = data.week + timedelta(weeks=1)
    cells = [
        (
            _account_cell(data, row),
            Cell(TIER_WORDS[row["effective_tier"]], tier=row["effective_tier"]),
            Cell(amount(row["arr_reporting"])),
            Cell(row["drivers"] or ""),
            Cell(playbook_words(row["playbook"]), f"approves: {role_words(row['approval_role'])}"),
            Cell(_due(row["due_date"], data.week), tone="bad" if row["due_date"] < end else ""),
        )
        for row in rows
    ]
    columns = (
        ("Account", False),
        ("Tier", False),
        (f"Revenue, {currency}", True),
        ("What stands behind it", False),
        ("Proposed playbook", False),
        ("Decide by", True),
    )
    return cut(
        "Accounts in the plan that nobody owns",
        columns,
        cells,
        "action_plan_accounts_weekly",
        "in plan order",
        "Every account in the plan has an owner.",
    )


def _due(due: date, week: date) -> str:
    return short_day(due) if due.year == week.year else f"{short_day(due)} {due.year}"


def movement_table(data: ReleaseData, currency: str) -> Table:
    """Tier movements with what explains each, downward first."""
    rows = sorted(
        data.movements,
        key=lambda row: (_MOVEMENTS.index(row["movement"]), -_arr(row), row["account_id"]),
    )
    changes = {row["account_id"]: row for row in data.changes}
    cells = []
    for row in rows:
        before, after = row["tier_before"], row["tier_after"]
        cells.append(
            (
                Cell(data.name_of(row)),
                Cell(TIER_WORDS[before], tier=before) if before else Cell("new"),
                Cell(TIER_WORDS[after], tier=after) if after else Cell("left"),
                Cell(amount(row["arr_reporting"])),
                _explanation(data, row, changes.get(row["account_id"])),
            )
        )
    columns = (
        ("Account", False),
        ("Before", False),
        ("Now", False),
        (f"Revenue, {currency}", True),
        ("What explains it", False),
    )
    return cut(
        "Tier movements",
        columns,
        cells,
        "tier_movements_weekly",
        "downward first, then by revenue",
        "No tier changed this week.",
    )


def _drove(row: Row, change: Row | None) -> bool:
    """Whether the main driver moved the score the way the tier went; in a second week it may have gone back a bit."""
    if change is None or not row["main_driver"] or change["main_driver_change"] is None:
        return False
    direction = {"up": 1, "down": -1}.get(row["movement"], 0)
    return bool(direction * change["main_driver_change"] > 0)


def _explanation(data: ReleaseData, row: Row, change: Row | None) -> Cell:
    movement = row["movement"]
    if movement == "left":
        return Cell("no longer a live customer as known this week")
    if row["tier_reason"] in _REASON_WORDS:
        return Cell(_REASON_WORDS[row["tier_reason"]])
    if movement == "appeared":
        return Cell("first week as a live customer")
    if movement == "first_scored":
        return Cell("enough was measured to judge it")
    moved = data.moved_measures.get(row["account_id"])
    if change is not None and moved is not None and _drove(row, change):
        of_all = f" of {signed(change['score_change'], 1)}" if change["score_change"] is not None else ""
        return Cell(describe(*moved), f"{signed(change['main_driver_change'], 1)}{of_all} points")
    if row["tier_before"] == "expansion_ready" and row["tier_after"] == "healthy":
        return Cell("a condition of expansion-ready no longer holds")
    score = "" if change is None or change["score_change"] is None else f"score {signed(change['score_change'], 1)}"
    return Cell("two weeks in a row agree", score)


def movement_summary(data: ReleaseData) -> str:
    """What explains the movements as a whole: common drivers first, and how much is data, coverage or policy."""
    if data.before is None:
        return ""
    text = ""
    changes = {row["account_id"]: row for row in data.changes}
    drivers = Counter(
        readable(row["main_driver"]) for row in data.movements if _drove(row, changes.get(row["account_id"]))
    )
    if drivers:
        common = [f"{name} ({count})" for name, count in sorted(drivers.items(), key=lambda d: (-d[1], d[0]))[:3]]
        text = f"The measures behind most movements: {listed(common)}. "
    changed = [row for row in data.changes if row["score_change"] is not None]
    if not changed:
        return text

    def mean(column: str) -> str:
        return signed(sum(row[column] or 0.0 for row in changed) / len(changed), 2)

    return (
        f"{text}Over {counted(len(changed), 'account')} with a score in both weeks the score moved by "
        f"{mean('score_change')} points on average: {mean('change_from_data')} from changed values, "
        f"{mean('change_from_coverage')} from measures that appeared or vanished, "
        f"{mean('change_from_policy')} from a changed policy."
    )
