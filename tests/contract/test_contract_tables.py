"""The contracts as data: complete, consistent, and the names others rely on."""

from __future__ import annotations

import pytest

from health_pipeline.contract import mart
from health_pipeline.contract.landing import LANDED_KINDS, SOURCE_KINDS, arrow_schema, landing_tables
from health_pipeline.contract.mart import empty_table, mart_tables

RELIED_ON = [
    "accounts",
    "account_links",
    "account_treatments",
    "unmatched_records",
    "account_features_weekly",
    "account_outcomes_weekly",
    "account_health_weekly",
    "account_health_current",
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
    "review_tasks",
    "risk_packets",
    "risk_evidence",
    "exception_queue_weekly",
    "segment_models",
    "segment_assignments_quarterly",
    "segment_performance_quarterly",
    "segment_stability_quarterly",
    "persona_alignment_quarterly",
    "segment_reconciliation_quarterly",
    "segment_figures_quarterly",
    "review_metrics_weekly",
    "measurement_events",
    "random_audit_findings",
    "source_freshness_weekly",
    "publication_log",
    "run_summary",
]


FEATURES = {
    "commercial": "account_tenure_days arr mrr_change_share_90d mrr_movement days_to_renewal renewal_stage "
    "has_open_renewal_opportunity is_cancellation_scheduled",
    "payment": "failed_payment_count_28d overdue_amount max_days_past_due late_payment_share_365d",
    "usage": "active_users_28d license_utilisation stickiness active_days_28d feature_breadth_28d usage_depth_28d "
    "usage_change_share_4w days_since_last_activity features_first_used_28d",
    "support": "tickets_opened_28d tickets_opened_91d open_backlog oldest_open_ticket_days unreplied_open_tickets "
    "first_reply_minutes_median_91d full_resolution_minutes_median_91d reopen_rate_91d urgent_high_share_91d csat_91d",
    "engagement": "days_since_last_two_way_touch meetings_91d engaged_contacts_91d has_active_champion "
    "has_exec_sponsor champion_left_180d owner_changes_365d",
    "sentiment": "nps_account_90d nps_answers_90d csm_sentiment csm_sentiment_age_days risk_phrase_count_91d "
    "text_sentiment_91d",
    "outcomes": "goals_on_track_share overdue_goals days_since_goal_validated milestones_overdue_share "
    "onboarding_complete",
    "risk": "open_risks max_open_risk_severity",
}


@pytest.mark.parametrize("domain", FEATURES)
def test_every_feature_of_a_domain_is_there_before_its_status_and_the_age_of_its_newest_fact(domain):
    names = list(mart_tables()["account_features_weekly"].column_names)
    status = names.index(f"{domain}_status")
    assert names[status + 1] == f"{domain}_newest_fact_age_days"
    before = max(
        (names.index(f"{other}_status") for other in FEATURES if names.index(f"{other}_status") < status), default=0
    )
    assert set(FEATURES[domain].split()) <= set(names[before:status])


def test_every_table_that_others_rely_on_is_there():
    assert sorted(mart_tables()) == sorted(RELIED_ON)


@pytest.mark.parametrize("name", RELIED_ON)
def test_each_table_has_grain_key_types_and_descriptions(name):
    table = mart_tables()[name]
    assert table.grain.startswith("One row per ")
    assert set(table.key) <= set(table.column_names)
    assert all(len(column.description) > 5 for column in table.columns)
    assert empty_table(name).num_rows == 0
    assert ("known_at" in table.column_names) == (table.partition == "week" or name == "account_health_current")


def test_no_prediction_or_forecast_column_is_published():
    names = [column for table in mart_tables().values() for column in table.column_names]
    assert not [name for name in names if "probab" in name or "forecast" in name or "predict" in name]


def test_every_kind_of_source_has_tables_with_keys_and_an_event_time_where_records_do_not_change():
    kinds = {kind for table in landing_tables().values() for kind in table.kinds}
    assert kinds == set(LANDED_KINDS) == {*SOURCE_KINDS, "review", "text"}
    for table in landing_tables().values():
        assert set(table.key) <= set(table.required)
        assert table.is_mutable or table.event_time is not None
        assert arrow_schema(table).names[: len(table.columns)] == list(table.column_names)


def test_closed_vocabularies_hold_what_the_contract_says():
    assert landing_tables()["billing_invoice"].column("status").vocabulary == (
        "draft",
        "open",
        "paid",
        "void",
        "uncollectible",
    )
    with pytest.raises(KeyError, match="has no column 'staus'"):
        landing_tables()["billing_invoice"].column("staus")


def test_a_slice_is_named_by_the_column_the_contract_says():
    tables = mart_tables()
    assert tables["account_health_weekly"].slice_column == "week"
    assert tables["segment_assignments_quarterly"].slice_column == "quarter"
    assert tables["accounts"].slice_column == ""
    labels = tables["account_outcomes_weekly"]
    assert (labels.slice_column, labels.storage_order) == ("known_week", ("known_week", "account_id", "week"))


@pytest.mark.parametrize(
    ("partition", "slice_column", "message"),
    [
        ("week", "known_on", r"scores has no key, slice or stored_by column \['known_on'\]"),
        ("none", "week", "scores has the slice_column week and no partition"),
    ],
)
def test_a_slice_column_that_can_not_be_is_refused(monkeypatch, partition, slice_column, message):
    entry = {
        "grain": "One row per account and week.",
        "partition": partition,
        "slice_column": slice_column,
        "key": ["account_id", "week"],
        "room": "mart",
        "columns": {"account_id": "text: The account", "week": "date: The week"},
    }
    monkeypatch.setattr(mart, "parse_yaml", lambda text: {"scores": entry})
    with pytest.raises(ValueError, match=message):
        mart_tables.__wrapped__()
