"""The contracts as data: complete, consistent, and the names others rely on."""

from __future__ import annotations

import pytest

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
