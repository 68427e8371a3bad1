"""The validation page: says what was found and no more, reads everywhere, asks for nothing, names no account."""

from __future__ import annotations

import io
import json
import re

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml
from opened_page import CONTRAST, assert_structure, opened
from rich.console import Console
from simulated_company import simulate
from typer.testing import CliRunner

from health_pipeline import cli
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.validation import load_validation
from health_pipeline.reporting import assets
from health_pipeline.reporting.validation import validate
from health_pipeline.reporting.validation_tables import LIST_WORDS, list_table, segment_tables
from health_pipeline.reporting.validation_words import BY_CONSTRUCTION, validation_verdict, with_interval
from health_pipeline.scoring.validation.assessment import assess
from health_pipeline.scoring.validation.readings import join_readings
from health_pipeline.settings import Settings


def write(folder, features, outcomes):
    folder.mkdir(parents=True, exist_ok=True)
    features.to_parquet(folder / "features.parquet")
    outcomes.to_parquet(folder / "outcomes.parquet")
    return {"features": folder / "features.parquet", "outcomes": folder / "outcomes.parquet"}


@pytest.fixture(scope="module")
def tables():
    return simulate(accounts=240)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """Fewer resamples and one pull: what is shown is the same."""
    folder = tmp_path_factory.mktemp("policy")
    content = yaml.safe_load(load_validation(None).path.read_text(encoding="utf-8"))
    content |= {
        "resamples": 100,
        "challenger": {**content["challenger"], "pulls": [1], "minimum_fit_events": 8, "test_weeks": 13},
    }
    (folder / "validation.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def validated(tables, policy, tmp_path_factory):
    """A company's own features and outcomes, validated into a folder."""
    folder = tmp_path_factory.mktemp("validated")
    files = write(folder / "in", *tables)
    return validate(Settings(home=folder / "home", policy=policy), folder / "out", **files)


def test_the_verdict_says_what_the_figures_say(validated):
    figures = pd.read_csv(validated.figures)
    ratio = figures[(figures.outcome == "churned") & (figures.statistic == "ratio") & (figures.of == "at_risk")]
    ratio = ratio[ratio.kind == "all"].iloc[0]
    assert ratio["low"] > 1
    assert validated.verdict.headline == f"Accounts at risk left {ratio['value']:.1f} times as often as the others."
    statements = dict(validated.verdict.statements)
    assert "The rates fall from tier to tier, as they should." in statements["How often"]
    assert re.search(r"Of \d+ that left, \d+ were at risk at least 4 weeks before", statements["How early"])
    assert "Against last month's change of usage alone" not in statements["Against simple rules"]
    assert "readings whose 13 weeks have not passed" in statements["Not judged"]
    area = figures[(figures.statistic == "auc") & (figures.of == "score") & (figures.kind == "all")].iloc[0]
    assert validated.numbers["AUC of the score"] == pytest.approx(area["value"], abs=1e-4)
    assert validated.numbers["accounts that left"] == area["events"]


def test_the_files_are_there_and_name_no_account(validated, tables):
    folder = validated.page.parent
    newest = str(tables[0]["week"].max())
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "validation.html",
        f"validation-{newest}.html",
        f"validation-{newest}.csv",
        f"challenger-{newest}",
    }
    assert validated.challenger == folder / f"challenger-{newest}"
    accounts = set(tables[0]["account_id"])
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not [account for account in accounts if account in text], path.name
    columns = set(pd.read_csv(validated.figures).columns)
    assert "account_id" not in columns


def test_no_probability_of_an_account_is_in_the_contract_of_the_mart():
    words = re.compile("probab|predict|forecast|likelihood|churn_risk|propensity")
    found = {(name, c.name) for name, t in mart_tables().items() for c in t.columns if words.search(c.name)}
    # A packet's rating of its risk, 1 to 5, for a person to confirm: no probability, and of no account's leaving.
    assert found == {("risk_packets", "likelihood")}


def test_only_the_page_is_requested_and_it_says_where_it_comes_from(browser, validated):
    page, requests, errors = opened(browser, validated.page)
    page.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    assert requests == [validated.page.as_uri()]
    assert errors == []
    assert page.title() == "Demo Software Company: does the health score mean anything?"
    assert page.locator("script, img, iframe, object, embed, link").count() == 0
    assert "features.parquet and outcomes.parquet, scored with the policy in force" in page.locator("main").inner_text()
    assert "No published scores were given" in page.locator("#method").inner_text()
    assert "by construction" not in page.content().lower()


def test_the_verdict_is_the_first_thing_seen(browser, validated):
    page, _, _ = opened(browser, validated.page, viewport={"width": 1280, "height": 720})
    box = page.locator(".verdict").bounding_box()
    assert box["y"] + box["height"] < 300
    assert page.locator(".verdict").inner_text() == validated.verdict.headline


def test_headings_tables_and_charts_are_named(browser, validated):
    page, _, _ = opened(browser, validated.page)
    assert_structure(page, figures=3)
    # Each chart's numbers stand beside it in a table.
    assert page.locator(".pair:has(figure):has(table)").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(browser, validated, scheme):
    page, _, _ = opened(browser, validated.page, color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    assert page.evaluate(CONTRAST) == []


def test_a_phone_needs_no_sideways_scrolling(browser, validated):
    page, _, _ = opened(browser, validated.page, viewport={"width": 360, "height": 740})
    page.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = page.locator("figure .narrow svg text").evaluate_all(
        "all => all.filter(t => t.getBoundingClientRect().height).map(t => t.getBoundingClientRect().height)"
    )
    assert min(sizes) > 9


def test_no_table_is_cut_beside_its_chart(browser, validated):
    page, _, _ = opened(browser, validated.page, viewport={"width": 1280, "height": 900})
    cut = page.locator(".pair .scroll").evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth + 1).length")
    assert cut == 0


def test_on_the_demo_every_part_says_that_it_holds_by_construction(browser, policy, tables, tmp_path, monkeypatch):
    import health_pipeline.reporting.validation as module

    inputs = module.file_inputs(
        *write(tmp_path / "in", *tables).values(), module.load_health_score(None), module.load_company(None)
    )
    monkeypatch.setattr(module, "published_inputs", lambda settings: inputs)
    home = tmp_path / "home"
    home.mkdir()
    (home / "sources.yaml").write_text(json.dumps({"demo": {"seed": 7, "accounts": 400}}))
    report = validate(Settings(home=home, policy=policy))
    assert report.page == home / "reports" / "validation.html"
    page, _, _ = opened(browser, report.page)
    assert BY_CONSTRUCTION in page.locator("#verdict-heading").inner_text()
    captions = page.locator("figcaption").all_inner_texts()
    assert len(captions) == 3
    assert all("holds by construction" in caption for caption in captions)
    for section in ("ranking", "parts", "outcomes", "learnt", "provenance"):
        assert BY_CONSTRUCTION in page.locator(f"#{section}").inner_text(), section
    assert BY_CONSTRUCTION in (report.challenger / "README.md").read_text()


def test_few_sources_and_no_known_outcome_are_said(policy, tmp_path, browser):
    """As with Online Retail: usage alone, no subscriptions, so no label is known and hardly anything is scored."""
    features, outcomes = simulate(accounts=30)
    few = features[["account_id", "week", "usage_change_share_4w", "active_days_28d"]]
    unknown = outcomes.assign(has_churned_13w=pd.array([pd.NA] * len(outcomes), dtype="boolean"))
    report = validate(
        Settings(home=tmp_path / "home", policy=policy), tmp_path / "out", **write(tmp_path, few, unknown)
    )
    assert report.verdict.headline == "Nothing can be said yet: of no reading the outcome is known."
    assert "labels need subscriptions" in dict(report.verdict.statements)["Not judged"]
    assert report.challenger is None
    assert report.numbers == {"accounts that left": 0.0, "readings with a known outcome": 0.0}
    page, requests, errors = opened(browser, report.page)
    assert (len(requests), errors) == (1, [])
    assert "No challenger: 0 accounts" in page.locator("#learnt").inner_text()
    assert page.locator("figure").count() == 0


def test_usage_alone_with_labels_of_its_own_judges_the_rule_and_says_nobody_is_scored(policy, tmp_path):
    features, outcomes = simulate(accounts=30)
    few = features[["account_id", "week", "usage_change_share_4w", "active_days_28d"]]
    report = validate(
        Settings(home=tmp_path / "home", policy=policy), tmp_path / "out", **write(tmp_path, few, outcomes)
    )
    assert report.verdict.headline == "No score to judge: too little is measured to score anybody."
    figures = pd.read_csv(report.figures)
    own = figures[(figures.statistic == "auc") & (figures.of == "usage_change") & (figures.kind == "all")].iloc[0]
    assert own["note"] == "no reading to judge"


def test_too_few_leavers_give_the_number_instead_of_a_figure(policy, tmp_path):
    features, outcomes = simulate(accounts=25)
    report = validate(
        Settings(home=tmp_path / "home", policy=policy), tmp_path / "out", **write(tmp_path, features, outcomes)
    )
    assert re.fullmatch(r"Too few customers have left to judge the score: \d+\.", report.verdict.headline)
    assert "AUC" not in str(report.verdict.statements)
    assert "not enough events" in report.figures.read_text()


def run(monkeypatch, home, policy, *arguments):
    written = io.StringIO()
    monkeypatch.setattr(cli.reviews, "out", Console(file=written, width=200, soft_wrap=True))
    environment = {"HEALTH_HOME": str(home), "HEALTH_POLICY": str(policy)}
    result = CliRunner().invoke(cli.app, ["validate", *map(str, arguments)], env=environment)
    return result.exit_code, written.getvalue()


def test_one_file_without_the_other_and_nothing_published_are_told(monkeypatch, policy, tmp_path):
    code, text = run(monkeypatch, tmp_path, policy, "--features", "x.parquet")
    assert code == 1
    assert "--features and --outcomes belong together" in text
    code, text = run(monkeypatch, tmp_path, policy)
    assert code == 1
    assert "Nothing is published under" in text


def test_the_command_prints_the_verdict_and_where_it_is(monkeypatch, policy, tmp_path):
    files = write(tmp_path, *simulate(accounts=25))
    arguments = ["--features", files["features"], "--outcomes", files["outcomes"], "--output", tmp_path / "out"]
    code, text = run(monkeypatch, tmp_path / "home", policy, *arguments)
    assert code == 0, text
    assert "Too few customers have left to judge the score" in text
    assert str(tmp_path / "out" / "validation.html") in text


def test_the_asset_shows_the_verdict_and_plots_its_numbers(monkeypatch, validated, tmp_path):
    monkeypatch.setattr("health_pipeline.reporting.validation.validate", lambda settings: validated)
    (asset,) = assets.build_validation_assets()
    result = dg.materialize([asset], resources={"settings": Settings(home=tmp_path / "home")})
    assert result.success
    (event,) = result.asset_materializations_for_node("score_validation")
    assert event.metadata["in one sentence"].value == validated.verdict.headline
    plotted = {name: value.value for name, value in event.metadata.items() if isinstance(value.value, float)}
    assert plotted == validated.numbers
    text = json.dumps({name: str(value.value) for name, value in event.metadata.items()})
    assert "acc-" not in text


def figure(**values):
    return pd.Series({"note": "", "value": 0.5, "low": 0.4, "high": 0.6, **values})


def test_figures_are_written_with_their_interval_or_the_reason():
    assert with_interval(figure(), "share") == "50\N{NO-BREAK SPACE}% (40 to 60)"
    assert with_interval(figure(), "number") == "0.50 (0.40 to 0.60)"
    assert with_interval(figure(value=2.0, low=1.5, high=3.1), "times") == "2.0 times (1.5 to 3.1)"
    assert with_interval(figure(low=-0.1), "difference") == "+0.50 (-0.10 to +0.60)"
    assert with_interval(figure(note="not enough events")) == "not enough events"


@pytest.fixture(scope="module")
def by_chance():
    """A score of pure chance, in two segments of which one is small."""
    features, outcomes = simulate(accounts=300, seed=9)
    random = np.random.default_rng(2)
    tiers = random.choice(["at_risk", "watch", "healthy", "expansion_ready"], len(features))
    health = features[["account_id", "week"]].assign(score=random.uniform(0, 100, len(features)), tier=tiers)
    few = features["account_id"].isin(sorted(features["account_id"].unique())[:10])
    health["segment"] = few.map({True: "few", False: "many"})
    rules = load_validation(None).model.model_copy(update={"resamples": 200})
    return assess(join_readings(health, outcomes, features), rules)


def test_it_is_said_plainly_where_the_score_beats_nothing(by_chance):
    """No tier means more, no rule is beaten."""
    verdict = validation_verdict(by_chance, "")
    assert verdict.headline == "Accounts at risk are not shown to leave more often than the others."
    statements = dict(verdict.statements)
    assert re.search("does not beat|ranks WORSE than", statements["Against simple rules"])
    assert "ranks better than" not in statements["Against simple rules"]


def test_rates_by_tier_and_lead_times_are_shown_by_segment(by_chance):
    often, early = segment_tables(by_chance)
    assert [name for name, _ in often.columns] == [
        "Left within 13 weeks",
        "At risk",
        "Watch",
        "Healthy",
        "Expansion-ready",
    ]
    # a tier that is no list of this outcome has a rate and no row among the lists
    assert [row[0].text for row in list_table(by_chance).rows] == [
        LIST_WORDS[name] for name in ("at_risk", "at_risk_by_score", "at_risk_or_watch", "lowest_scores")
    ]
    assert [name for name, _ in early.columns] == ["At risk before leaving", "4 weeks", "8 weeks", "13 weeks", "Median"]
    few, many = ([cell.text for cell in row] for row in often.rows)
    assert few[0] == "Segment “few”"
    assert set(few[1:]) == {"not enough readings"}
    rate = by_chance.figure("churned", "rate", "at_risk", "many")
    assert 0 < rate["low"] < rate["value"] < rate["high"] < 1
    assert many[1] == with_interval(rate)
    few, many = ([cell.text for cell in row] for row in early.rows)
    assert set(few[1:]) == {"not enough events"}
    assert many[2] == with_interval(by_chance.figure("churned", "at_risk_8_weeks_before", "at_risk", "many"))
    assert re.fullmatch(r"[\d.]+ weeks \([\d.]+ to [\d.]+\)", many[4])
