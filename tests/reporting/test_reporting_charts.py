"""Charts: no reference to the outside, quick, told apart by everybody; figures and the data dictionary."""

from __future__ import annotations

import base64
import re
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.contract.landing import landing_tables
from health_pipeline.contract.mart import mart_tables
from health_pipeline.reporting import figures
from health_pipeline.reporting.charts import (
    MARKDOWN_LIMIT,
    TIER_COLOURS,
    TIERS,
    capacity_by_owner,
    revenue_at_risk,
    score_shape,
    sparkline_svg,
    tier_plot_markdown,
    tier_trend,
)
from health_pipeline.reporting.dictionary import data_dictionary
from health_pipeline.reporting.weekly import STYLE

WEEKS = [date(2026, 5, 18) + timedelta(weeks=number) for number in range(26)]


def drawings():
    counts = {(week, tier): 3 + order for week in WEEKS for order, tier in enumerate(TIERS)}
    return [
        tier_trend(WEEKS, counts),
        revenue_at_risk(WEEKS, {week: 1_200_000.0 + n for n, week in enumerate(WEEKS)}, "USD"),
        score_shape([(float(score), "watch") for score in range(0, 101, 5)]),
        capacity_by_owner([("ana@example.com", 8.0, 3.5), ("no owner", 0.0, 2.0)]),
    ]


def test_drawings_refer_to_nothing_outside_and_are_quick():
    # by the processor's clock: what else the machine does is no fault of a drawing
    started = time.process_time()
    found = drawings()
    assert time.process_time() - started < 3
    for drawing in found:
        for svg in (drawing.wide, drawing.narrow):
            assert not re.search(r"https?:|url\(|href|@import|<style|<image|font-family|<script", svg)
            assert not re.search(r'"#a000', svg), "every drawn colour became a variable"
            ElementTree.fromstring(svg)
        assert drawing.alternative.endswith(".")


def test_every_week_of_the_trend_has_its_columns():
    counts = {(week, "at_risk"): 4 for week in WEEKS}
    svg = tier_trend(WEEKS, counts).wide
    assert svg.count("var(--at-risk)") == len(WEEKS)
    assert "9 Nov" in svg


def test_bar_of_a_score_of_100_is_inside_the_axis():
    assert "var(--expansion-ready)" in score_shape([(100.0, "expansion_ready")]).wide


def channels(colour):
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "none": np.eye(3).tolist(),
}


def lab(linear):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def palettes():
    """Tier colours of the stylesheet: light, dark, print."""
    style = STYLE.read_text()
    found = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{([^}]+)\}", style)
    ]
    return [{tier: block[tier.replace("_", "-")] for tier in TIERS} for block in found]


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_tiers_are_told_apart_with_every_colour_blindness(blindness):
    matrix = np.array(BLINDNESS[blindness])
    assert len(palettes()) == 3
    for palette in [*palettes(), TIER_COLOURS]:
        seen = {tier: lab(np.clip(matrix @ channels(colour), 0, 1)) for tier, colour in palette.items()}
        for one, other in combinations(TIERS, 2):
            assert np.linalg.norm(seen[one] - seen[other]) > 11, (blindness, one, other)


def test_sparkline_ends_at_its_last_value_and_skips_gaps():
    svg = sparkline_svg([1, None, 3, 2])
    points = re.search(r'points="([^"]+)"', svg).group(1).split()
    assert points == ["3,21", "63,3", "93,12"]
    assert '<circle cx="93" cy="12"' in svg


def test_sparkline_of_one_flat_or_no_value():
    assert 'cy="12"' in sparkline_svg([5])
    assert {
        point.split(",")[1] for point in re.search(r'points="([^"]+)"', sparkline_svg([4, 4, 4])).group(1).split()
    } == {"12"}
    assert "polyline" not in sparkline_svg([])
    assert "polyline" not in sparkline_svg([None, None])


@given(st.lists(st.none() | st.floats(-1e12, 1e12), max_size=60))
def test_sparkline_stays_inside_its_box(values):
    svg = sparkline_svg(values)
    ElementTree.fromstring(svg)
    for x, y in re.findall(r"([\d.]+),([\d.]+)", svg):
        assert 0 <= float(x) <= 96
        assert 0 <= float(y) <= 24


@pytest.mark.parametrize("weeks", [1, 2, 13, 52])
def test_tier_plot_fits_into_dagsters_markdown(weeks):
    days = [date(2025, 11, 24) + timedelta(weeks=number) for number in range(weeks)]
    counts = {
        tier: [10_000 + (number * 97 + order) % 4_000 for number in range(weeks)] for order, tier in enumerate(TIERS)
    }
    text = tier_plot_markdown(days, counts)
    assert len(text) < MARKDOWN_LIMIT
    encoded = re.search(r"\(data:image/svg\+xml;base64,([^)]+)\)", text).group(1)
    assert len(ElementTree.fromstring(base64.b64decode(encoded))[0]) == len(TIERS)
    assert f"at risk {counts['at_risk'][-1]}" in text


def test_tier_plot_of_no_week_is_empty():
    assert tier_plot_markdown([], {}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (950, "950"),
        (999.6, "1 k"),
        (412_300, "412 k"),
        (999_960, "1.00 M"),
        (1_934_000, "1.93 M"),
        (19_340_000, "19.3 M"),
        (2.1e9, "2.10 bn"),
        (-44_000, "−44 k"),
    ],
)
def test_short_numbers(value, text):
    assert figures.short(Decimal(str(value))).replace("\N{NO-BREAK SPACE}", " ") == text


def test_dates_and_changes_in_words():
    assert figures.week_span(date(2026, 11, 9)) == "9–15 November 2026"
    assert figures.week_span(date(2026, 11, 30)) == "30 November – 6 December 2026"
    assert figures.week_span(date(2025, 12, 29)) == "29 December 2025 – 4 January 2026"
    assert figures.clock(datetime(2026, 11, 16, 6)) == "16 Nov 2026, 06:00 UTC"
    assert figures.clock(None) == "never"
    assert [figures.signed(v) for v in (3, -2, 0, -0.2)] == ["+3", "−2", "±0", "±0"]
    assert figures.money(None, "EUR") == "unknown"
    assert figures.listed(["a"]) == "a"
    assert figures.listed(["a", "b", "c"]) == "a, b and c"


def test_dictionary_holds_every_table_and_column_once():
    text = data_dictionary()
    assert text == data_dictionary()
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^###? |\Z)", text, re.MULTILINE | re.DOTALL))
    for name, table in mart_tables().items():
        for column in table.columns:
            assert f"| `{column.name}` |" in sections[name]
        assert table.grain in sections[name]
    for name, landed in landing_tables().items():
        for own in landed.columns:
            assert f"| `{own.name}` |" in sections[name]
            if own.vocabulary:
                assert ", ".join(own.vocabulary) in sections[name]
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 4, line
