"""The threshold budget counts what would have fired, week by week, and says what it can't tell."""

from __future__ import annotations

from datetime import timedelta

import pyarrow.csv
from signal_cases import MONDAY, features, policy, signal

from health_pipeline.orchestration.policy_budget import PolicyBudget, policy_budget_text, write_budget
from health_pipeline.risk.budget import changed_signals, signal_budgets

BEFORE = MONDAY - timedelta(weeks=1)
RULES = policy(
    signal("backlog", "open_backlog", ">=", 3),
    signal("fell", "usage_change_share_4w", "<=", -0.3, category="adoption"),
    signal("answers", "csat_91d", "<", 0.5, category="sentiment"),
)
WEEKS = {
    MONDAY: features({"open_backlog": 3}, {"open_backlog": 9}, {"open_backlog": 2}, {"open_backlog": None}),
    BEFORE: features({"open_backlog": 1, "csat_91d": 0.2}, {"open_backlog": 4, "csat_91d": 0.9}),
}


def test_accounts_are_counted_by_week():
    backlog, fell, answers = signal_budgets(WEEKS, RULES, ["usage"])
    assert backlog.accounts == {BEFORE: 1, MONDAY: 2}
    assert (backlog.newest, backlog.usual, backlog.most, backlog.unknown) == (2, 1.5, 2, 1)
    # what a week could not tell is not zero
    assert answers.accounts == {BEFORE: 1, MONDAY: None}
    assert (answers.newest, answers.usual) == (None, 1)
    assert (fell.known, fell.is_applicable, backlog.is_applicable) == ((), False, True)


def test_what_another_document_changes():
    stricter = RULES.signals[0].model_copy(update={"when": signal("x", "open_backlog", ">=", 5).when})
    other = policy(stricter, RULES.signals[1], signal("late", "max_days_past_due", ">=", 15))
    assert changed_signals(RULES, other) == {"backlog": "changed", "late": "new", "answers": "gone"}
    assert signal_budgets(WEEKS, other)[0].accounts == {BEFORE: 0, MONDAY: 1}


def test_every_week_is_written_and_the_text_says_what_is_not_known(tmp_path):
    budgets = signal_budgets(WEEKS, RULES, ["usage"])
    write_budget(budgets, tmp_path / "budget.csv")
    rows = pyarrow.csv.read_csv(tmp_path / "budget.csv").to_pylist()
    assert [(row["week"], row["accounts"]) for row in rows if row["signal"] == "backlog"] == [(BEFORE, 1), (MONDAY, 2)]
    text = list(policy_budget_text(PolicyBudget((BEFORE, MONDAY), tuple(budgets), None, {})))
    assert "2 published weeks from 2026-03-02 to 2026-03-09" in str(text[0])
    assert str(text[-1]).endswith("does not have what they read: fell.")
