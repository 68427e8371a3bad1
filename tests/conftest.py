"""What holds for all tests: the longest files first, so that two workers end together; no deadlines; one browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

# A deadline for one example would measure what else the machine does.
settings.register_profile("any_machine", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("any_machine")
# Of the quick tests the first, of the long ones all three.
LONGEST = ("test_orchestration_end_to_end.py", "test_faults_random_kills.py", "test_faults_publication_stress.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, once for a whole worker: a second Playwright in the same process is refused."""
    executable = shutil.which("chromium")
    assert executable, "chromium is not installed; install it: the pages are tested in it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()
