"""The tiered action plan: proposals by account, the capacity line, sums by tier and segment, review tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.case_states import ENDED
from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.planning.capacity import capacity_rows
from health_pipeline.planning.drivers import NO_DRIVERS, Drivers, driver_words, drivers_of_week
from health_pipeline.planning.line import Candidate, draw_line
from health_pipeline.planning.rollup import Groups, plan_rows
from health_pipeline.planning.tasks import NOTICE, OWNER, WEAK_INSIDE, Signal, TaskBook
from health_pipeline.policy.capacity import CapacityPolicy
from health_pipeline.policy.documents import Document
from health_pipeline.policy.playbooks import Playbook, PlaybookPolicy
from health_pipeline.policy.wording import TIER_WORDS, WATERMELON_WORDS, counted, role_words

# 1 is first. A watermelon comes before watch: nobody else looks at an account that is green.
PRIORITIES = {
    "risk": 1,
    "at_risk": 2,
    "watermelon": 3,
    "watch": 4,
    "not_scored": 4,
    "healthy": 5,
    "expansion": 4,
}
# A risk's task is as urgent as its severity; one that is not assessed is neither the worst nor the best.
RISK_PRIORITIES: dict[str | None, int] = {"critical": 1, "high": 2, "medium": 3, None: 3, "low": 4}
# A notice or a watermelon has its task even where the policy has no playbook for it.
WITHOUT_PLAYBOOK_DUE_DAYS = 7
_HEALTH_COLUMNS = [
    "account_id",
    "week",
    "segment",
    "lifecycle_stage",
    "score",
    "coverage",
    "tier",
    "effective_tier",
    "tier_reason",
    "weeks_in_tier",
    "arr_reporting",
    "owner_email",
    "as_of_at",
    "known_at",
]


@dataclass(frozen=True)
class Plan:
    """What planning hands on, in the mart contract's schemas.

    Attributes
    ----------
    action_plan : action_plan_weekly of the weeks
    action_plan_accounts : action_plan_accounts_weekly of the weeks
    capacity : plan_capacity_weekly of the weeks
    review_tasks : the whole snapshot of review_tasks after the weeks
    """

    action_plan: pa.Table
    action_plan_accounts: pa.Table
    capacity: pa.Table
    review_tasks: pa.Table


@dataclass(frozen=True)
class _Account:
    """One account in one week, with what stands behind its tier."""

    row: Mapping[str, Any]
    drivers: str
    low_names: frozenset[str]
    is_watermelon: bool
    moved_from: str | None
    playbook: Playbook | None
    risk: Mapping[str, Any] | None


def plan_weeks(
    health: pa.Table,
    contributions: pa.Table,
    watermelons: pa.Table,
    movements: pa.Table,
    weeks: Sequence[Week],
    playbooks: Document[PlaybookPolicy],
    capacity: Document[CapacityPolicy],
    previous_plan: pa.Table,
    tasks: pa.Table,
    packets: pa.Table | None = None,
) -> Plan:
    """Plan the weeks in order. Proposals only: nothing here acts on a customer.

    Parameters
    ----------
    health, contributions, watermelons, movements : pyarrow.Table
        Rows of account_health_weekly, score_contributions_weekly, watermelon_accounts_weekly and
        tier_movements_weekly; weeks beside `weeks` are ignored.
    weeks : the run's weeks; taken in order
    playbooks, capacity : the policy documents
    previous_plan : pyarrow.Table
        action_plan_weekly of the week before the first one; empty where nothing is published.
    tasks : pyarrow.Table
        review_tasks of the base release; `closed` is a person's word and stays.
    packets : pyarrow.Table or None
        Rows of risk_packets of the weeks: an open risk's task takes the place of the account's tier task.

    Returns
    -------
    Plan
        The same inputs give the same content; a run split in two gives what one run gives.
    """
    book = TaskBook(tasks)
    accounts_rows: list[dict[str, Any]] = []
    groups_rows: list[dict[str, Any]] = []
    owners_rows: list[dict[str, Any]] = []
    ordered = sorted(set(weeks))
    before = Groups.of_plan(previous_plan, ordered[0].shift(-1).monday) if ordered else None
    for week in ordered:
        health_rows = _rows(health, week.monday).select(_HEALTH_COLUMNS).to_pylist()
        accounts = _accounts_of_week(
            health_rows,
            drivers_of_week(_rows(contributions, week.monday)),
            _rows(watermelons, week.monday),
            _rows(movements, week.monday),
            _open_risks(packets, week.monday),
            playbooks.model,
        )
        signals = _signals(week, accounts, playbooks.model)
        task_of_key = book.fold(week.monday, signals)
        planned = _planned_rows(week.monday, accounts, capacity.model, task_of_key)
        accounts_rows.extend(planned)
        owners_rows.extend(capacity_rows([account.row for account in accounts], planned, capacity))
        rows, before = plan_rows(week.monday, planned, before)
        groups_rows.extend(rows)
    contract = mart_tables()
    return Plan(
        pa.Table.from_pylist(groups_rows, schema=contract["action_plan_weekly"].arrow_schema),
        pa.Table.from_pylist(accounts_rows, schema=contract["action_plan_accounts_weekly"].arrow_schema),
        pa.Table.from_pylist(owners_rows, schema=contract["plan_capacity_weekly"].arrow_schema),
        book.table(),
    )


def _rows(table: pa.Table, monday: date) -> pa.Table:
    return table.filter(pc.equal(table["week"], pa.scalar(monday, pa.date32())))


def _open_risks(packets: pa.Table | None, monday: date) -> dict[str, Mapping[str, Any]]:
    """Each account's open risk: one at most. A quiet one waits for its closing, and holds no task."""
    if packets is None:
        return {}
    rows = _rows(packets, monday).to_pylist()
    return {
        row["account_id"]: row
        for row in rows
        if row["side"] == "risk" and row["state"] not in ENDED and not row["is_quiet"]
    }


def choose_playbook(
    row: Mapping[str, Any], low_names: frozenset[str], is_watermelon: bool, policy: PlaybookPolicy
) -> Playbook | None:
    """Return the first playbook whose conditions all hold; None for a tier without proposal."""
    for playbook in policy.playbooks:
        if (
            row["effective_tier"] in playbook.tiers
            and (not playbook.segments or row["segment"] in playbook.segments)
            and (not playbook.lifecycle_stages or row["lifecycle_stage"] in playbook.lifecycle_stages)
            and (not playbook.tier_reasons or row["tier_reason"] in playbook.tier_reasons)
            and (not playbook.when_low or not low_names.isdisjoint(playbook.when_low))
            and (not playbook.is_for_watermelons or is_watermelon)
        ):
            return playbook
    return None


def _accounts_of_week(
    health_rows: list[dict[str, Any]],
    drivers: Mapping[str, Drivers],
    watermelons: pa.Table,
    movements: pa.Table,
    risks: Mapping[str, Mapping[str, Any]],
    policy: PlaybookPolicy,
) -> list[_Account]:
    weak_inside = dict(zip(watermelons["account_id"].to_pylist(), watermelons["reasons"].to_pylist(), strict=True))
    moved = {
        row["account_id"]: row["tier_before"]
        for row in movements.select(["account_id", "movement", "tier_before"]).to_pylist()
        if row["movement"] in ("up", "down", "first_scored", "lost_score")
    }
    accounts = []
    for row in health_rows:
        account_id = row["account_id"]
        # Green by rule. An override hides it no more than a packet; only at risk is more urgent.
        is_watermelon = account_id in weak_inside and row["effective_tier"] != "at_risk"
        reasons = (weak_inside[account_id] or "").split(",") if is_watermelon else []
        words = tuple(
            WATERMELON_WORDS.get(reason.strip(), reason.strip().replace("_", " "))
            for reason in reasons
            if reason.strip()
        )
        found = drivers.get(account_id, NO_DRIVERS)
        tier_reason = row["tier_reason"] if row["effective_tier"] == row["tier"] else None
        accounts.append(
            _Account(
                row=row,
                drivers=driver_words(
                    row["effective_tier"],
                    tier_reason,
                    row["coverage"],
                    found,
                    words or _GENERIC[is_watermelon],
                ),
                low_names=found.low_names,
                is_watermelon=is_watermelon,
                moved_from=moved.get(account_id),
                playbook=choose_playbook(row, found.low_names, is_watermelon, policy),
                risk=risks.get(account_id),
            )
        )
    return accounts


_GENERIC: dict[bool, tuple[str, ...]] = {True: ("weak inside",), False: ()}


def _kind_and_subject(account: _Account) -> tuple[str, str]:
    """What an account's review task is about. A risk's task takes the place of its tier task."""
    tier = account.row["effective_tier"]
    if account.risk is not None:
        return "risk", f"risk/{account.risk['episode']}"
    if account.row["tier_reason"] == "decisive":
        return "risk", NOTICE
    if account.is_watermelon:
        return "watermelon", WEAK_INSIDE
    if tier == "expansion_ready":
        return "expansion", tier
    return "tier", tier


def _signals(week: Week, accounts: Sequence[_Account], policy: PlaybookPolicy) -> list[Signal]:
    end = week.as_of_at.date()
    # Where nobody owns anything, no source says who owns what: that is not 4,000 accounts that lost their
    # owner.
    owners_are_known = any(account.row["owner_email"] for account in accounts)
    signals = []
    for account in accounts:
        row = account.row
        kind, subject = _kind_and_subject(account)
        if account.risk is not None:
            signals.append(_risk_signal(account.risk, row, subject, end))
        elif account.playbook is not None or kind in ("risk", "watermelon"):
            due_days = account.playbook.due_days if account.playbook else WITHOUT_PLAYBOOK_DUE_DAYS
            signals.append(
                Signal(
                    row["account_id"],
                    kind,
                    subject,
                    row["owner_email"],
                    end + timedelta(days=due_days),
                    PRIORITIES[subject if kind == "tier" else kind],
                    _reason(account, kind),
                )
            )
        if not row["owner_email"] and owners_are_known:
            is_urgent = row["effective_tier"] == "at_risk"
            signals.append(
                Signal(
                    row["account_id"],
                    "ownerless",
                    OWNER,
                    None,
                    end + timedelta(days=policy.ownerless_due_days),
                    1 if is_urgent else 3,
                    f"No owner is on record; {TIER_WORDS[row['effective_tier']].lower()} this week",
                )
            )
    return signals


def _risk_signal(risk: Mapping[str, Any], row: Mapping[str, Any], subject: str, end: date) -> Signal:
    """The task of an open risk: as urgent as its severity, due when the escalation path asks for a response."""
    return Signal(
        row["account_id"],
        "risk",
        subject,
        risk["owner_email"] or row["owner_email"],
        risk["respond_by"] or end + timedelta(days=WITHOUT_PLAYBOOK_DUE_DAYS),
        RISK_PRIORITIES[risk["severity"]],
        risk["queue_reason"] or "A risk is open",
    )


def _reason(account: _Account, kind: str) -> str:
    row = account.row
    tier = row["effective_tier"]
    if kind == "watermelon":
        return f"{TIER_WORDS[row['tier']]} by score, weak inside: {account.drivers}"
    if tier != row["tier"]:
        since = f"by an override (by rule: {TIER_WORDS[row['tier']].lower()})"
    elif account.moved_from:
        since = f"since this week (before: {TIER_WORDS[account.moved_from].lower()})"
    elif (row["weeks_in_tier"] or 1) > 1:
        since = f"for {counted(row['weeks_in_tier'], 'week')}"
    else:
        since = "since this week"
    return f"{TIER_WORDS[tier]} {since}: {account.drivers}"


def proposed_action(playbook: Playbook) -> str:
    """Word a playbook as a proposal; one that is never pre-selected says so, and who chooses."""
    if playbook.is_preselected:
        return f"Proposal to review - {playbook.title}: {playbook.proposal}"
    what = "a save offer" if playbook.is_save_offer else "a sensitive message"
    return (
        f"No playbook is pre-selected: {playbook.title} would be {what}, so the choice and the approval are "
        f"with the {role_words(playbook.approval_role)}. {playbook.proposal}"
    )


def _planned_rows(
    monday: date,
    accounts: Sequence[_Account],
    capacity: CapacityPolicy,
    task_of_key: Mapping[tuple[str, str, str], Any],
) -> list[dict[str, Any]]:
    planned = {account.row["account_id"]: account for account in accounts if account.playbook is not None}
    places = draw_line(
        [
            Candidate(
                account_id,
                account.row["effective_tier"],
                account.row["score"],
                None if account.row["arr_reporting"] is None else float(account.row["arr_reporting"]),
                account.row["owner_email"] or None,
                account.playbook.hours if account.playbook else 0.0,
            )
            for account_id, account in planned.items()
        ],
        capacity,
    )
    rows = []
    for place in places:
        account = planned[place.account_id]
        playbook = account.playbook
        assert playbook is not None
        row = account.row
        task = task_of_key[(place.account_id, *_kind_and_subject(account))]
        rows.append(
            {
                "account_id": place.account_id,
                "week": monday,
                "plan_rank": place.rank,
                "effective_tier": row["effective_tier"],
                "tier": row["tier"],
                "segment": row["segment"] or "unsegmented",
                "score": row["score"],
                "drivers": account.drivers,
                "playbook": playbook.id if playbook.is_preselected else None,
                "proposed_action": proposed_action(playbook),
                "approval_role": playbook.approval_role,
                "owner_email": row["owner_email"] or None,
                "is_unowned": not row["owner_email"],
                "due_date": task.due_date,
                "hours_needed": playbook.hours,
                "is_within_capacity": place.is_within_capacity,
                "would_enter_at_plus_10_percent": place.would_enter_at_plus_10_percent,
                "arr_reporting": row["arr_reporting"],
                "task_id": task.task_id,
                "as_of_at": row["as_of_at"],
                "known_at": row["known_at"],
            }
        )
    return rows
