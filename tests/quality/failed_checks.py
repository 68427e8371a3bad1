"""A check that failed, as the audit tells it."""

from health_pipeline.quality.verdict import CheckResult

FAILED = CheckResult(
    suite="account_health_weekly",
    name="score_range",
    type="expect_column_values_to_be_between",
    severity="critical",
    reason="0 to 100",
    passed=False,
    evaluated=True,
    unexpected_count=1,
    row_ids=((("account_id", "a1"), ("week", "2026-10-26")),),
)
