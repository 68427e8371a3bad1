"""The contract's checks: each has a delivery that breaks it, and says so in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from health_pipeline.contract.landing import landing_tables
from health_pipeline.sources.casts import cast_expression
from health_pipeline.sources.extract import Extract, TableExtract

MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
WHERE = "billing load of stripe, table billing_invoice"


def rows_of(landing, table="billing_invoice"):
    paths = [row["path"] for row in landing.manifest().to_pylist() if row["table_name"] == table]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            {"issued_at": None, "issue_date": ["2026-01-01"] * 3},
            "column issued_at is missing; the contract wants it (a UTC timestamp (YYYY-MM-DD HH:MM:SS)), and the "
            "closest "
            "name there is 'issue_date'.",
        ),
        (
            {"total": ["1", "2", "12,50"]},
            "column total, row 3: '12,50' is not an amount with two decimals, which looks like a decimal or thousands "
            "comma: replace it in the mapping's select (1 such rows).",
        ),
        (
            {"issued_at": ["2026-01-01", "31/12/2025 10:00", "x"]},
            "column issued_at, row 2: '31/12/2025 10:00' is not a UTC timestamp (YYYY-MM-DD HH:MM:SS), which "
            "looks like "
            "day/month/year: use strptime(column, '%d/%m/%Y') in the mapping's select (2 such rows).",
        ),
        (
            {"due_date": ["2026-01-01", None, "2026-02-30"]},
            "column due_date, row 3: '2026-02-30' is not a date (YYYY-MM-DD) (1 such rows).",
        ),
        (
            {"currency": ["USD", None, ""]},
            "column currency is empty on 2 of 3 rows, first at row 2; the contract requires a text there.",
        ),
        (
            {"total": [None, None, None]},
            "column total is empty on 3 of 3 rows, first at row 1; the contract requires an amount with two "
            "decimals there.",
        ),
        (
            {"is_deleted": ["yes", "no", "maybe"]},
            "column is_deleted, row 3: 'maybe' is not true or false (1 such rows).",
        ),
        (
            {"total": [[1], [2], [3]]},
            "column total holds list<element: int64>; the contract wants an amount with two decimals there.",
        ),
        (
            {"source_system": ["stripe", "stripe", "zuora"]},
            "column source_system says 'zuora' where the load is of 'stripe'; load each system and instance on "
            "its own.",
        ),
        (
            {"issued_at": [datetime(2026, 3, 2, 5)] * 3},
            "3 of 3 rows happened or changed after the load was made (2026-03-02 02:00:00 UTC); timestamps are UTC, so "
            "check the source's clock and time zone.",
        ),
    ],
)
def test_a_broken_column_is_refused_in_one_sentence(landing, company, invoices, billing, columns, sentence):
    result = landing.load(billing(invoices(3, **columns)), company, MONDAY)

    message = result.messages[0].replace("list<item: ", "list<element: ")
    assert (result.status, message) == ("refused", f"{WHERE}: {sentence}")
    assert landing.loads() == []


def test_a_column_named_twice_is_refused(landing, company, invoices, billing):
    data = invoices(1)
    data = data.append_column("total", pa.array([1]))
    assert landing.load(billing(data), company, MONDAY).messages == (
        f"{WHERE}: column total is there twice; name each column once.",
    )


def test_an_announced_row_count_must_be_met(landing, company, invoices, billing):
    result = landing.load(billing(invoices(3), announced_rows=4), company, MONDAY)
    assert result.messages == (f"{WHERE}: 3 rows arrived where the source announced 4; deliver the file again.",)
    assert landing.load(billing(invoices(3), announced_rows=3), company, MONDAY).status == "committed"


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "scrambled"])
def test_a_broken_parquet_file_is_refused(landing, company, invoices, billing, tmp_path, damage):
    path = tmp_path / "invoices.parquet"
    pq.write_table(invoices(5000), path, compression="none")
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(b"PAR1" + b"\xff" * 3000 + content[3004:])

    result = landing.load(billing(path), company, MONDAY)
    assert result.status == "refused"
    assert result.messages[0].startswith(WHERE)
    words = {
        "missing": "file invoices.parquet is not there; deliver it again.",
        "empty": "file invoices.parquet has no bytes; deliver it again.",
        "cut": "file invoices.parquet is not a whole Parquet file",
        "scrambled": "the data can't be read",
    }
    assert words[damage] in result.messages[0]
    assert "\n" not in result.messages[0]


@pytest.mark.parametrize(
    ("extract", "sentence"),
    [
        (
            lambda data: Extract("biling", "stripe", "incremental", (TableExtract("billing_invoice", data),)),
            "source kind 'biling' is none of crm, billing, support, survey, usage, cs, projects, risk, engagement, "
            "review, text; the closest is 'billing'.",
        ),
        (
            lambda data: Extract("billing", "stripe", "incremental", (TableExtract("billing_invoices", data),)),
            "billing load of stripe: table 'billing_invoices' is none that a billing source has (source_account, "
            "billing_subscription, billing_invoice, billing_payment); the closest is 'billing_invoice'.",
        ),
        (
            lambda data: Extract("billing", "../stripe", "incremental", (TableExtract("billing_invoice", data),)),
            "billing load: source_system is '../stripe'; it must be up to 64 letters, digits, '.', '-' or '_'.",
        ),
        (
            lambda data: Extract("billing", "stripe", "full", (TableExtract("billing_invoice", data),)),
            "billing load of stripe: mode is 'full'; it must be incremental or historical.",
        ),
        (
            lambda data: Extract("billing", "stripe", "incremental", (TableExtract("billing_invoice", data),) * 2),
            "billing load of stripe: table billing_invoice is there twice; deliver it once.",
        ),
    ],
)
def test_a_wrong_name_is_refused(landing, company, invoices, extract, sentence):
    result = landing.load(extract(invoices(1)), company, MONDAY)
    assert (result.status, result.messages) == ("refused", (sentence,))


def test_columns_are_found_by_name_and_others_are_left_out_with_a_warning(landing, company, invoices, billing):
    swapped = invoices(2, due_dat=["2026-01-01"] * 2, note=["n"] * 2)
    result = landing.load(billing(swapped.select(list(reversed(swapped.column_names)))), company, MONDAY)

    assert result.status == "committed"
    assert result.messages == (
        f"{WHERE}: column 'note' is not in the contract and is left out.",
        f"{WHERE}: column 'due_dat' is not in the contract and is left out; did you mean 'due_date'.",
    )
    assert rows_of(landing)[0]["currency"] == "USD"


def test_unknown_words_become_other_or_null_and_are_counted(landing, company):
    contacts = pa.table(
        {
            "contact_id": ["c1", "c2", "c3"],
            "source_account_id": ["a"] * 3,
            "full_name": ["N"] * 3,
            "is_active": [1, 0, 1],
            "role": ["Champion", "boss", None],
        }
    )
    projects = pa.table(
        {
            "project_id": ["p1", "p2"],
            "source_account_id": ["a", "a"],
            "name": ["P", "Q"],
            "status": ["on"] * 2,
            "rag": ["purple", " GREEN "],
        }
    )
    crm = landing.load(Extract("crm", "sf", "incremental", (TableExtract("crm_contact", contacts),)), company, MONDAY)
    pm = landing.load(
        Extract("projects", "jira", "incremental", (TableExtract("pm_project", projects),)), company, MONDAY
    )

    assert [row["role"] for row in rows_of(landing, "crm_contact")] == ["champion", "other", None]
    assert [row["is_active"] for row in rows_of(landing, "crm_contact")] == [True, False, True]
    assert [row["rag"] for row in rows_of(landing, "pm_project")] == [None, "green"]
    assert crm.messages == (
        "crm load of sf, table crm_contact: 1 rows of column role hold words the contract does not know, "
        "such as 'boss' "
        "(it knows decision_maker, champion, economic_buyer, user, detractor, other); they became other.",
    )
    assert pm.messages[0].endswith("such as 'purple' (it knows green, amber, red); they became null.")


def test_a_required_word_that_is_unknown_becomes_other(landing, company, invoices, billing):
    result = landing.load(billing(invoices(2, status=["paid", "written off"])), company, MONDAY)
    assert [row["status"] for row in rows_of(landing)] == ["paid", "other"]
    assert "1 rows of column status" in result.messages[0]


def test_rows_of_the_future_are_set_aside(landing, company, invoices, billing):
    issued = [datetime(2026, 1, 1), datetime(2026, 3, 2, 2, 9), datetime(2026, 3, 2, 5), datetime(2026, 1, 1)]
    result = landing.load(billing(invoices(4, issued_at=issued)), company, MONDAY)

    assert (result.status, result.rows) == ("committed", 3)
    assert result.messages == (
        f"{WHERE}: 1 of 4 rows happened or changed after the load was made (2026-03-02 02:00:00 UTC) and are set aside "
        "in quarantine.",
    )
    assert [row["invoice_id"] for row in rows_of(landing)] == ["i0", "i1", "i3"]
    (aside,) = landing.quarantined()
    assert (aside.status, aside.rows) == ("set_aside", 1)
    kept = pq.read_table(landing.quarantine.table_file(aside, "billing_invoice")).to_pylist()
    assert [row["invoice_id"] for row in kept] == ["i2"]


def test_a_subscription_may_start_later(landing, company):
    data = pa.table(
        {
            "subscription_id": ["s"],
            "source_account_id": ["a"],
            "status": ["active"],
            "currency": ["EUR"],
            "started_at": [datetime(2026, 6, 1)],
        }
    )
    extract = Extract("billing", "stripe", "incremental", (TableExtract("billing_subscription", data),))
    assert landing.load(extract, company, MONDAY).rows == 1


def test_of_rows_with_one_key_the_last_change_is_kept_whatever_their_order(
    landing, company, invoices, billing, tmp_path
):
    changed = [datetime(2026, 1, 3), datetime(2026, 1, 9), None, datetime(2026, 1, 9)]
    data = invoices(4, invoice_id=["i1", "i1", "i1", "i2"], total=[1, 2, 3, 4], source_updated_at=changed)
    result = landing.load(billing(data), company, MONDAY)

    assert result.messages == (
        f"{WHERE}: 2 rows repeat a key (invoice_id); the row with the last source_updated_at is kept.",
    )
    kept = {row["invoice_id"]: row["total"] for row in rows_of(landing)}
    assert kept == {"i1": Decimal("2.00"), "i2": Decimal("4.00")}


def test_times_with_an_offset_become_utc_and_are_not_cut(landing, company, invoices, billing):
    paris = timezone(timedelta(hours=1))
    as_text = ["2026-01-01T01:30:00+01:00", "2026-01-01 00:30:00", "2026-01-01T00:30:00Z"]
    paid = pa.array([datetime(2026, 1, 2, 1, tzinfo=paris)] * 3, pa.timestamp("ms", "Europe/Paris")).to_pylist()
    landing.load(billing(invoices(3, issued_at=as_text, paid_at=paid)), company, MONDAY)

    assert {row["issued_at"] for row in rows_of(landing)} == {datetime(2026, 1, 1, 0, 30)}
    assert {row["paid_at"] for row in rows_of(landing)} == {datetime(2026, 1, 2)}


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/New_York"])
def test_the_host_s_time_zone_does_not_matter(landing, company, invoices, billing, monkeypatch, zone):
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        landing.load(billing(invoices(1, issued_at=["2026-01-01 23:30:00"], due_date=["2026-01-05"])), company, MONDAY)
    finally:
        monkeypatch.undo()
        time.tzset()
    row = rows_of(landing)[0]
    assert (row["issued_at"], str(row["due_date"])) == (datetime(2026, 1, 1, 23, 30), "2026-01-05")
    assert row["loaded_at"] == datetime(2026, 3, 2, 2)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([17850.0, None, 2.0], ["17850", None, "2"]),
        (["17850.0", None, "b"], ["17850.0", None, "b"]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
    ],
)
def test_ids_that_became_floats_are_ids_again(landing, company, invoices, billing, values, wanted):
    landing.load(billing(invoices(3, subscription_id=values)), company, MONDAY)
    assert [row["subscription_id"] for row in rows_of(landing)] == wanted


@pytest.mark.parametrize(
    ("value", "wanted"), [("3", 3), (" 4 ", 4), ("5.0", 5), ("3.7", None), ("1e2", 100), ("", None), (3.7, None)]
)
def test_a_whole_number_never_comes_from_rounding(landing, company, value, wanted):
    data = pa.table({"source_account_id": ["a"], "name": ["A"], "employee_count": [value]})
    result = landing.load(Extract("crm", "sf", "incremental", (TableExtract("source_account", data),)), company, MONDAY)
    if wanted is None and value != "":
        assert result.messages[0].endswith(f"row 1: {value!r} is not a whole number (1 such rows).")
    else:
        assert rows_of(landing, "source_account")[0]["employee_count"] == wanted


@pytest.mark.parametrize("value", ["nan", "inf", float("nan")])
def test_a_number_is_finite(landing, company, value):
    data = pa.table(
        {
            "response_id": ["r"],
            "survey_type": ["nps"],
            "score": [value],
            "scale_min": [0],
            "scale_max": [10],
            "responded_at": [datetime(2026, 1, 1)],
        }
    )
    extract = Extract("survey", "delighted", "incremental", (TableExtract("survey_response", data),))
    assert "is not a finite number" in landing.load(extract, company, MONDAY).messages[0]


HOSTILE = [
    "\ufeffBOM",
    "a\x00b",
    "x" * 1_000_000,
    '=HYPERLINK("http://x")',
    "<script>alert(1)</script>",
    "'; drop table x; --",
]


def test_hostile_text_is_stored_as_data(landing, company):
    data = pa.table({"source_account_id": [str(n) for n in range(len(HOSTILE))], "name": HOSTILE})
    extract = Extract("crm", "sf", "incremental", (TableExtract("source_account", data),))
    assert landing.load(extract, company, MONDAY).status == "committed"
    assert [row["name"] for row in rows_of(landing, "source_account")] == HOSTILE
    assert landing.load(extract, company, MONDAY).status == "duplicate"


def test_every_column_of_the_contract_can_be_cast_from_text_and_from_nothing():
    for table in landing_tables().values():
        for column in table.columns:
            assert cast_expression(column, pa.string()) is not None, (table.name, column.name)
            assert cast_expression(column, pa.null()) is not None, (table.name, column.name)
