"""axe-core finds nothing in the pages: on a desk, on a phone, in the dark, on paper, with every fold open."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from opened_page import opened
from playwright.sync_api import Page

AXE = Axe()


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong by its default rules (WCAG A, AA and practices): rule, how often, first place."""
    page.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    found = AXE.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {len(one['nodes'])} x {one['nodes'][0]['html'][:160]}" for one in found]


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 390),
        pytest.param("dark", 1280, marks=pytest.mark.long),
        pytest.param("light", 390, marks=pytest.mark.long),
    ],
)
def test_the_weekly_report_has_no_violation(browser, report, scheme, width):
    page, _, _ = opened(browser, report, color_scheme=scheme, viewport={"width": width, "height": 844})
    assert violations(page) == []


def test_the_printed_report_has_no_violation(browser, report):
    page, _, _ = opened(browser, report)
    page.emulate_media(media="print")
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_index_of_reports_has_no_violation(browser, report, scheme):
    page, _, _ = opened(browser, report.with_name("index.html"), color_scheme=scheme)
    assert violations(page) == []


def test_what_is_wrong_is_found(browser, tmp_path):
    faulty = tmp_path / "faulty.html"
    faulty.write_text(
        "<!doctype html><title>x</title><main><h1>x</h1><img src='data:,'><p style='color:#ccc'>pale</p></main>"
    )
    page, _, _ = opened(browser, faulty)
    assert [one.partition(":")[0] for one in violations(page)] == ["color-contrast", "html-has-lang", "image-alt"]
