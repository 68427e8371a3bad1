"""The threshold budget counts what would have fired, week by week, and says what it can't tell."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pytest
import yaml
from signal_cases import MONDAY, features, policy, signal
from typer.testing import CliRunner

from health_pipeline.cli import app
from health_pipeline.orchestration.policy_budget import PolicyBudget, policy_budget_text, write_budget
from health_pipeline.policy.risk_signals import load_risk_signals
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


def test_the_command_counts_the_last_26_published_weeks_before_a_threshold_goes_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 28 published weeks; in the n-th before the newest n accounts have three open tickets, and one has two."""
    rows = []
    for back in range(28):
        week = MONDAY - timedelta(weeks=back)
        of_week = features({"open_backlog": 2}, *[{"open_backlog": 3}] * min(back, 7)).to_pylist()
        rows += [{**row, "week": week} for row in of_week]
    table = pa.Table.from_pylist(rows, schema=features().schema)
    release = tmp_path / "home" / "published" / "releases" / "r1"
    release.mkdir(parents=True)
    (release.parent.parent / "current").symlink_to(release)
    with duckdb.connect(str(release / "customer_health.duckdb")) as mart:
        mart.register("given", table)
        mart.execute("create table account_features_weekly as select * from given")
    folder = tmp_path / "other"
    folder.mkdir()
    document = yaml.safe_load(load_risk_signals(None).text)
    (backlog,) = [one for one in document["signals"] if one["id"] == "unresolved_tickets"]
    backlog["when"][0]["threshold"] = 2
    (folder / "risk_signals.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setenv("HEALTH_HOME", str(tmp_path / "home"))

    def counted(name: str, *given: str) -> dict[object, object]:
        path = tmp_path / name
        assert CliRunner().invoke(app, ["policy", "budget", *given, "--output", str(path)]).exit_code == 0
        found = pyarrow.csv.read_csv(path).to_pylist()
        return {row["week"]: row["accounts"] for row in found if row["signal"] == "unresolved_tickets"}

    weeks = [MONDAY - timedelta(weeks=back) for back in range(26)]
    assert counted("now.csv") == {week: min(back, 7) for back, week in enumerate(weeks)}
    assert counted("then.csv", str(folder)) == {week: min(back, 7) + 1 for back, week in enumerate(weeks)}
