"""One account's week explained from the published tables: who, tier and why, every measure, the change, the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.evidence import LandedRecords
from health_pipeline.policy.wording import WATERMELON_WORDS, describe
from health_pipeline.reporting.explanation_words import tier_sentence, unit_of

Row = Mapping[str, Any]
# What an explanation is made from: weekly tables of the week, and `accounts`.
WEEKLY_TABLES = (
    "account_health_weekly",
    "score_contributions_weekly",
    "score_changes_weekly",
    "watermelon_accounts_weekly",
    "action_plan_accounts_weekly",
)
CHANGE_PREFIX = "change_from_"


@dataclass(frozen=True)
class ExplainedMeasure:
    """One measure: what was read, what it is worth, how it weighed, and what stands behind it.

    Attributes
    ----------
    raw_value, unit, words : the feature's value, its unit, and both in words; None where it is not known
    curve_value : 0 to 100; None where the measure is left out
    nominal_weight, weight : share of the whole score by the policy, and really; 0 to 1
    contribution : points of the score; None where the account is not scored
    coverage_cost : what its absence took from the coverage, 0 to 1
    evidence : landed records known then; empty where they were not looked up
    """

    measure: str
    feature: str
    raw_value: float | None
    unit: str
    words: str
    curve_value: float | None
    nominal_weight: float
    weight: float
    contribution: float | None
    status: str
    coverage_cost: float
    evidence: tuple[LandedRecords, ...] = ()


@dataclass(frozen=True)
class ExplainedGroup:
    """A group of measures; its weights and its contribution are the sums of theirs, `value` is 0 to 100 inside it."""

    group: str
    value: float | None
    nominal_weight: float
    weight: float
    contribution: float | None
    measures: tuple[ExplainedMeasure, ...]


@dataclass(frozen=True)
class ExplainedChange:
    """The change since last week; `parts` sum to `change`. None where either week has no score."""

    score_before: float | None
    change: float | None
    parts: Mapping[str, float]
    main_driver: str | None
    main_driver_change: float | None


@dataclass(frozen=True)
class ExplainedOverride:
    """A person's word beside the rule's tier."""

    tier: str
    reason: str | None
    approved_by: str | None
    expires_at: datetime | None


@dataclass(frozen=True)
class ExplainedFamily:
    """The account's family as known then; the score is the family's mean, the tier the worst among them."""

    topmost_account_id: str
    accounts: int
    score: float | None
    lowest_tier: str | None


@dataclass(frozen=True)
class ExplainedPlan:
    """The account's row of the plan: a proposal, never an order."""

    rank: int
    proposed_action: str
    approval_role: str
    drivers: str
    owner_email: str | None
    due_date: date | None
    hours_needed: float
    is_within_capacity: bool
    would_enter_at_plus_10_percent: bool
    task_id: str


@dataclass(frozen=True)
class Explanation:
    """Everything the published mart says about one account in one week. Contributions sum to `score`."""

    account_id: str
    account_name: str | None
    week: date
    as_of_at: datetime
    known_at: datetime
    score: float | None
    coverage: float
    tier: str
    effective_tier: str
    tier_reason: str
    why: str
    previous_tier: str | None
    pending_tier: str | None
    weeks_in_tier: int
    scorecard: str
    lifecycle_stage: str | None
    segment: str
    arr: float | None
    currency: str | None
    owner_email: str | None
    policy_version: str
    code_version: str
    groups: tuple[ExplainedGroup, ...]
    change: ExplainedChange | None
    override: ExplainedOverride | None
    family: ExplainedFamily | None
    watermelon_reasons: Mapping[str, str]
    plan: ExplainedPlan | None

    @property
    def measures(self) -> tuple[ExplainedMeasure, ...]:
        """Every measure of every group, in the groups' order."""
        return tuple(measure for group in self.groups for measure in group.measures)

    @property
    def unknown(self) -> tuple[ExplainedMeasure, ...]:
        """The measures that are missing or stale, the costliest first."""
        gaps = [measure for measure in self.measures if measure.status in {"missing", "stale"}]
        return tuple(sorted(gaps, key=lambda measure: (-measure.coverage_cost, measure.measure)))


def explain_account(
    tables: Mapping[str, pa.Table],
    account_id: str,
    week: Week,
    evidence: Mapping[str, Sequence[LandedRecords]] | None = None,
) -> Explanation:
    """Explain one account's week. Pure: it reads the tables it is given, and nothing else.

    Parameters
    ----------
    tables : mapping of table name to Table
        The published tables of `WEEKLY_TABLES` (any weeks; only `week` is read), and `accounts` for the name.
    account_id : our id
    week : a published week
    evidence : landed records by feature, as `mart.evidence.landed_records` gives them; None leaves them out

    Raises
    ------
    LookupError
        If the account has no row in that week; the message says in which weeks of the tables it has one.

    Examples
    --------
    >>> from health_pipeline.contract.mart import mart_tables
    >>> sorted(name for name in WEEKLY_TABLES if name not in mart_tables())
    []
    """
    health = _one(tables, "account_health_weekly", account_id, week)
    if health is None:
        raise LookupError(_not_there(tables["account_health_weekly"], account_id, week))
    account = _account(tables.get("accounts"), account_id)
    melon = _one(tables, "watermelon_accounts_weekly", account_id, week)
    reasons = [reason for reason in ((melon or {}).get("reasons") or "").split(",") if reason]
    contributions = _rows(tables, "score_contributions_weekly", account_id, week)
    return Explanation(
        account_id=account_id,
        account_name=account.get("account_name"),
        week=week.monday,
        as_of_at=health["as_of_at"],
        known_at=health["known_at"],
        score=health["score"],
        coverage=health["coverage"],
        tier=health["tier"],
        effective_tier=health["effective_tier"],
        tier_reason=health["tier_reason"],
        why=tier_sentence(health),
        previous_tier=health["previous_tier"],
        pending_tier=health["pending_tier"],
        weeks_in_tier=health["weeks_in_tier"],
        scorecard=health["scorecard"],
        lifecycle_stage=health["lifecycle_stage"],
        segment=health["segment"],
        arr=None if health["arr"] is None else float(health["arr"]),
        currency=health["currency"],
        owner_email=health["owner_email"],
        policy_version=health["policy_version"],
        code_version=health["code_version"],
        groups=_groups(contributions, health["currency"], evidence or {}),
        change=_change(_one(tables, "score_changes_weekly", account_id, week)),
        override=_override(health),
        family=_family(health),
        watermelon_reasons={reason: WATERMELON_WORDS.get(reason, reason.replace("_", " ")) for reason in reasons},
        plan=_plan(_one(tables, "action_plan_accounts_weekly", account_id, week)),
    )


def _groups(
    rows: Sequence[Row], currency: str | None, evidence: Mapping[str, Sequence[LandedRecords]]
) -> tuple[ExplainedGroup, ...]:
    by_group: dict[str, list[ExplainedMeasure]] = {}
    for row in rows:
        by_group.setdefault(row["measure_group"], []).append(_measure(row, currency, evidence))
    groups = [_group(name, measures) for name, measures in by_group.items()]
    return tuple(sorted(groups, key=lambda group: (-group.nominal_weight, group.group)))


def _group(name: str, measures: Sequence[ExplainedMeasure]) -> ExplainedGroup:
    weight = sum(measure.weight for measure in measures)
    points = sum(measure.weight * (measure.curve_value or 0.0) for measure in measures)
    scored = [measure.contribution for measure in measures if measure.contribution is not None]
    return ExplainedGroup(
        group=name,
        value=points / weight if weight > 0 else None,
        nominal_weight=sum(measure.nominal_weight for measure in measures),
        weight=weight,
        contribution=sum(scored) if scored else None,
        measures=tuple(sorted(measures, key=lambda measure: (-measure.nominal_weight, measure.measure))),
    )


def _measure(row: Row, currency: str | None, evidence: Mapping[str, Sequence[LandedRecords]]) -> ExplainedMeasure:
    is_gap = row["status"] in {"missing", "stale"}
    return ExplainedMeasure(
        measure=row["measure"],
        feature=row["feature"],
        raw_value=row["raw_value"],
        unit=unit_of(row["feature"], currency),
        words=_words(row),
        curve_value=row["curve_value"],
        nominal_weight=row["nominal_weight"] or 0.0,
        weight=row["weight"] or 0.0,
        contribution=row["contribution"],
        status=row["status"],
        coverage_cost=(row["nominal_weight"] or 0.0) if is_gap else 0.0,
        evidence=tuple(evidence.get(row["feature"], ())),
    )


def _words(row: Row) -> str:
    if row["raw_value"] is None and row["curve_value"] is not None:
        return "null, and the policy says what that means"
    return describe(row["feature"], row["raw_value"])


def _change(row: Row | None) -> ExplainedChange | None:
    if row is None:
        return None
    parts = {
        name.removeprefix(CHANGE_PREFIX): value
        for name, value in row.items()
        if name.startswith(CHANGE_PREFIX) and value is not None
    }
    return ExplainedChange(
        row["score_before"], row["score_change"], parts, row["main_driver"], row["main_driver_change"]
    )


def _override(health: Row) -> ExplainedOverride | None:
    if health["override_tier"] is None:
        return None
    return ExplainedOverride(
        health["override_tier"],
        health["override_reason"],
        health["override_approved_by"],
        health["override_expires_at"],
    )


def _family(health: Row) -> ExplainedFamily | None:
    """The account's family; None where it stands alone, or the week is older than families."""
    if (health["family_accounts"] or 1) < 2:
        return None
    return ExplainedFamily(
        health["family_id"], health["family_accounts"], health["family_score"], health["family_lowest_tier"]
    )


def _plan(row: Row | None) -> ExplainedPlan | None:
    if row is None:
        return None
    return ExplainedPlan(
        rank=row["plan_rank"],
        proposed_action=row["proposed_action"],
        approval_role=row["approval_role"],
        drivers=row["drivers"],
        owner_email=row["owner_email"],
        due_date=row["due_date"],
        hours_needed=row["hours_needed"],
        is_within_capacity=row["is_within_capacity"],
        would_enter_at_plus_10_percent=row["would_enter_at_plus_10_percent"],
        task_id=row["task_id"],
    )


def _rows(tables: Mapping[str, pa.Table], name: str, account_id: str, week: Week) -> list[Row]:
    table = tables[name]
    of_week = pc.equal(table["week"], pa.scalar(week.monday, pa.date32()))
    rows: list[Row] = table.filter(pc.and_(of_week, pc.equal(table["account_id"], account_id))).to_pylist()
    return rows


def _one(tables: Mapping[str, pa.Table], name: str, account_id: str, week: Week) -> Row | None:
    rows = _rows(tables, name, account_id, week)
    return rows[0] if rows else None


def _account(accounts: pa.Table | None, account_id: str) -> Row:
    if accounts is None:
        return {}
    rows: list[Row] = accounts.filter(pc.equal(accounts["account_id"], account_id)).to_pylist()
    return rows[0] if rows else {}


def _not_there(health: pa.Table, account_id: str, week: Week) -> str:
    weeks = sorted(set(health.filter(pc.equal(health["account_id"], account_id))["week"].to_pylist()))
    if not weeks:
        return f"{account_id} has no published health in {week}: the week is not published, or it was no live customer."
    return f"{account_id} has no published health in {week}; it has some from {weeks[0]} to {weeks[-1]}: name one."
