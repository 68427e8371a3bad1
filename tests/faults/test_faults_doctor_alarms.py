"""Alarms of the doctor on a true state folder, from the fault to the line a person reads, and what it says to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pytest
from reviewing import NOW, SetClock
from source_sentences import HOLE, PRODUCT, findings
from sqlalchemy import create_engine, text

from health_pipeline.orchestration.doctor.diagnosis import diagnose
from health_pipeline.orchestration.doctor.gathering import gather_environment, gather_stores
from health_pipeline.policy.company import load_company
from health_pipeline.publication.files import write_json
from health_pipeline.publication.releases import MANIFEST_FILE, current_release
from health_pipeline.review import Ledger, Person
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing

MOMENT = datetime(2026, 10, 28, 9, 0)
OPERATIONS = PRODUCT.parent / "docs" / "operations.md"


def damaged_release(settings: Settings, _: pytest.MonkeyPatch) -> None:
    release = current_release(settings)
    assert release is not None
    part = release.folder / "parquet" / "account_health_weekly" / "2026-10-19.parquet"
    part.chmod(0o644)
    part.write_bytes(part.read_bytes()[:-1] + b"x")


def broken_chain(settings: Settings, _: pytest.MonkeyPatch) -> None:
    with Ledger.open(settings, SetClock(NOW)) as ledger:
        ledger.set_person(Person("ana@example.com", "Ana", "admin"), "ana@example.com")
    engine = create_engine(settings.ledger_url)
    with engine.begin() as connection:
        assert connection.execute(text("update ledger_event set actor = 'mallory@example.com'")).rowcount == 1
    engine.dispose()


def stale_source(settings: Settings, _: pytest.MonkeyPatch) -> None:
    accounts = pa.table({"source_account_id": ["a"], "name": ["A"]})
    extract = Extract("crm", "salesforce", "incremental", (TableExtract("source_account", accounts),))
    landing = Landing(settings.landing, settings.quarantine)
    made_at = (MOMENT - timedelta(days=40)).replace(tzinfo=UTC)
    result = landing.load(extract, load_company(None).model, made_at)
    assert result.status == "committed", result


def disk_nearly_full(_: Settings, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 29))


def wrong_clock(settings: Settings, _: pytest.MonkeyPatch) -> None:
    """The manifest's time is what the clock showed then."""
    release = current_release(settings)
    assert release is not None
    assert release.published_at < MOMENT
    manifest = release.folder / MANIFEST_FILE
    manifest.chmod(0o644)
    write_json(manifest, {**release.manifest, "published_at": "2026-11-02T06:00:00"})


def other_time_zone(_: Settings, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("TZ", "Asia/Kolkata")
    time.tzset()


def missing_owner(settings: Settings, _: pytest.MonkeyPatch) -> None:
    release = current_release(settings)
    assert release is not None
    release.file.chmod(0o644)
    with duckdb.connect(str(release.file)) as mart:
        mart.execute("update account_health_current set owner_email = null")


def note_of_a_killed_run(settings: Settings, _: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=30)
    settings.run_lock.with_suffix(".holder").write_text(json.dumps({"run": "abc", "process": gone.pid}))


Fault = Callable[[Settings, pytest.MonkeyPatch], None]
ALARMS: dict[str, tuple[Fault, str, str, str]] = {
    "release": (
        damaged_release,
        "severe",
        "is damaged: parquet/account_health_weekly/2026-10-19.parquet was changed: its checksum differs",
        "go back with `health-pipeline rollback RELEASE --by ADDRESS --reason TEXT`",
    ),
    "ledger": (broken_chain, "severe", "the ledger does not hold: ", "`health-pipeline ledger verify` says whether"),
    "sources": (
        stale_source,
        "severe",
        "the required source crm was last loaded 40 days ago (stale after ",
        "load crm again; where the export failed, ask the system's owner",
    ),
    "disk": (disk_nearly_full, "severe", "0.5 GB are free on the disk of ", "free some room, or move HEALTH_HOME"),
    "clock": (
        wrong_clock,
        "severe",
        "the clock says 2026-10-28 09:00 UTC, but something was loaded or published at 2026-11-02 06:00 UTC",
        "set the machine's clock and its time zone (times are kept in UTC), then run again",
    ),
    "time zone": (
        other_time_zone,
        "note",
        "this machine is at UTC+05:30",
        "where the company's zone is wrong, correct time_zone in company.yaml",
    ),
    "owners": (missing_owner, "warning", "2 of 2 accounts have no owner (100%)", "give them an owner in the CRM"),
    "run lock": (
        note_of_a_killed_run,
        "warning",
        "run abc (process ",
        "run the same command again: it goes on from what is there",
    ),
}


def told(settings: Settings) -> list[list[str]]:
    """What a person reads of each finding: what, what it means, what to do."""
    lines = list(diagnose(gather_environment(settings, MOMENT), gather_stores(settings, MOMENT)).lines())[:-1]
    return [lines[place : place + 3] for place in range(0, len(lines), 3)]


@pytest.mark.parametrize("alarm", ALARMS)
def test_a_fault_is_told_with_what_to_do_and_stands_on_the_page(
    published: Settings, monkeypatch: pytest.MonkeyPatch, alarm: str
) -> None:
    make, severity, what, to_do = ALARMS[alarm]
    begins = f"{severity.upper():<8} {alarm}: "
    assert not [said for said in told(published) if said[0].startswith(begins) and what in said[0]], "before its fault"
    make(published, monkeypatch)
    try:
        (said,) = [said for said in told(published) if said[0].startswith(begins) and what in said[0]]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert said[2].startswith("         To do: ")
    assert to_do in said[2]
    page = OPERATIONS.read_text(encoding="utf-8")
    # Where two rows begin alike, the longer one is it.
    row = max((line for line in findings() if is_made_by(line, alarm, said)), key=len)
    assert row in page.splitlines()


def is_made_by(row: str, alarm: str, said: list[str]) -> bool:
    """Whether a row of the page, with its holes filled, is what was said."""
    check, what, _, do = row.strip("| ").split(" | ")
    pattern = re.escape(f"{check}: {what}.").replace(re.escape(HOLE), ".*")
    doing = re.escape(f"To do: {do}.").replace(re.escape(HOLE), ".*")
    return check == alarm and bool(re.search(pattern + "$", said[0])) and bool(re.search(doing + "$", said[2]))


def test_every_place_of_the_page_that_is_named_is_there() -> None:
    """Links on the page, and the sections the code sends people to."""
    page = OPERATIONS.read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in sections}
    linked = re.findall(r"\]\(#([^)]+)\)", page)
    assert len(linked) > 20
    assert set(linked) <= anchors
    product = "".join(path.read_text(encoding="utf-8") for path in PRODUCT.rglob("*.py"))
    named = re.findall(r'docs/operations\.md[,"]? \(?"?([A-Z][A-Za-z ]+)', product)
    assert len(named) > 2
    assert [name for name in named if name.strip() not in sections] == []
