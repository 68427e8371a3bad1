"""What must hold of every load, whatever is in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from health_pipeline.policy.company import load_company
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing

MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
COMPANY = load_company(None).model
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
MOMENT = st.datetimes(datetime(2025, 1, 1), datetime(2026, 3, 3))
NOTE = st.fixed_dictionaries(
    {
        "note_id": st.sampled_from(["n1", "n2", "n3", "n4", "n5"]),
        "source_account_id": st.sampled_from(["a", "b"]),
        "activity_type": st.sampled_from(["call", "note"]),
        "direction": st.sampled_from([None, "inbound", "sideways"]),
        "subject": st.none() | TEXT,
        "duration_minutes": st.none() | st.integers(0, 500),
        "occurred_at": MOMENT,
        "source_updated_at": st.none() | MOMENT,
    }
)
NOTES = st.lists(NOTE, min_size=1, max_size=12)
SCHEMA = pa.schema(
    [
        ("note_id", pa.string()),
        ("source_account_id", pa.string()),
        ("activity_type", pa.string()),
        ("direction", pa.string()),
        ("subject", pa.string()),
        ("duration_minutes", pa.int64()),
        ("occurred_at", pa.timestamp("us")),
        ("source_updated_at", pa.timestamp("us")),
    ]
)


def notes_of(rows: list[dict], mode: str = "historical") -> Extract:
    data = pa.Table.from_pylist(rows, schema=SCHEMA)
    return Extract("cs", "gainsight", mode, (TableExtract("cs_note", data),))


def landed(landing: Landing) -> list[dict]:
    paths = [row["path"] for row in landing.manifest().to_pylist() if row["table_name"] == "cs_note"]
    return sorted((row for path in paths for row in pq.read_table(path).to_pylist()), key=lambda row: row["note_id"])


@settings(max_examples=12)
@given(rows=NOTES, order=st.randoms(use_true_random=False), later=st.integers(0, 30))
def test_the_same_extract_twice_is_one_load_and_row_order_changes_nothing(rows, order, later):
    shuffled = list(rows)
    order.shuffle(shuffled)
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        first = Landing(Path(one) / "landing", Path(one) / "quarantine")
        second = Landing(Path(two) / "landing", Path(two) / "quarantine")
        result = first.load(notes_of(rows), COMPANY, MONDAY)
        assert second.load(notes_of(shuffled), COMPANY, MONDAY) == result
        if result.status == "refused":
            assert "after the load was made" in result.messages[0]
            return
        assert landed(first) == landed(second)
        before = first.manifest()
        again = first.load(notes_of(shuffled), COMPANY, MONDAY + timedelta(days=later))
        assert again.status == "duplicate"
        assert first.manifest() == before


@settings(max_examples=12)
@given(rows=NOTES, mode=st.sampled_from(["historical", "incremental"]))
def test_no_row_counts_before_it_happened_nor_after_it_was_loaded(rows, mode):
    with TemporaryDirectory() as folder:
        landing = Landing(Path(folder) / "landing", Path(folder) / "quarantine")
        result = landing.load(notes_of(rows, mode), COMPANY, MONDAY)
        loaded = landed(landing)
        assert (
            len({row["note_id"] for row in loaded})
            == len(loaded)
            == (result.rows if result.status == "committed" else 0)
        )
        for row in loaded:
            assert row["available_at"] <= row["attributes_available_at"] <= row["loaded_at"]
            assert row["available_at"] >= min(row["occurred_at"], row["loaded_at"])
            assert row["occurred_at"] <= row["loaded_at"] + timedelta(minutes=10)
            assert row["direction"] in (None, "inbound")
            assert row["is_available_at_imputed"] == (mode == "historical")


@settings(max_examples=12)
@given(rows=NOTES, other=NOTES)
def test_different_content_is_never_taken_for_a_duplicate(rows, other):
    with TemporaryDirectory() as folder:
        landing = Landing(Path(folder) / "landing", Path(folder) / "quarantine")
        landing.load(notes_of(rows), COMPANY, MONDAY)
        result = landing.load(notes_of(other), COMPANY, MONDAY)

        def known(row: dict) -> dict:
            return {**row, "direction": row["direction"] if row["direction"] == "inbound" else None}

        same = sorted(map(str, map(known, rows))) == sorted(map(str, map(known, other)))
        if result.status != "refused":
            assert (result.status == "duplicate") == same
