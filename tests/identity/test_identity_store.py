"""From committed Parquet files to the three files of the crosswalk, and the match rate on them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from health_pipeline.identity.crosswalk import ACCOUNT_SCHEMA, LINK_SCHEMA
from health_pipeline.identity.landed import build_landed, first_known_at, read_source_accounts
from health_pipeline.identity.match import match_rate
from health_pipeline.identity.store import write_crosswalk
from health_pipeline.identity.unmatched import SUGGESTION_SCHEMA
from health_pipeline.policy.documents import PolicyError
from health_pipeline.settings import Settings


@pytest.fixture
def landed(book, tmp_path):
    """Settings and manifest of a landing of three loads, as files."""
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2", "name": "Orbital"}], mode="historical")
    book.load(0, "billing", [{"id": "B1", "external": "C1"}, {"id": "B2", "name": "Orbital Ltd"}], mode="historical")
    book.load(7, "support", [{"id": "S1", "domain": "acme.example"}])
    rows, manifest = book.tables()
    paths = []
    for sequence in manifest["load_sequence"].to_pylist():
        path = tmp_path / f"load_{sequence}.parquet"
        pq.write_table(rows.filter(pc.field("load_sequence") == sequence), path)
        paths.append(str(path))
    manifest = manifest.set_column(manifest.schema.get_field_index("path"), "path", pa.array(paths))
    return Settings(home=tmp_path / "home"), manifest


def test_refresh_writes_what_it_returns(landed, book):
    settings, manifest = landed
    crosswalk = write_crosswalk(settings, build_landed(settings, manifest))
    for name, table, schema in (
        ("identity_account", crosswalk.accounts, ACCOUNT_SCHEMA),
        ("identity_link", crosswalk.links, LINK_SCHEMA),
        ("identity_suggestion", crosswalk.unmatched, SUGGESTION_SCHEMA),
    ):
        written = pq.read_table(settings.identity / f"{name}.parquet")
        assert written.equals(table)
        assert written.schema.equals(schema)
    assert sorted(path.name for path in settings.identity.iterdir()) == [
        "identity_account.parquet",
        "identity_link.parquet",
        "identity_suggestion.parquet",
    ]
    assert crosswalk.links.equals(book.crosswalk().links)
    assert crosswalk.unmatched["source_account_id"].to_pylist() == ["B2"]


def test_refresh_again_changes_nothing(landed):
    settings, manifest = landed
    first = write_crosswalk(settings, build_landed(settings, manifest))
    assert write_crosswalk(settings, build_landed(settings, manifest)).links.equals(first.links)


def test_nothing_landed_writes_empty_typed_files(landed):
    settings, manifest = landed
    write_crosswalk(settings, build_landed(settings, manifest.slice(0, 0)))
    assert pq.read_table(settings.identity / "identity_link.parquet").schema.equals(LINK_SCHEMA)


def test_other_tables_of_a_load_are_not_read(landed):
    settings, manifest = landed
    row = {**manifest.to_pylist()[0], "table_name": "crm_contact", "path": "nowhere.parquet"}
    more = pa.concat_tables([manifest, pa.Table.from_pylist([row], schema=manifest.schema)])
    assert build_landed(settings, more).links.equals(build_landed(settings, manifest).links)


def test_a_missing_file_is_named_and_the_old_crosswalk_stays(landed, tmp_path):
    settings, manifest = landed
    before = write_crosswalk(settings, build_landed(settings, manifest))
    (tmp_path / "load_2.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"load_2\.parquet belongs to a committed load"):
        write_crosswalk(settings, build_landed(settings, manifest))
    assert pq.read_table(settings.identity / "identity_link.parquet").equals(before.links)


def test_the_override_file_of_the_state_folder_is_used(landed):
    settings, manifest = landed
    settings.home.mkdir(exist_ok=True)
    file = settings.home / "identity_overrides.csv"
    file.write_text(
        "source_system,source_account_id,account_id,effective_from,decided_by,reason\n"
        "billing_system,B2,new,2026-01-10,ana@example.com,a customer the crm does not have\n"
    )
    crosswalk = write_crosswalk(settings, build_landed(settings, manifest))
    assert (crosswalk.accounts.num_rows, crosswalk.unmatched.num_rows) == (3, 0)
    file.write_text("source_system\nbilling_system\n")
    with pytest.raises(PolicyError, match=r"identity_overrides\.csv line 2: source_account_id: Field required"):
        write_crosswalk(settings, build_landed(settings, manifest))


@pytest.mark.parametrize(
    ("loaded_at", "expected"),
    [
        (datetime(2026, 1, 5, 2), datetime(2026, 1, 5, 6)),
        (datetime(2026, 1, 5, 6), datetime(2026, 1, 5, 6)),
        (datetime(2026, 1, 5, 6, 1), datetime(2026, 1, 12, 6)),
        (datetime(2026, 1, 11, 23), datetime(2026, 1, 12, 6)),
    ],
)
def test_the_set_up_ends_at_the_first_known_at(loaded_at, expected):
    manifest = pa.table({"loaded_at": pa.array([loaded_at], pa.timestamp("us"))})
    assert first_known_at(manifest, 6) == expected


def test_only_what_identity_needs_is_read(landed):
    _, manifest = landed
    table = read_source_accounts(manifest)
    assert table.num_rows == 5
    assert "owner_email" not in table.column_names


def test_match_rate_by_count_and_by_revenue_as_known_then(book):
    book.load(0, "crm", [{"id": "C1"}])
    book.load(0, "billing", [{"id": "B1", "external": "C1"}, {"id": "B2"}])
    book.load(7, "billing", [{"id": "B3", "external": "C1"}])
    revenue = {
        ("billing", "billing_system", "default", "B1"): Decimal("300.00"),
        ("billing", "billing_system", "default", "B2"): Decimal("100.00"),
        ("billing", "billing_system", "default", "B3"): Decimal("1000.00"),
    }
    crosswalk = book.crosswalk()
    rates = {rate.source_kind: rate for rate in match_rate(crosswalk, book.at(1), revenue)}
    assert list(rates) == ["billing", "crm", "all"]
    assert (rates["billing"].records, rates["billing"].matched_records) == (2, 1)
    assert rates["billing"].share_by_count == 0.5
    assert rates["billing"].share_by_revenue == 0.75
    assert rates["all"].share_by_count == pytest.approx(2 / 3)
    # revenue that nothing hangs on is not a rate of 0
    assert rates["crm"].share_by_revenue is None
    later = match_rate(crosswalk, book.at(8), revenue)
    assert later[0].share_by_revenue == pytest.approx(1300 / 1400)
    nothing = match_rate(book.new().crosswalk(), book.at(1))
    assert [(rate.source_kind, rate.share_by_count) for rate in nothing] == [("all", None)]
