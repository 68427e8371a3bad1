"""A small mart in contract columns for the tests of quality and publication: consistent over its tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.mart import MartTable, mart_tables

FIRST_WEEK = Week(date(2026, 10, 5))
QUARTER = Quarter(date(2026, 7, 1))
MEASURES = ("goals", "usage")
UNCHANGED = {
    **dict.fromkeys(("score_change", "main_driver_change"), 0.0),
    **{f"change_from_{part}": 0.0 for part in ("code", "policy", "scorecard", "coverage", "data")},
    "not_split_reason": None,
}
DEFAULTS: dict[str, Any] = {
    "text": "x",
    "integer": 1,
    "number": 0.5,
    "decimal": 10,
    "boolean": False,
    "date": date(2026, 10, 5),
    "timestamp": datetime(2026, 1, 1),
}


def weeks_from(first: int, count: int) -> list[Week]:
    """`count` weeks, the first one `first` weeks after the first published one."""
    return [FIRST_WEEK.shift(first + n) for n in range(count)]


def built_at(week: Week) -> datetime:
    """When a run for that week builds its candidate."""
    return week.known_at(6)


def _row(table: MartTable, **values: Any) -> dict[str, Any]:
    row = {column.name: DEFAULTS[column.type] for column in table.built_columns}
    return {**row, **values}


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    table = mart_tables()[name]
    return pa.Table.from_pylist([_row(table, **row) for row in rows], schema=table.arrow_schema)


def _constants(week: Week) -> dict[str, Any]:
    return {
        "week": week.monday,
        "as_of_at": week.as_of_at.replace(tzinfo=None),
        "known_at": week.known_at(6).replace(tzinfo=None),
    }


def build_tables(
    weeks: list[Week], accounts: int = 2, scores: dict[tuple[str, Week], float] | None = None, measures: int = 2
) -> dict[str, pa.Table]:
    """Every table a weekly run hands in, for those weeks.

    Parameters
    ----------
    scores : scores that differ from the usual 80, by account and week; below 50 the tier is at_risk
    """
    given = scores or {}
    names = [f"a{number:04d}" for number in range(accounts)]

    def score(account: str, week: Week) -> float:
        return given.get((account, week), 80.0)

    def tier(account: str, week: Week) -> str:
        return "at_risk" if score(account, week) < 50 else "healthy"

    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in WEEKLY_RUN}
    for week in weeks:
        constants = _constants(week)
        for account in names:
            own = {"account_id": account, **constants}
            rows["account_features_weekly"].append(
                {
                    **own,
                    "lifecycle_stage": "established",
                    "parent_account_id": None,
                    "renewal_stage": None,
                    "mrr_movement": "unchanged",
                    "csm_sentiment": 3.0,
                    **{f"{domain}_status": "measured" for domain in DOMAINS},
                }
            )
            rows["account_health_weekly"].append(
                {
                    **own,
                    "lifecycle_stage": "established",
                    "score": score(account, week),
                    "score_tier": tier(account, week),
                    "tier": tier(account, week),
                    "effective_tier": tier(account, week),
                    "tier_reason": "score",
                    "previous_tier": tier(account, week.shift(-1)) if week > FIRST_WEEK else None,
                    "pending_tier": None,
                    "family_id": account,
                    "family_accounts": 1,
                    "family_scored_accounts": 1,
                    "family_score": score(account, week),
                    "family_lowest_tier": tier(account, week),
                    **dict.fromkeys(
                        ("override_tier", "override_reason", "override_approved_by", "override_expires_at")
                    ),
                }
            )
            for number in range(measures):
                rows["score_contributions_weekly"].append(
                    {
                        **own,
                        "measure": f"measure_{number:02d}",
                        "curve_value": score(account, week),
                        "weight": 1 / measures,
                        "contribution": score(account, week) / measures,
                        "status": "measured",
                    }
                )
            rows["score_changes_weekly"].append({**own, **UNCHANGED})
            rows["support_load_weekly"].append(own)
            rows["risk_packets"].append({**own, **_packet(account, week)})
            rows["risk_evidence"].append({**own, **_evidence(account, week)})
            rows["exception_queue_weekly"].append({**own, **_queued(account)})
            rows["defect_theme_accounts_weekly"].append(own)
            if tier(account, week) == "at_risk":
                rows["action_plan_accounts_weekly"].append(
                    {
                        **own,
                        "effective_tier": "at_risk",
                        "tier": "at_risk",
                        "proposed_action": "A value review could be prepared, for approval before it is used.",
                        "task_id": f"task-{account}",
                    }
                )
        rows["source_freshness_weekly"].append(
            {**constants, "source_kind": "crm", "is_connected": True, "is_required": True, "match_share": 0.9}
        )
        rows["action_plan_weekly"].append({**constants, "effective_tier": "healthy"})
        rows["review_metrics_weekly"].append({**constants, "metric": "open_risks", "value": float(accounts)})
        rows["defect_themes_weekly"].append({**constants, "kind": "defect", "tickets_91d": accounts})
        planned = sum(tier(account, week) == "at_risk" for account in names)
        rows["plan_capacity_weekly"].append(
            {
                **constants,
                "hours_needed": 0.5 * planned,
                "hours_within_capacity": 0.0,
                "accounts_below_line": planned,
            }
        )
        rows["account_outcomes_weekly"] += [
            {
                **constants,
                "account_id": account,
                "week": week.shift(-13).monday,
                "known_week": week.monday,
                **dict.fromkeys(("has_churned_13w", "has_contracted_13w", "has_expanded_13w")),
            }
            for account in names
        ]
    for account in names:
        rows["accounts"].append({"account_id": account, "parent_account_id": None, "merged_into_account_id": None})
        rows["account_links"].append({"account_id": account, "source_account_id": account, "valid_to": None})
        rows["measurement_events"].append({"event_id": f"event-{account}", "event_type": "risk_detected"})
        rows["review_tasks"].append(
            {"task_id": f"task-{account}", "account_id": account, "kind": "tier", "state": "open"}
        )
    return {name: _table(name, content) for name, content in rows.items()}


def _packet(account: str, week: Week) -> dict[str, Any]:
    """A risk that opened in the first week and fires in each."""
    return {
        "packet_id": f"packet-{account}",
        "side": "risk",
        "opened_week": FIRST_WEEK.monday,
        "last_fired_week": week.monday,
        "occurrences": (week.monday - FIRST_WEEK.monday).days // 7 + 1,
        "category": "support",
        "runner_up_category": None,
        "signals": "unresolved_tickets",
        "signals_since": FIRST_WEEK.monday.isoformat(),
        "severity": "medium",
        "severity_status": "suggested",
        "suggested_severity": "medium",
        "risk_status": "unconfirmed",
        "outcome": None,
        "state": "detected",
        "supporting_evidence": 1,
        "contradicting_evidence": 0,
        "has_only_absence": False,
        "queue": "support_friction",
        "queue_rank": int(account[1:]) + 1,
    }


def _queued(account: str) -> dict[str, Any]:
    return {
        "subject": "risk",
        "queue": "support_friction",
        "queue_rank": int(account[1:]) + 1,
        "packet_id": f"packet-{account}",
        "severity": "medium",
        "watermelon_reasons": None,
        "inclusion_share": None,
    }


def _evidence(account: str, week: Week) -> dict[str, Any]:
    as_of_at = week.as_of_at.replace(tzinfo=None)
    return {
        "evidence_id": f"evidence-{account}-{week}",
        "packet_id": f"packet-{account}",
        "subject": "unresolved_tickets",
        "observed_at": as_of_at - timedelta(days=20),
        "available_at": as_of_at - timedelta(days=19),
        "age_days": 20,
        "direction": "supports",
        "kind": "measured",
        "strength": "medium",
    }


DOMAINS = ("commercial", "payment", "usage", "support", "engagement", "sentiment", "outcomes", "risk")
WEEKLY_RUN = (
    "account_features_weekly",
    "account_outcomes_weekly",
    "accounts",
    "account_links",
    "account_treatments",
    "unmatched_records",
    "source_freshness_weekly",
    "account_health_weekly",
    "score_contributions_weekly",
    "score_changes_weekly",
    "tier_movements_weekly",
    "watermelon_accounts_weekly",
    "action_plan_weekly",
    "action_plan_accounts_weekly",
    "plan_capacity_weekly",
    "defect_themes_weekly",
    "defect_theme_accounts_weekly",
    "support_load_weekly",
    "risk_packets",
    "risk_evidence",
    "exception_queue_weekly",
    "review_metrics_weekly",
    "measurement_events",
    "random_audit_findings",
    "review_tasks",
)


def build_quarter(quarter: Quarter = QUARTER, accounts: int = 2) -> dict[str, pa.Table]:
    """Every table a quarterly run hands in."""
    model = f"model-{quarter}"
    day = {"quarter": quarter.first_day}
    return {
        "segment_models": _table("segment_models", [{**day, "segment_model_id": model, "status": "candidate"}]),
        "segment_assignments_quarterly": _table(
            "segment_assignments_quarterly",
            [
                {**day, "account_id": f"a{number:04d}", "segment_model_id": model, "segment": "core"}
                for number in range(accounts)
            ],
        ),
        "segment_performance_quarterly": _table(
            "segment_performance_quarterly",
            [{**day, "segment_model_id": model, "segment": "core", "accounts": accounts, "accounts_share": 1.0}],
        ),
        "segment_stability_quarterly": _table(
            "segment_stability_quarterly",
            [{**day, "segment_model_id": model, "kind": "method", "segment": "core", "figure": "jaccard"}],
        ),
        "persona_alignment_quarterly": _table(
            "persona_alignment_quarterly", [{**day, "persona": "p", "claim": "arr > 1", "verdict": "supported"}]
        ),
        "segment_reconciliation_quarterly": _table(
            "segment_reconciliation_quarterly",
            [{**day, "team": "sales", "team_segment": "all", "segment": "core", "accounts": accounts}],
        ),
        "segment_figures_quarterly": _table(
            "segment_figures_quarterly",
            [{**day, "analysis": "cost", "subject": "s", "segment": "core", "figure": "spent", "p_value": 0.5}],
        ),
    }


def example_rows(name: str) -> pa.Table:
    """One row of a table that no run fills yet."""
    values = {"week": FIRST_WEEK.monday, "quarter": QUARTER.first_day}
    columns = {column.name for column in mart_tables()[name].built_columns}
    week = _constants(FIRST_WEEK)
    return _table(name, [{key: value for key, value in {**values, **week}.items() if key in columns}])


def naive(moment: datetime) -> datetime:
    """As the contract stores it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def midnight(day: date) -> datetime:
    """The start of a day, naive UTC."""
    return datetime.combine(day, time()) + timedelta()
