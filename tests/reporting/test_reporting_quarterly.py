"""The three quarterly reports: figures of the release, the verdict first, offline, accessible, nobody named."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from opened_page import CONTRAST, assert_structure, opened
from quarter_release import OWNER, QUARTER, QuarterRelease
from test_reporting_accessibility import violations

from health_pipeline.policy.playbooks import contact_orders, predictions
from health_pipeline.reporting.figures import MINUS
from health_pipeline.reporting.quarterly.performance import differing, performance_headline
from health_pipeline.reporting.quarterly.personas import claims_of
from health_pipeline.reporting.quarterly.plots import plotted, stability_plot
from health_pipeline.reporting.quarterly.refresh import refresh_headline
from health_pipeline.reporting.quarterly.release_data import QuarterData, read_quarter
from health_pipeline.reporting.quarterly.reports import KINDS, write_quarterly_reports
from health_pipeline.reporting.quarterly.strategies import finding
from health_pipeline.reporting.quarterly.tree import grow_tree
from health_pipeline.reporting.release_data import NoReportError
from health_pipeline.segmentation.review import SegmentationReview
from health_pipeline.segmentation.strategies import SAME
from health_pipeline.settings import Settings

RELEASE = "r000020-20261008T060000-abcdef01"


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SegmentationReview]:
    folder = tmp_path_factory.mktemp("quarter") / RELEASE
    return folder, QuarterRelease(folder).build()


@pytest.fixture(scope="module")
def data(reviewed: tuple[Path, SegmentationReview]) -> QuarterData:
    return read_quarter(reviewed[0], 1)


@pytest.fixture(scope="module")
def pages(reviewed: tuple[Path, SegmentationReview], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_quarterly_reports(Settings(home=tmp_path_factory.mktemp("home")), reviewed[0])


def test_three_files_and_the_index_lists_them_with_their_verdicts(pages, data):
    names = ["segmentation-refresh", "persona-alignment", "segment-performance"]
    assert [path.name for path in pages] == [f"{name}-2026-07-01.html" for name in names]
    index = pages[0].with_name("index.html").read_text()
    for path, kind in zip(pages, KINDS, strict=True):
        assert f'href="{path.name}"' in index
        assert kind.headline(data).split(":")[0].split(",")[0] in index
        assert RELEASE in path.read_text()


def test_planted_groups_are_said_to_mean_something(data):
    assert len(data.names) == 2
    assert refresh_headline(data).startswith("2 segments still mean something")
    # Planted: 12 of the 120 large accounts left, 48 of the 120 small ones.
    assert "churned" in differing(data)
    assert performance_headline(data).startswith("The segments performed differently: more accounts left")
    rates = {row["segment"]: row["churn_rate"] for row in data.performance if row["outcome_accounts"]}
    assert sorted(rates.values()) == pytest.approx([0.1, 0.4])


def test_every_shown_cell_of_the_flow_adds_up_to_the_accounts(data):
    moves = data.stability_of("accounts", "migration")
    assert sum(row["accounts"] for row in moves) == 240


def test_the_tree_is_the_review_s_solutions(data):
    row = data.model_row
    tree = grow_tree(data.model, data.features, 5, row["n_init"], row["seed"])
    for one in data.candidates:
        shares = sorted(node.share for node in tree.nodes if node.k == one["k"])
        assert shares == pytest.approx(sorted(size / 240 for size in one["sizes"]))
    for k in range(1, 5):
        shares = [link.share for link in tree.links if link.k == k]
        assert 0.95 < sum(shares) <= 1.000001


def test_claims_and_strategies_are_shown_with_their_verdicts(pages, data):
    personas, performance = pages[1].read_text(), pages[2].read_text()
    for row in claims_of(data):
        assert row["sentence"] in personas
    assert "They decide by price." in personas
    assert "works differently between segments" in performance
    assert "further apart than chance gives" in performance
    assert "Adoption workshop" in performance
    assert "likelihood-ratio test of a common effect" in performance
    for heading in ("For the planner", "For the support lead", "For the engineering manager"):
        assert heading in performance


def test_what_a_strategy_did_is_said_in_words_with_its_interval(data):
    (verdict,) = data.figures_of("actionability", "verdict")
    words = finding(data, verdict)
    assert re.fullmatch(
        r"\+\d\d\.\d points in “Low[^”]+” \(\d\d\.\d to \d\d\.\d points\); no effect seen in “High[^”]+”", words
    )
    # Nobody decided by chance: what it looks like stands beside what is left of it.
    rows = [
        {"analysis": "actionability", "subject": "health_check", "segment": "all", "figure": name, "value": value,
         "interval_low": value - 0.1, "interval_high": value + 0.1, "verdict": None}
        for name, value in (("uplift", -0.02), ("raw_difference", 0.28))
    ]  # fmt: skip
    unsure = replace(data, figures=rows)
    assert finding(unsure, {"subject": "health_check", "verdict": SAME}) == (
        f"no effect seen ({MINUS}12.0 to 8.0 points); it looks like +28.0 points until adjusted for who got it, which "
        "chance did not decide"
    )
    cannot = finding(replace(data, figures=[]), {"subject": "health_check", "verdict": "can't be judged: 4 treated"})
    assert cannot == "can’t be judged, since 4 treated"


def test_nobody_is_named_and_nothing_reads_as_a_prediction(pages):
    for path in pages:
        text = path.read_text()
        assert OWNER not in text
        assert "acc_0" not in text
        for part in re.findall(r"<(?:p|dd|td|h2|h3)[^>]*>([^<]+)<", text):
            assert predictions(part) == [], part
            assert contact_orders(part) == [], part


def test_pages_open_offline_in_order_and_without_violation(browser, pages):
    for path in pages:
        page, requests, errors = opened(browser, path, viewport={"width": 1280, "height": 800})
        assert requests == [path.as_uri()]
        assert errors == []
        assert_structure(page, figures=page.locator("figure").count())
        assert page.locator(".verdict").is_visible()
        assert violations(page) == []
        page.close()
        page, _, _ = opened(browser, path, color_scheme="dark", viewport={"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CONTRAST) == []
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()
        page.close()


def test_noise_is_one_segment_and_a_first_quarter_says_what_it_cannot_judge(tmp_path):
    QuarterRelease(tmp_path / RELEASE, groups=1, is_first=True).build()
    data = read_quarter(tmp_path / RELEASE, 1)
    assert data.names == ("all accounts",)
    assert refresh_headline(data) == "The accounts form no groups: one segment for all is what the data support."
    assert performance_headline(data) == "Whether the segments perform differently can’t be judged this quarter."
    pages = write_quarterly_reports(Settings(home=tmp_path / "home"), tmp_path / RELEASE)
    assert "no model of the quarter before" in pages[0].read_text() + pages[2].read_text()


def test_numbers_for_dagster_leave_out_what_is_not_known(data):
    numbers = plotted(data)
    assert numbers["segments"] == 2
    assert numbers["kept their segment"] == data.stability_of("accounts", "kept_share")[0]["value"]
    assert None not in numbers.values()
    assert stability_plot(data) == "Jul 2026 is the first quarter with these figures."


def test_a_folder_without_a_release_or_quarter_is_refused(tmp_path, reviewed):
    with pytest.raises(NoReportError, match="is not there; name the folder of a published release"):
        read_quarter(tmp_path, 1)
    with pytest.raises(NoReportError, match="holds no published quarter 2026-04-01"):
        read_quarter(reviewed[0], 1, QUARTER.previous)
