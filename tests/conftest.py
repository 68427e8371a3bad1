"""What holds for all tests: the longest file goes first, so that two workers end together; one browser for all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

LONGEST = "test_orchestration_end_to_end.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, once for a whole worker: a second Playwright in the same process is refused."""
    executable = shutil.which("chromium")
    assert executable, "chromium is not installed; install it: the pages are tested in it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()
