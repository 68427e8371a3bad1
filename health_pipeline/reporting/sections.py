"""The tables of the weekly report about accounts: who moved and why, who is at risk, weak inside, ready to grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from health_pipeline.policy.wording import (
    TIER_WORDS,
    WATERMELON_WORDS,
    counted,
    describe,
    percent,
    readable,
    role_words,
)
from health_pipeline.reporting.causes import Cause, drove, largest_part
from health_pipeline.reporting.figures import amount, listed, short_day, signed
from health_pipeline.reporting.release_data import MovedMeasure, ReleaseData, Row
from health_pipeline.reporting.tables import Cell, Table, cut

NO_OWNER = "no owner"
ROWS_AT_ONCE = 10
# Who approves what nobody else is named for; the report says it once.
USUAL_APPROVER = "customer_success_manager"
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
    return Cell(f"{row['score']:.0f}", change="new" if before is None else signed(row["score"] - before, 1))


def playbook_words(playbook: str | None) -> str:
    """A playbook's name in words; without one the choice is a person's."""
    return "A person chooses" if playbook is None else playbook.replace("_", " ").capitalize()


def playbook_cell(playbook: str | None, approval_role: str) -> Cell:
    """The playbook, and who approves it where that is not the account's own manager."""
    usual = approval_role == USUAL_APPROVER
    return Cell(playbook_words(playbook), "" if usual else f"approves: {role_words(approval_role)}")


def _account_cell(data: ReleaseData, row: Row) -> Cell:
    segment = row.get("segment") or ""
    return Cell(data.name_of(row), "" if segment == "unsegmented" else segment)


def owner_cell(data: ReleaseData, owner: str | None) -> Cell:
    """Who owns an account; that nobody does stands out."""
    return Cell(data.owner_of(owner)) if owner else Cell(NO_OWNER, tone="bad")


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
                owner_cell(data, row["owner_email"]),
                playbook_cell(plan["playbook"], plan["approval_role"]) if plan else Cell("none"),
                due_cell(plan["due_date"], data.week) if plan else Cell(""),
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
        ("Decide by", True),
        ("Measured", True),
    )
    return cut(
        caption, columns, cells, "action_plan_accounts_weekly", "largest revenue first", empty, fold_after=ROWS_AT_ONCE
    )


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
                owner_cell(data, row["owner_email"]),
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
        fold_after=ROWS_AT_ONCE,
    )


def watermelon_sentence(data: ReleaseData) -> str:
    """How many healthy accounts look weak inside, and of what."""
    reasons = Counter(
        reason.strip() for row in data.watermelons for reason in (row["reasons"] or "").split(",") if reason.strip()
    )
    if not reasons:
        return ""
    ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    words = [f"{WATERMELON_WORDS.get(reason, reason.replace('_', ' '))} ({count:,})" for reason, count in ordered]
    return f"{counted(len(data.watermelons), 'account')}: {listed(words)}."


def unowned_table(data: ReleaseData, currency: str) -> Table:
    """Planned accounts that nobody owns, in plan order."""
    rows = [row for row in data.plan_accounts if row["is_unowned"]]
    cells = [
        (
            _account_cell(data, row),
            Cell(TIER_WORDS[row["effective_tier"]], tier=row["effective_tier"]),
            Cell(amount(row["arr_reporting"])),
            Cell(row["drivers"] or ""),
            playbook_cell(row["playbook"], row["approval_role"]),
            due_cell(row["due_date"], data.week),
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
        fold_after=ROWS_AT_ONCE,
    )


def due_cell(due: date, week: date) -> Cell:
    """Until when a task should be decided; what is past stands out."""
    text = short_day(due) if due.year == week.year else f"{short_day(due)} {due.year}"
    return Cell(text, tone="bad" if due < week + timedelta(weeks=1) else "")


def movement_table(data: ReleaseData, currency: str, causes: Sequence[Cause] = ()) -> Table:
    """Tier movements with what explains each, downward first; a common cause is named by its tag."""
    rows = sorted(
        data.movements,
        key=lambda row: (_MOVEMENTS.index(row["movement"]), -_arr(row), row["account_id"]),
    )
    changes = {row["account_id"]: row for row in data.changes}
    tags = {account: cause.tag for cause in causes for account in cause.movements}
    cells = []
    for row in rows:
        before, after = row["tier_before"], row["tier_after"]
        change = changes.get(row["account_id"])
        cells.append(
            (
                Cell(data.name_of(row)),
                Cell(TIER_WORDS[before], tier=before) if before else Cell("new"),
                Cell(TIER_WORDS[after], tier=after) if after else Cell("left"),
                Cell(amount(row["arr_reporting"])),
                _score_change_cell(change),
                explanation(data, row, change, tags.get(row["account_id"])),
            )
        )
    columns = (
        ("Account", False),
        ("Before", False),
        ("Now", False),
        (f"Revenue, {currency}", True),
        ("Score", True),
        ("What explains it", False),
    )
    return cut(
        "Tier movements",
        columns,
        cells,
        "tier_movements_weekly",
        "downward first, then by revenue",
        "No tier changed this week.",
        fold_after=12,
    )


def _score_change_cell(change: Row | None) -> Cell:
    if change is None or change["score_after"] is None:
        return Cell("")
    moved = change["score_change"]
    return Cell(f"{change['score_after']:.0f}", change="new" if moved is None else signed(moved, 1))


_PART_WORDS = {
    "code": "another version of the scoring code",
    "policy": "changed policy documents",
    "scorecard": "judged by another scorecard",
    "coverage": "other measures could be measured than last week",
}


def explanation(data: ReleaseData, row: Row, change: Row | None, tag: str | None = None) -> Cell:
    """What explains one movement: a common cause first, then the rule, then the measure that moved the score most."""
    movement = row["movement"]
    if movement == "left":
        return Cell("no longer a live customer as known this week")
    if row["tier_reason"] in _REASON_WORDS:
        return Cell(_REASON_WORDS[row["tier_reason"]], _common(tag))
    if movement == "appeared":
        return Cell("first week as a live customer")
    if movement == "first_scored":
        return Cell("enough was measured to judge it")
    part = largest_part(change)
    moved = data.moved_measures.get(row["account_id"])
    if change is not None and moved is not None and drove(row, change) and part in ("data", "coverage", None):
        points = f"{signed(change['main_driver_change'], 1)} of {signed(change['score_change'], 1)} points"
        return Cell(_moved_words(moved), "; ".join(filter(None, (_common(tag), points))))
    if part in _PART_WORDS and drove_by(part, row, change):
        return Cell(_PART_WORDS[part], _common(tag))
    if row["tier_before"] == "expansion_ready" and row["tier_after"] == "healthy":
        return Cell("a condition of expansion-ready no longer holds", _common(tag))
    return Cell("last week's reading held for a second week: a tier follows two that agree", _common(tag))


def drove_by(part: str, row: Row, change: Row | None) -> bool:
    """Whether that part of the change went the way the tier went."""
    direction = {"up": 1, "down": -1}.get(row["movement"], 0)
    return change is not None and direction * (change.get(f"change_from_{part}") or 0.0) > 0


def _common(tag: str | None) -> str:
    return f"common cause: {tag}" if tag else ""


def _moved_words(moved: MovedMeasure) -> str:
    now = describe(moved.feature, moved.raw_after)
    if moved.raw_after is None:
        was = f", last week {describe(moved.feature, moved.raw_before)}" if moved.raw_before is not None else ""
        return f"{readable(moved.feature)} no longer known{was}"
    if moved.raw_before is None:
        return f"{now}, not known last week"
    before = describe(moved.feature, moved.raw_before)
    if before == now:
        return f"{now}, as last week; it weighs differently"
    return f"{now}; last week {before}"


def movement_summary(data: ReleaseData) -> str:
    """How far the scores moved as a whole, and how much of it is data, coverage, scorecard, policy or code."""
    if data.before is None:
        return ""
    changed = [row for row in data.changes if row["score_change"] is not None]
    if not changed:
        return ""
    words = {
        "data": "changed values",
        "coverage": "measures that appeared or vanished",
        "scorecard": "another scorecard",
        "policy": "changed policy documents",
        "code": "another version of the scoring code",
    }
    means = {part: sum(row.get(f"change_from_{part}") or 0.0 for row in changed) / len(changed) for part in words}
    parts = [f"{signed(mean, 2)} from {words[part]}" for part, mean in means.items() if round(abs(mean), 2) > 0]
    total = sum(row["score_change"] for row in changed) / len(changed)
    text = f"Over {counted(len(changed), 'account')} with a score in both weeks the score moved by {signed(total, 2)} "
    return f"{text}points on average{': ' + listed(parts) if parts else ''}."


def shared_drivers(data: ReleaseData) -> str:
    """The measures behind most movements, in one sentence; empty where there is none."""
    changes = {row["account_id"]: row for row in data.changes}
    drivers = Counter(
        readable(row["main_driver"]) for row in data.movements if drove(row, changes.get(row["account_id"]))
    )
    common = [f"{name} ({count})" for name, count in sorted(drivers.items(), key=lambda d: (-d[1], d[0]))[:3]]
    return f"The measures behind most movements: {listed(common)}." if common else ""
