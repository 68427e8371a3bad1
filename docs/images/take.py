"""Takes the README's pictures from a published state folder: `HEALTH_HOME=... .venv/bin/python docs/images/take.py`.

All of them, or those that are named: `take.py review-desk`.

Needs Debian's chromium (or CHROMIUM=path) and nothing from the network: the report is a file, and Dagster's UI runs
on this machine.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from health_pipeline.mart.published import read_published
from health_pipeline.orchestration.home import prepare_home
from health_pipeline.settings import REPOSITORY, Settings

HERE = Path(__file__).parent
MOST_BYTES = 200_000
WIDTH, HEIGHT = 1280, 860


def main() -> None:
    """Take every picture and refuse one that is too large."""
    settings = Settings()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("No chromium here; install Debian's, or name one in CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, take in PICTURES.items():
            if name in (sys.argv[1:] or PICTURES):
                take(browser, settings)
        browser.close()
    for path in sorted(HERE.glob("*.png")):
        size = path.stat().st_size
        sys.stdout.write(f"{path.name}: {size:,} bytes\n")
        if size > MOST_BYTES:
            sys.exit(f"{path.name} is larger than {MOST_BYTES:,} bytes; take less of the page.")


def picture_of_report(browser: Browser, settings: Settings) -> None:
    """The top of the newest weekly report."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto((settings.reports / "latest.html").as_uri())
    page.screenshot(path=HERE / "weekly-report.png")
    page.close()


def picture_of_explained_account(browser: Browser, settings: Settings) -> None:
    """What `health-pipeline explain` says of the account with the lowest score."""
    current = read_published(settings, "account_health_current").to_pandas()
    account = current.dropna(subset=["score"]).sort_values(["score", "account_id"])["account_id"].iloc[0]
    command = [sys.executable, "-m", "health_pipeline.cli", "explain", account]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout
    console = Console(record=True, width=178, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(f"$ health-pipeline explain {account}\n", style="bold")
    console.print("\n".join(said.splitlines()[:36]), markup=False, highlight=False)
    page = browser.new_page(viewport={"width": WIDTH, "height": 720})
    page.set_content(console.export_html(inline_styles=True))
    page.add_style_tag(content="pre { font-size: 11.5px !important; line-height: 1.45; }")
    page.screenshot(path=HERE / "account-explained.png")
    page.close()


def picture_of_graph(browser: Browser, settings: Settings) -> None:
    """The asset graph in Dagster's UI."""
    with dagster_ui(settings) as address:
        page = browser.new_page(viewport={"width": 1600, "height": 820}, device_scale_factor=2)
        page.goto(f"{address}/asset-groups", wait_until="networkidle", timeout=90_000)
        page.wait_for_timeout(8_000)
        page.screenshot(path=HERE / "dagster-graph.png", clip={"x": 548, "y": 335, "width": 1046, "height": 190})
        page.close()


def picture_of_desk(browser: Browser, settings: Settings) -> None:
    """The first case of the queue at the review desk, as a lead sees it; none where no risk was published."""
    with review_desk(settings) as address:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(f"{address}/sign-in")
        page.locator("button", has_text="lead").first.click()
        page.wait_for_selector(".who")
        first = page.locator("tr[data-row] a").first
        if first.count() == 0:
            sys.stdout.write("No case waits at the desk: its picture stays as it is.\n")
            return
        first.click()
        page.wait_for_selector("header.packet")
        page.screenshot(path=HERE / "review-desk.png")
        page.close()


PICTURES = {
    "weekly-report": picture_of_report,
    "account-explained": picture_of_explained_account,
    "dagster-graph": picture_of_graph,
    "review-desk": picture_of_desk,
}


@contextmanager
def review_desk(settings: Settings) -> Iterator[str]:
    """The review desk with its demo sign-in on a free port, as long as the block lasts."""
    port = free_port()
    command = [sys.executable, "-m", "health_pipeline.cli", "desk", "--demo-sign-in", "--port", str(port)]
    environment = {**os.environ, "HEALTH_HOME": str(settings.home)}
    address = f"http://127.0.0.1:{port}"
    yield from served(command, REPOSITORY, f"{address}/alive", address, environment)


@contextmanager
def dagster_ui(settings: Settings) -> Iterator[str]:
    """Dagster's webserver on a free port, as long as the block lasts."""
    prepare_home(settings)
    port = free_port()
    command = [sys.executable, "-m", "dagster_webserver", "-w", str(REPOSITORY / "workspace.yaml"), "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    yield from served(command, settings.home, f"{address}/server_info", address, dict(os.environ))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def served(command: list[str], folder: Path, asked: str, address: str, environment: dict[str, str]) -> Iterator[str]:
    """A server's address once it answers what is asked; ended afterwards."""
    server = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(180):
            try:
                with urllib.request.urlopen(asked, timeout=2):  # noqa: S310 - our own server
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    main()
