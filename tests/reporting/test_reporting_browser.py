"""The report in a browser: opens offline without a request, reads in order, on a phone and in the dark."""

from __future__ import annotations

import re

import pytest
from opened_page import CONTRAST, assert_structure, opened

from health_pipeline.policy.playbooks import contact_orders, predictions
from health_pipeline.reporting.weekly import write_weekly_report


def test_only_the_file_is_requested_and_nothing_is_wrong(browser, report):
    page, requests, errors = opened(browser, report)
    page.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    page.wait_for_timeout(50)
    assert requests == [report.as_uri()]
    assert errors == []
    assert page.title() == "Demo Software Company: customer health review, 9–15 November 2026"


def test_verdict_is_the_first_thing_seen(browser, report):
    page, _, _ = opened(browser, report, viewport={"width": 1280, "height": 720})
    verdict = page.locator(".verdict")
    assert verdict.is_visible()
    assert "at risk" in verdict.inner_text()
    box = verdict.bounding_box()
    assert box["y"] + box["height"] < 720
    sizes = page.locator("main p, main h2, main td").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert max(sizes) == float(verdict.evaluate("e => parseFloat(getComputedStyle(e).fontSize)"))


def test_headings_landmarks_tables_and_charts_are_named(browser, report):
    page, _, _ = opened(browser, report)
    assert_structure(page, figures=4)
    assert page.locator("figure:not(:has(details table))").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(browser, report, scheme):
    page, _, _ = opened(browser, report, color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    assert page.evaluate(CONTRAST) == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", paper)[:3]) / 3
    assert (brightness > 128) == (scheme == "light")


def test_charts_follow_the_colour_scheme(browser, report):
    fills = {}
    for scheme in ("light", "dark"):
        page, _, _ = opened(browser, report, color_scheme=scheme)
        fills[scheme] = page.locator(".wide svg path[fill='var(--at-risk)']").first.evaluate(
            "e => getComputedStyle(e).fill"
        )
    assert fills["light"] != fills["dark"]
    assert "rgb" in fills["light"]


def test_a_phone_needs_no_sideways_scrolling(browser, report):
    page, _, _ = opened(browser, report, viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("figure .narrow").first.is_visible()
    assert not page.locator("figure .wide").first.is_visible()
    sizes = page.locator("figure .narrow svg text").evaluate_all(
        "all => all.filter(t => t.getBoundingClientRect().height).map(t => t.getBoundingClientRect().height)"
    )
    assert min(sizes) > 9
    label = page.locator("#at-risk td").first.evaluate("e => getComputedStyle(e, '::before').content")
    assert label == '"Revenue, USD"'


def test_prints_on_white_without_navigation(browser, report):
    page, _, _ = opened(browser, report, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.locator(".verdict").is_visible()
    assert page.evaluate(CONTRAST) == []


def test_hostile_names_stay_text(browser, builder, settings):
    names = {
        0: "<script>alert('x')</script>",
        1: '=HYPERLINK("http://evil.example","click")',
        2: '"><img src=http://evil.example/a.png onerror=alert(1)>',
        3: "</style><style>body{display:none}</style>",
        4: "{{ 7*7 }} ${7*7}",
    }

    def at_risk(rows):
        for row in rows:
            if row["account_id"] in {f"acc-{number:05d}" for number in names}:
                row.update(effective_tier="at_risk", tier="at_risk", score=10.0)
                row["owner_email"] = "<svg onload=alert(2)>@example.com"
        return rows

    folder = builder(names=names, edit={"account_health_weekly": at_risk}).build()
    page, requests, errors = opened(browser, write_weekly_report(settings, folder).path)
    page.wait_for_timeout(50)
    assert errors == []
    assert len(requests) == 1
    text = page.locator("#at-risk").inner_text()
    for name in names.values():
        assert name in text
    assert "<svg onload=alert(2)>" in text
    assert page.locator("script, img, iframe, object, embed, link").count() == 0
    assert page.locator(".verdict").is_visible()


def test_a_hostile_owner_stays_text_in_the_chart(browser, builder, settings):
    def owned(rows):
        return [{**row, "owner_email": "</text><script>alert(3)</script>"} for row in rows]

    folder = builder(edit={"plan_capacity_weekly": owned}).build()
    page, _, errors = opened(browser, write_weekly_report(settings, folder).path)
    assert errors == []
    assert page.locator("script").count() == 0
    assert "</text><script>" in page.locator("#plan svg").first.text_content()


def test_nothing_reads_as_an_order_or_a_prediction(browser, report):
    page, _, _ = opened(browser, report)
    page.locator("details").evaluate_all("all => all.forEach(d => { d.open = true })")
    for text in page.locator("p, dd, td, li, h2, h3, caption, summary").all_inner_texts():
        assert predictions(text) == [], text
        assert contact_orders(text) == [], text
