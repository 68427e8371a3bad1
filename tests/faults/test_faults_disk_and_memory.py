"""No room on the disk, too little memory: a clear failure, the space given back, and the current release serves."""

from __future__ import annotations

import io
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import typer
from mart_builder import weeks_from
from publishing import publish_weeks
from rich.console import Console

from health_pipeline.mart.dbt import failure_sentence
from health_pipeline.orchestration.console import failing_in_one_sentence
from health_pipeline.policy.company import load_company
from health_pipeline.publication.releases import candidates_folder, current_release, damages
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing

HERE = Path(__file__).parent
MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)
# A process may write no file beyond a size from the named point on: what a file system without room does to it.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from mart_builder import weeks_from
from publishing import publish_weeks
from health_pipeline.publication import candidate
from health_pipeline.settings import Settings
def fill(name):
    if name == sys.argv[3]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
candidate.crash_point = fill
publish_weeks(Settings(home=Path(sys.argv[1])), weeks_from(3, 1))
"""


@pytest.mark.parametrize(
    ("point", "size", "reason"),
    [
        ("candidate.after_copy", 1 << 16, "File too large"),  # while the mart is filled
        ("candidate.before_manifest", 100, "File too large"),  # in the manifest
    ],
)
def test_a_full_disk_fails_clearly_gives_its_space_back_and_the_release_serves(
    published: Settings, point: str, size: int, reason: str
) -> None:
    before = current_release(published)
    assert before is not None
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(published.home), str(HERE.parent / "publication"), point, str(size)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert reason in done.stderr.splitlines()[-1]
    assert list(candidates_folder(published).iterdir()) == []
    assert current_release(published) == before
    assert damages(before) == []
    # With room again the same run publishes.
    assert publish_weeks(published, weeks_from(3, 1)).sequence == before.sequence + 1


def invoices(count: int) -> Extract:
    table = pa.table(
        {
            "invoice_id": [f"i{number}-{'x' * 50}" for number in range(count)],
            "source_account_id": ["a"] * count,
            "status": ["open"] * count,
            "currency": ["EUR"] * count,
            "total": ["1.00"] * count,
            "amount_due": ["1.00"] * count,
            "issued_at": [datetime(2026, 1, 1)] * count,
            "due_date": ["2026-01-05"] * count,
        }
    )
    return Extract("billing", "stripe", "incremental", (TableExtract("billing_invoice", table),))


def assert_nothing_waits_for_a_person(folder: Path) -> None:
    landing = Landing(folder / "landing", folder / "quarantine")
    assert landing.loads() == []
    assert landing.quarantined() == []
    result = landing.load(invoices(20), load_company(None).model, MONDAY)
    assert result.status == "committed"
    assert list((folder / "landing" / ".incoming").iterdir()) == []


def test_too_little_memory_fails_naming_the_limit_and_refuses_no_delivery(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "landing", tmp_path / "quarantine", "4MB")
    with pytest.raises(duckdb.OutOfMemoryException, match=r"/3\.8 MiB used"):
        landing.load(invoices(100_000), load_company(None).model, MONDAY)
    assert_nothing_waits_for_a_person(tmp_path)


def test_a_full_disk_refuses_no_delivery(tmp_path: Path) -> None:
    """It spills to a disk without room, which looks like a file that can't be read."""
    landing = Landing(tmp_path / "landing", tmp_path / "quarantine", "24MB")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, before[1]))
    try:
        with pytest.raises((duckdb.Error, OSError)) as raised:
            landing.load(invoices(20), load_company(None).model, MONDAY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "File too large" in str(raised.value)
    assert_nothing_waits_for_a_person(tmp_path)


def test_the_place_a_load_spills_to_is_there_in_a_new_landing(tmp_path: Path) -> None:
    """It was not, and the first load that needed it was refused as unreadable."""
    landing = Landing(tmp_path / "landing", tmp_path / "quarantine")
    assert landing.load(invoices(20), load_company(None).model, MONDAY).status == "committed"
    assert (tmp_path / "landing" / ".incoming").is_dir()


def test_too_little_memory_is_a_sentence_with_the_setting_to_change() -> None:
    said = io.StringIO()
    with (
        pytest.raises(typer.Exit),
        failing_in_one_sentence(Console(file=said, width=400)),
        duckdb.connect(config={"memory_limit": "8MB"}) as connection,
    ):
        connection.execute("set temp_directory = ''")
        connection.execute("select count(*) from (select distinct hash(range) from range(10_000_000))")
    (line,) = said.getvalue().splitlines()
    assert "MiB/7.6 MiB used" in line
    assert "set HEALTH_DUCKDB_MEMORY_LIMIT higher" in line
    node = {
        "unique_id": "model.customer_health.usage",
        "status": "error",
        "message": "Out of Memory Error: 1.8 GiB/1.8",
    }
    assert failure_sentence([node]).endswith("Set HEALTH_DUCKDB_MEMORY_LIMIT higher, or review fewer weeks at once.")
