"""`policy check` at the terminal: exit code, files, weights in both forms as the scorer spreads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from health_pipeline.cli import app
from health_pipeline.orchestration.policy_check import check_policy, weights_table
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import BUILT_IN
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.scoring.scorer import MEASURED, NOT_APPLICABLE, HealthScorer
from health_pipeline.settings import Settings


def test_good_documents_end_with_0_and_bad_ones_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_HOME", str(tmp_path / "home"))
    good = CliRunner().invoke(app, ["policy", "check"])
    assert good.exit_code == 0, good.output
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "capacity.yaml").write_text("hours_per_owner_week: 99\n", encoding="utf-8")
    (policy / "identity_overrides.yaml").write_text("overrides: [{}]\n", encoding="utf-8")
    monkeypatch.setenv("HEALTH_POLICY", str(policy))
    assert CliRunner().invoke(app, ["policy", "check"]).exit_code == 1
    checked = check_policy(Settings())
    assert not checked.is_usable and checked.overrides == "can't be used"
    places = [finding.place for finding in checked.findings]
    assert {"hours_per_owner_week", "unowned_hours_per_week", "tier_weights", "identity_overrides"} <= set(places)


@pytest.mark.parametrize("not_applicable", [(), ("usage",), ("usage", "risk")])
def test_shown_shares_are_the_weights_of_an_account_that_has_everything(not_applicable: tuple[str, ...]) -> None:
    score = load_health_score(None).model
    company = load_company(None).model.model_copy(update={"not_applicable_domains": not_applicable})
    table = weights_table(score, company)
    cells = [list(column.cells) for column in table.columns]
    scorer = HealthScorer(score, company.not_applicable_domains).fit()
    off = np.array([measure.domain in not_applicable for measure in scorer.measures_.values()])
    statuses = np.where(off, NOT_APPLICABLE, MEASURED)[None, :]
    for position, card in enumerate(scorer.scorecards_):
        on_card = scorer.measure_weights_[position] > 0
        values = np.where(on_card & ~off, 50.0, np.nan)[None, :]
        weights = scorer.weigh(values, statuses, np.array([position])).weights[0]
        for shown_card, measure, share in zip(cells[0], cells[2], cells[5], strict=True):
            if shown_card == card:
                place = list(scorer.measures_).index(str(measure))
                expected = "does not apply" if off[place] else f"{100 * weights[place]:.1f} %"
                assert share == expected, (card, measure)


def test_the_services_policy_is_right_with_its_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEALTH_POLICY", str(BUILT_IN / "professional_services"))
    checked = check_policy(Settings())
    assert checked.is_usable
    company = yaml.safe_load((BUILT_IN / "professional_services" / "company.yaml").read_text())
    assert "usage" in company["not_applicable_domains"]
