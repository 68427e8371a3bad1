"""A page opened in Debian's chromium: what it requested, what went wrong, its structure, its text's contrast."""

from __future__ import annotations

from itertools import pairwise

from playwright.sync_api import Browser, Page

# Text on the nearest background that is not transparent; WCAG 2.2 contrast ratio.
CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('[aria-hidden="true"], style, .hidden, .skip')) continue;
    const svg = element.closest('svg');
    const style = getComputedStyle(element);
    const colour = parse(svg ? style.fill : style.color);
    const [a, b] = [light(colour), light(background(element))].sort((p, q) => q - p);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""


def opened(browser: Browser, path, **context) -> tuple[Page, list[str], list[str]]:
    page = browser.new_context(**context).new_page()
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: (errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    return page, requests, errors


def assert_structure(page: Page, figures: int) -> None:
    """Headings in order under one h1, landmarks, named tables and charts, ids once and no link into nothing."""
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("header", "main", "nav[aria-label]", "footer"):
        assert page.locator(landmark).count() == 1
    unnamed = "all => all.filter(t => !t.caption || !t.caption.textContent.trim()).length"
    assert page.locator("table").evaluate_all(unnamed) == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("figure").count() == figures
    for label in page.locator("figure [role=img]").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))"):
        assert len(label) > 40
    ids = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    targets = page.locator("a[href^='#']").evaluate_all("all => all.map(e => e.getAttribute('href').slice(1))")
    assert set(targets) <= set(ids)
