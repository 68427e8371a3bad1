"""The landing: commits, duplicates, held loads, crashes, clocks."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from health_pipeline.contract.landing import arrow_schema, landing_tables
from health_pipeline.observability.crash_points import EXIT_CODE
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing, LandingError
from health_pipeline.sources.records import MANIFEST_SCHEMA, SOURCE_LOAD_SCHEMA

MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


def landed(landing: Landing, table: str) -> list[dict]:
    paths = [row["path"] for row in landing.manifest().to_pylist() if row["table_name"] == table]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_a_load_is_a_folder_with_every_table_of_the_kind_and_a_record(landing, company, invoices, billing):
    result = landing.load(billing(invoices(3)), company, MONDAY)

    assert (result.status, result.rows, result.messages) == ("committed", 3, ())
    manifest = landing.manifest()
    assert manifest.schema == MANIFEST_SCHEMA
    assert {row["table_name"]: row["rows"] for row in manifest.to_pylist()} == {
        "source_account": 0,
        "billing_subscription": 0,
        "billing_invoice": 3,
        "billing_payment": 0,
    }
    for row in manifest.to_pylist():
        assert pq.read_schema(row["path"]).equals(arrow_schema(landing_tables()[row["table_name"]])), row["table_name"]
    record_file = landing.folder / "source_load" / f"00000001-{result.load_id}.parquet"
    record = pq.ParquetFile(record_file).read()
    assert record.schema == SOURCE_LOAD_SCHEMA
    assert record["table"].to_pylist() == [row["table_name"] for row in manifest.to_pylist()]
    invoice = record.to_pylist()[2]
    assert invoice["path"] == f"billing/stripe/{result.load_id}/billing_invoice.parquet"
    assert invoice["watermark_from"] == invoice["watermark_to"] == datetime(2026, 1, 30)
    assert (invoice["status"], invoice["mode"], invoice["loaded_at"]) == (
        "committed",
        "incremental",
        datetime(2026, 3, 2, 2),
    )


def test_a_record_is_read_once_in_a_process_and_again_when_its_file_is_another_one(
    landing, company, invoices, billing, monkeypatch
):
    result = landing.load(billing(invoices(3)), company, MONDAY)
    file = landing.folder / "source_load" / f"00000001-{result.load_id}.parquet"
    read = []
    parquet = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda path, **options: read.append(path) or parquet(path, **options))

    def loads():
        return Landing(landing.folder, landing.quarantine.folder).loads()

    assert [load.load_id for load in loads()] == [load.load_id for load in loads()] == [result.load_id]
    assert read == [str(file)]
    # as when it is restored from a copy
    rows = parquet(file).read()
    changed = rows.set_column(rows.schema.get_field_index("status"), "status", pa.array(["restored"] * rows.num_rows))
    pq.write_table(changed, file)
    assert [load.status for load in loads()] == ["restored"]
    assert read == [str(file)] * 2


def test_in_an_incremental_load_everything_counts_from_the_load(landing, company, invoices, billing):
    landing.load(billing(invoices(1)), company, MONDAY)

    row = landed(landing, "billing_invoice")[0]
    assert row["available_at"] == row["attributes_available_at"] == row["loaded_at"] == datetime(2026, 3, 2, 2)
    assert row["is_available_at_imputed"] is False
    assert (row["source_system"], row["source_instance"], row["is_deleted"]) == ("stripe", "default", False)
    assert (str(row["total"]), row["load_sequence"]) == ("100.25", 1)


def test_in_a_historical_load_facts_count_from_their_time_and_attributes_from_their_change(
    landing, company, invoices, billing
):
    data = invoices(
        5,
        issued_at=[
            datetime(2026, 1, 1),
            datetime(2026, 1, 1),
            datetime(2026, 1, 9),
            datetime(2026, 3, 1, 20),
            datetime(2026, 1, 1),
        ],
        source_created_at=[None, None, datetime(2026, 1, 5), None, None],
        source_updated_at=[
            datetime(2026, 1, 20),
            None,
            datetime(2026, 1, 2),
            datetime(2026, 3, 1, 20),
            datetime(2026, 3, 2, 1),
        ],
    )
    landing.load(billing(data, "historical"), company, MONDAY)

    loaded, rows = datetime(2026, 3, 2, 2), landed(landing, "billing_invoice")
    clocks = [(row["available_at"], row["attributes_available_at"]) for row in rows]
    assert clocks == [
        (datetime(2026, 1, 2), datetime(2026, 1, 21)),  # the billing kind shows things after 24 hours
        (datetime(2026, 1, 2), loaded),  # nobody says when it last changed
        (datetime(2026, 1, 6), datetime(2026, 1, 6)),  # it was there before it was issued; never before it was there
        (loaded, loaded),  # the latency would end after the load
        (datetime(2026, 1, 2), loaded),
    ]
    assert all(row["is_available_at_imputed"] for row in rows)


def test_a_record_whose_event_is_still_to_come_counts_from_its_creation(landing, company):
    milestone = pa.table(
        {
            "milestone_id": ["m1", "m2"],
            "project_id": ["p1", "p1"],
            "name": ["Go live", "Pilot"],
            "status": ["open", "open"],
            "due_date": ["2026-02-01", "2026-02-01"],
            "completed_at": [datetime(2026, 2, 1), None],
            "source_created_at": [datetime(2026, 1, 1)] * 2,
            "source_updated_at": [datetime(2026, 2, 1), datetime(2026, 1, 1)],
        }
    )
    landing.load(Extract("projects", "jira", "historical", (TableExtract("pm_milestone", milestone),)), company, MONDAY)

    rows = landed(landing, "pm_milestone")
    assert [row["available_at"] for row in rows] == [datetime(2026, 1, 2)] * 2
    assert rows[0]["attributes_available_at"] == datetime(2026, 2, 2)


def test_a_day_of_usage_is_known_when_the_day_is_over(landing, company):
    daily = pa.table({"source_account_id": ["a"], "usage_date": ["2026-02-01"], "active_users": [3], "events": ["7"]})
    landing.load(Extract("usage", "segment", "historical", (TableExtract("usage_daily", daily),)), company, MONDAY)

    assert landed(landing, "usage_daily")[0]["available_at"] == datetime(2026, 2, 2, 6)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=7)])
def test_the_same_content_again_is_a_no_op(landing, company, invoices, billing, later):
    first = landing.load(billing(invoices(20)), company, MONDAY)
    before = landing.manifest()
    shuffled = invoices(20).take(list(range(19, -1, -1))).select(list(reversed(invoices(1).column_names)))
    again = landing.load(billing(shuffled), company, MONDAY + later)

    assert again.status == "duplicate"
    assert again.messages == (f"the same content is load {first.load_id} already; nothing was changed.",)
    assert landing.manifest() == before
    kinds = {(kind, moment) for kind, _, _, moment in landing.deliveries()}
    assert kinds == {("billing", datetime(2026, 3, 2, 2)), ("billing", datetime(2026, 3, 2, 2) + later)}


def test_the_same_content_as_another_mode_or_of_another_system_is_a_load(landing, company, invoices, billing):
    landing.load(billing(invoices(2)), company, MONDAY)
    other = Extract("billing", "zuora", "incremental", (TableExtract("billing_invoice", invoices(2)),))

    assert landing.load(billing(invoices(2), "historical"), company, MONDAY).status == "committed"
    assert landing.load(other, company, MONDAY).status == "committed"
    loads = landing.loads()
    assert [record.load_sequence for record in loads] == [1, 2, 3]
    reader = Landing(landing.folder, landing.quarantine.folder)
    assert reader.loads({loads[1].load_id, "none"}) == [loads[1]]
    assert reader.loads() == loads


def test_an_empty_delivery_is_news_each_time_but_not_twice(landing, company, invoices, billing):
    statuses = [
        landing.load(billing(invoices(0)), company, moment).status
        for moment in (MONDAY, MONDAY + timedelta(days=7), MONDAY + timedelta(days=7))
    ]
    assert statuses == ["committed", "committed", "duplicate"]


def test_a_complete_extract_that_goes_back_to_what_it_was_is_a_load(landing, company, invoices, billing):
    contents = [invoices(3), invoices(2), invoices(3), invoices(3)]
    statuses = [
        landing.load(billing(data, is_complete=True), company, MONDAY + timedelta(days=n)).status
        for n, data in enumerate(contents)
    ]
    assert statuses == ["committed", "committed", "committed", "duplicate"]


def test_the_same_loads_give_the_same_files_content_in_any_folder(tmp_path, company, invoices, billing):
    contents = []
    for name in ("one", "two"):
        landing = Landing(tmp_path / name, tmp_path / f"{name}-quarantine")
        for week in range(3):
            landing.load(billing(invoices(5, start=week * 5)), company, MONDAY + timedelta(weeks=week))
        contents.append(landed(landing, "billing_invoice"))
    assert contents[0] == contents[1]


@pytest.mark.parametrize(("rows", "is_held"), [(39, True), (41, False), (299, False), (301, True), (0, True)])
def test_a_volume_outside_the_band_is_held(landing, company, invoices, billing, rows, is_held):
    for week in range(4):
        landing.load(billing(invoices(100, start=1000 * week)), company, MONDAY + timedelta(weeks=week))

    result = landing.load(billing(invoices(rows, start=90_000)), company, MONDAY + timedelta(weeks=5))

    assert result.status == ("held" if is_held else "committed")
    if is_held:
        assert result.messages == (
            f"billing load of stripe: {rows} rows of billing_invoice where the last 4 loads had 100 in the median "
            f"(band 40% to 300%); accept or reject load {result.load_id}.",
        )
        assert len(landing.loads()) == 4
        (held,) = landing.quarantined()
        assert (held.status, held.rows, held.load_id) == ("held", rows, result.load_id)


def test_a_volume_is_judged_only_after_four_incremental_loads(landing, company, invoices, billing):
    landing.load(billing(invoices(5000), "historical"), company, MONDAY)
    for week in range(3):
        landing.load(billing(invoices(100, start=1000 * week)), company, MONDAY + timedelta(weeks=week))
    assert landing.load(billing(invoices(5, start=90_000)), company, MONDAY + timedelta(weeks=4)).status == "committed"


@pytest.fixture
def held(landing, company, invoices, billing):
    for week in range(4):
        landing.load(billing(invoices(100, start=1000 * week)), company, MONDAY + timedelta(weeks=week))
    extract = billing(invoices(10, start=90_000, status=["PAID"] * 10))
    return extract, landing.load(extract, company, MONDAY + timedelta(weeks=4))


def test_a_held_load_is_accepted_by_a_person_and_counts_from_its_delivery(landing, company, held):
    extract, result = held
    assert landing.load(extract, company, MONDAY + timedelta(weeks=4)).status == "held"

    accepted = landing.accept(result.load_id, "ada@example.com", MONDAY + timedelta(weeks=4, hours=7))

    assert (accepted.status, accepted.load_id, accepted.rows) == ("committed", result.load_id, 10)
    record = landing.loads()[-1]
    assert (record.decided_by, record.decided_at) == ("ada@example.com", datetime(2026, 3, 30, 9))
    assert record.loaded_at == datetime(2026, 3, 30, 2)
    rows = [row for row in landed(landing, "billing_invoice") if row["load_id"] == result.load_id]
    assert {row["available_at"] for row in rows} == {record.loaded_at}
    assert {row["status"] for row in rows} == {"paid"}
    assert landing.quarantined() == []
    assert landing.load(extract, company, MONDAY + timedelta(weeks=4)).status == "duplicate"


def test_a_held_load_is_rejected_with_a_reason(landing, company, held):
    extract, result = held
    landing.reject(result.load_id, "ada@example.com", "the export stopped half way", MONDAY)

    (rejected,) = landing.quarantined()
    assert (rejected.status, rejected.decided_by) == ("rejected", "ada@example.com")
    again = landing.load(extract, company, MONDAY + timedelta(weeks=4))
    assert (again.status, again.messages) == (
        "refused",
        ("rejected by ada@example.com: the export stopped half way",),
    )
    with pytest.raises(LandingError, match=f"load {result.load_id} is rejected; no load waits"):
        landing.accept(result.load_id, "ada@example.com", MONDAY)


def test_decisions_need_a_load_a_name_and_a_reason(landing, held):
    _, result = held
    with pytest.raises(
        LandingError, match=f"there is no load nonsense in quarantine; those that wait are {result.load_id}"
    ):
        landing.accept("nonsense", "ada", MONDAY)
    with pytest.raises(LandingError, match="say who decides"):
        landing.accept(result.load_id, " ", MONDAY)
    with pytest.raises(LandingError, match="say why"):
        landing.reject(result.load_id, "ada", " ")


def test_an_accepted_volume_at_load_needs_no_second_step(landing, company, held):
    extract, _ = held
    later = Extract("billing", "stripe", "incremental", extract.tables, extract.source_instance)
    result = landing.load(later, company, MONDAY + timedelta(weeks=5), accept=True)
    assert (result.status, landing.loads()[-1].decided_by) == ("committed", "accepted when it was loaded")


def test_a_refused_load_is_kept_with_its_reason_and_takes_no_more_room_when_repeated(
    landing, company, invoices, billing
):
    bad = billing(invoices(2, total=["1", "x"]))
    results = [landing.load(bad, company, MONDAY) for _ in range(2)]

    assert results[0] == results[1]
    assert landing.loads() == []
    (refused,) = landing.quarantined()
    assert (refused.status, refused.reason) == ("refused", results[0].messages[0])
    kept = pq.read_table(next((landing.quarantine.folder / refused.load_id).glob("*.parquet")))
    assert kept["total"].to_pylist() == ["1", "x"]


def test_a_dry_run_writes_nothing(landing, company, invoices, billing, tmp_path):
    assert landing.examine(billing(invoices(2)), company, MONDAY).status == "ready"
    assert landing.examine(billing(invoices(2, total=None)), company, MONDAY).status == "refused"
    assert list(tmp_path.iterdir()) == []


CRASH = """
import sys
from datetime import datetime, UTC
from pathlib import Path
import pyarrow as pa
from health_pipeline.policy.company import load_company
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing
folder = Path(sys.argv[1])
payments = pa.table({"payment_id": ["p1"], "source_account_id": ["a1"], "status": ["succeeded"], "amount": [5],
                     "currency": ["USD"], "occurred_at": [datetime(2026, 1, 1)]})
extract = Extract("billing", "stripe", "incremental", (TableExtract("billing_payment", payments),))
result = Landing(folder / "landing", folder / "quarantine").load(
    extract, load_company(None).model, datetime(2026, 3, 2, 2, tzinfo=UTC))
print(result.status)
"""


@pytest.mark.parametrize(
    ("point", "loads", "retry"),
    [("landing_table", 0, "committed"), ("landing_record", 0, "committed"), ("landing_committed", 1, "duplicate")],
)
def test_a_killed_load_exists_wholly_or_not_at_all_and_the_next_one_cleans_up(tmp_path, point, loads, retry):
    def run(crash_at: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "HEALTH_CRASH_AT": crash_at}
        return subprocess.run(
            [sys.executable, "-c", CRASH, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
        )

    assert run(point).returncode == EXIT_CODE
    landing = Landing(tmp_path / "landing", tmp_path / "quarantine")
    assert len(landing.loads()) == loads
    folders = list((tmp_path / "landing" / "billing" / "stripe").glob("*"))
    assert len(folders) == (0 if point == "landing_table" else 1)

    (tmp_path / "landing" / "billing" / "stripe" / "left-behind").mkdir(parents=True, exist_ok=True)
    assert run("").stdout.strip() == retry
    (record,) = Landing(tmp_path / "landing", tmp_path / "quarantine").loads()
    assert [path.name for path in (tmp_path / "landing" / "billing" / "stripe").iterdir()] == [record.load_id]
    assert list((tmp_path / "landing" / ".incoming").glob("*")) == []


def test_a_load_that_fails_while_writing_leaves_nothing(landing, company, invoices, billing, monkeypatch):
    def no_space(record: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(landing._records, "write", no_space)
    with pytest.raises(OSError, match="No space left"):
        landing.load(billing(invoices(2)), company, MONDAY)
    monkeypatch.undo()
    assert landing.loads() == []
    landing.load(billing(invoices(2, start=7)), company, MONDAY)
    assert [path.name for path in (landing.folder / "billing" / "stripe").iterdir()] == [landing.loads()[0].load_id]


def test_a_large_delivery_is_streamed_from_its_file(landing, company, tmp_path):
    path = tmp_path / "events.parquet"
    rows = 300_000
    occurred = pa.array([datetime(2026, 1, 1)] * rows)
    pq.write_table(
        pa.table(
            {
                "event_id": pa.array([str(n) for n in range(rows)]),
                "event_name": pa.array(["used"] * rows),
                "occurred_at": occurred,
                "received_at": occurred,
            }
        ),
        path,
    )
    extract = Extract("usage", "segment", "historical", (TableExtract("usage_event", path, announced_rows=rows),))
    assert landing.load(extract, company, MONDAY).rows == rows
    assert landing.load(extract, company, MONDAY).status == "duplicate"
    shown = landing.manifest().to_pylist()
    file = Path(next(row["path"] for row in shown if row["table_name"] == "usage_event"))
    assert pq.read_schema(file).equals(arrow_schema(landing_tables()["usage_event"]))
    assert pq.read_table(file, columns=["available_at"])["available_at"][0].as_py() == datetime(2026, 1, 1, 6)
