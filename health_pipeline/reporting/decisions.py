"""Who has to decide what: the open review tasks by the role that approves, the urgent ones one by one."""

from __future__ import annotations

from datetime import timedelta

from health_pipeline.policy.wording import TIER_WORDS, counted, role_words
from health_pipeline.reporting.figures import amount
from health_pipeline.reporting.open_tasks import URGENT, open_tasks
from health_pipeline.reporting.release_data import ReleaseData, Row
from health_pipeline.reporting.sections import due_cell, owner_cell
from health_pipeline.reporting.tables import Cell, Table, cut
from health_pipeline.reporting.verdict import revenue_of

_KIND_WORDS = {
    "risk": "what to do about a risk",
    "tier": "what to do about a tier",
    "watermelon": "whether a green account is healthy",
    "ownerless": "who owns an account",
    "expansion": "whether an expansion case is drafted",
}


def decisions_table(data: ReleaseData, currency: str) -> Table:
    """Open tasks by the role that decides and what about, the most urgent first."""
    as_of = data.week + timedelta(weeks=1)
    arr = {row["account_id"]: row for row in data.health}
    groups: dict[tuple[str, str], list[Row]] = {}
    for task in open_tasks(data):
        groups.setdefault((task["role"], task["kind"]), []).append(task)
    cells = []
    ordered = sorted(groups.items(), key=lambda g: (min(task["priority"] for task in g[1]), -len(g[1]), g[0]))
    for (role, kind), tasks in ordered:
        late = [task for task in tasks if task["due_date"] < as_of]
        accounts = [arr[name] for name in sorted({task["account_id"] for task in tasks}) if name in arr]
        cells.append(
            (
                Cell(role_words(role).capitalize()),
                Cell(_KIND_WORDS.get(kind, kind.replace("_", " "))),
                Cell(f"{len(tasks):,}"),
                Cell(f"{sum(task['priority'] <= URGENT for task in tasks):,}"),
                Cell(f"{len(late):,}", tone="warn" if late else ""),
                Cell(_oldest(min(task["opened_week"] for task in tasks), data)),
                Cell(amount(revenue_of(accounts))),
            )
        )
    columns = (
        ("Who decides", False),
        ("About", False),
        ("Open", True),
        ("First or second priority", True),
        ("Past due", True),
        ("Oldest", True),
        (f"Revenue, {currency}", True),
    )
    return Table("Open review tasks by who decides", columns, cells, "No review task is open.")


def _oldest(opened: object, data: ReleaseData) -> str:
    weeks = (data.week - opened).days // 7  # type: ignore[operator]
    return "this week" if weeks == 0 else counted(weeks, "week")


def urgent_table(data: ReleaseData, currency: str) -> Table:
    """The tasks of first priority: critical risks, notices not to renew, and accounts at risk that nobody owns."""
    rows = {row["account_id"]: row for row in data.health}

    def arr_of(task: Row) -> float:
        value = rows.get(task["account_id"], {}).get("arr_reporting")
        return -1.0 if value is None else float(value)

    urgent = [task for task in open_tasks(data) if task["priority"] == 1]
    cells = []
    for task in sorted(urgent, key=lambda one: (-arr_of(one), one["task_id"])):
        row = rows.get(task["account_id"])
        tier = row["effective_tier"] if row else None
        cells.append(
            (
                Cell(data.name_of(task)),
                Cell(TIER_WORDS[tier] if tier else "", tier=tier),
                Cell(amount(row["arr_reporting"] if row else None)),
                Cell(task["reason"] or ""),
                owner_cell(data, task["owner_email"]),
                Cell(role_words(task["role"])),
                due_cell(task["due_date"], data.week),
            )
        )
    columns = (
        ("Account", False),
        ("Tier", False),
        (f"Revenue, {currency}", True),
        ("Why it is there", False),
        ("Owner", False),
        ("Who decides", False),
        ("Due", True),
    )
    return cut(
        "Review tasks of first priority",
        columns,
        cells,
        "review_tasks",
        "largest revenue first",
        "No task of first priority is open: no critical risk, no notice not to renew, and every account at risk has "
        "an owner.",
        fold_after=8,
    )
