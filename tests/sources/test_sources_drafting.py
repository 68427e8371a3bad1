"""`mapping init` on exports as vendors write them: what each file and column becomes, what is left to decide."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import vendor_exports
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor_exports import write_csv

from health_pipeline.contract.landing import SOURCE_KINDS, landing_tables
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.settings import Settings
from health_pipeline.sources.drafting.command import draft_mapping, write_mapping
from health_pipeline.sources.drafting.document import scalar
from health_pipeline.sources.drafting.headers import read_header
from health_pipeline.sources.drafting.knowledge import table_words
from health_pipeline.sources.drafting.plan import Options
from health_pipeline.sources.files import load_files
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.mapping import MappingError, read_mapping

NOW = datetime(2026, 11, 20, tzinfo=UTC)


class Drafted:
    """A folder, its draft, and what came into the landing through it."""

    def __init__(self, folder: Path, home: Path, company: CompanyPolicy, **options: Any):
        self.folder, self.home = folder, home
        self.draft = draft_mapping(folder, Options(**options))
        self.mapping = home / "mapping.yaml"
        self.mapping.write_text(self.draft.text, encoding="utf-8")
        self.company = company

    def load(self) -> None:
        results = load_files(Settings(home=self.home), self.company, self.mapping, self.folder, NOW, historical=True)
        assert [result.status for result in results] == ["committed"] * len(results), results

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query the landed tables by their names."""
        landing = Landing(self.home / "landing", self.home / "quarantine")
        with duckdb.connect() as con:
            for table in landing_tables():
                paths = [
                    row["path"] for row in landing.manifest().to_pylist() if row["table_name"] == table and row["rows"]
                ]
                if paths:
                    con.execute(f"create view {table} as select * from read_parquet({paths})")
            return con.execute(query).fetchall()


@pytest.fixture
def drafted(tmp_path: Path, company: CompanyPolicy) -> Any:
    def make(*vendors: str, **options: Any) -> Drafted:
        folder, home = tmp_path / "exports", tmp_path / "home"
        folder.mkdir()
        home.mkdir()
        for vendor in vendors:
            vendor_exports.ALL[vendor](folder)
        return Drafted(folder, home, company, **options)

    return make


@pytest.mark.parametrize(
    ("vendor", "kind", "tables"),
    [
        ("hubspot", "crm", ["source_account", "crm_contact", "crm_opportunity"]),
        ("salesforce", "crm", ["source_account", "crm_opportunity"]),
        ("stripe", "billing", ["source_account", "billing_invoice", "billing_payment", "billing_subscription"]),
        ("zendesk", "support", ["source_account", "support_ticket"]),
        ("intercom", "support", ["source_account", "support_ticket"]),
        ("gainsight", "cs", ["source_account", "cs_note"]),
        ("jira", "support", ["source_account", "support_ticket"]),
        ("delighted", "survey", ["source_account", "survey_response"]),
    ],
)
def test_every_vendors_export_is_recognised_and_loads(drafted: Any, vendor: str, kind: str, tables: list[str]) -> None:
    export = drafted(vendor)
    (source,) = read_mapping(export.mapping).sources
    assert (source.kind, source.system, [table.table for table in source.tables]) == (kind, vendor, tables)
    assert not [one for one in export.draft.decisions if one.is_required]
    export.load()
    for table in tables:
        assert export.rows(f"select count(*) from {table}") == [(6,)]


def test_hubspots_deals_find_their_company_in_a_list_of_ids(drafted: Any) -> None:
    export = drafted("hubspot")
    export.load()
    assert export.rows(
        "select source_account_id, type, is_closed, is_won, closed_at, currency from crm_opportunity "
        "order by opportunity_id limit 3"
    ) == [
        ("15800000007", "expansion", True, True, datetime(2026, 9, 1, 9), "EUR"),
        ("15800000014", "expansion", False, False, None, "EUR"),
        ("15800000021", "new", True, True, datetime(2026, 9, 3, 9), "EUR"),
    ]
    assert export.rows("select distinct full_name, role from crm_contact order by 1 limit 2") == [
        ("Ada Person1", "economic_buyer"),
        ("Ada Person2", "champion"),
    ]


def test_a_persons_name_never_becomes_an_owners_address(drafted: Any) -> None:
    export = drafted("hubspot")
    export.load()
    assert export.rows("select count(owner_email) from source_account") == [(0,)]
    assert any(one.text.startswith("owner_email: it holds no e-mail addresses") for one in export.draft.decisions)


def test_stripes_revenue_waits_for_a_decision_and_then_is_per_seat_and_year(drafted: Any) -> None:
    export = drafted("stripe")
    assert any(one.text.startswith("arr: say whether the amount is per seat") for one in export.draft.decisions)
    lines = export.mapping.read_text().splitlines()
    commented = next(line for line in lines if line.strip().startswith("# arr:"))
    lines[lines.index(commented)] = commented.replace("# arr:", "arr:")
    export.mapping.write_text("\n".join(lines))
    export.load()
    assert export.rows("select arr, currency, cancel_at, canceled_at from billing_subscription order by 1 limit 2") == [
        (Decimal("2940.00"), "USD", None, None),
        (Decimal("5880.00"), "USD", datetime(2026, 12, 2, 11, 21), None),
    ]
    assert export.rows("select status, failure_code, count(*) from billing_payment group by all order by 1") == [
        ("failed", "card_declined", 1),
        ("succeeded", None, 5),
    ]


def test_zendesks_minutes_become_times_and_its_words_the_contracts(drafted: Any) -> None:
    export = drafted("zendesk")
    export.load()
    assert export.rows(
        "select source_account_id, status, first_response_at, solved_at, reopen_count from support_ticket "
        "order by ticket_id limit 2"
    ) == [
        ("Alder Foods", "closed", datetime(2026, 9, 1, 8, 27), datetime(2026, 9, 4, 16, 40), 1),
        ("Birch & Co", "hold", datetime(2026, 9, 2, 8, 39), None, 2),
    ]
    assert export.rows("select domain, source_created_at from source_account order by source_account_id limit 1") == [
        ("alder.example", datetime(2026, 9, 1, 8, 15))
    ]


def test_intercoms_seconds_are_times(drafted: Any) -> None:
    export = drafted("intercom")
    export.load()
    assert export.rows("select status, created_at, closed_at from support_ticket order by ticket_id limit 2") == [
        ("closed", datetime(2026, 8, 30, 10, 40), datetime(2026, 8, 31, 11, 40)),
        ("pending", datetime(2026, 8, 31, 10, 40), None),
    ]


def test_gainsights_american_days_are_told_by_their_values(drafted: Any) -> None:
    export = drafted("gainsight")
    export.load()
    assert export.rows(
        "select source_account_id, occurred_at, duration_minutes from cs_note order by note_id limit 1"
    ) == [("1P021ABCDEF", datetime(2026, 9, 13, 14, 30), 45)]
    assert export.rows("select external_account_id from source_account order by source_account_id limit 1") == [
        ("0015g00000AAAA1AAX",)
    ]


def test_a_year_of_two_digits_is_this_century(drafted: Any) -> None:
    export = drafted("jira")
    export.load()
    assert export.rows("select created_at, solved_at, status from support_ticket order by ticket_id limit 1") == [
        (datetime(2026, 9, 1, 14, 22), datetime(2026, 9, 9, 14, 20), "solved")
    ]


def test_a_zone_in_the_header_is_kept(drafted: Any) -> None:
    export = drafted("delighted")
    export.load()
    # 23:30 in Los Angeles in September is 06:30 UTC the day after
    assert export.rows("select responded_at, score, scale_min, scale_max from survey_response order by 1 limit 1") == [
        (datetime(2026, 9, 2, 6, 30), 5.0, 0.0, 10.0)
    ]
    assert export.rows("select min(domain), max(source_account_id) from source_account") == [
        ("alder.example", "fjord.example")
    ]


def test_two_systems_are_linked_by_the_ids_their_files_share(drafted: Any) -> None:
    export = drafted("salesforce", "gainsight", "zendesk")
    text = export.draft.text
    assert "100% of 'SFDC Account ID' are ids in account" in text or "from 'SFDC Account ID'" in text
    # organisations are names: evidence that only a person may accept
    assert any("are names of accounts in account" in one.text for one in export.draft.decisions)
    export.load()
    assert export.rows("select count(external_account_id) from source_account") == [(6,)]


def test_german_numbers_and_days_of_a_company_of_its_own(tmp_path: Path, company: CompanyPolicy) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_csv(
        folder / "Kunden.csv",
        ["Kundennummer", "Firma", "Website", "Branche", "Land"],
        [[f"K-{n}", f"Firma {n}", f"firma{n}.example", "Handel", "Österreich"] for n in range(1, 6)],
        ";", "latin-1",
    )  # fmt: skip
    write_csv(
        folder / "Rechnungen.csv",
        ["Rechnungsnummer", "Kundennummer", "Rechnungsdatum", "Betrag", "Status"],
        [
            [f"R-{n}", f"K-{n}", f"{n + 12}.03.2026", f"€ 1.{n}00,50", "bezahlt" if n % 2 else "offen"]
            for n in range(1, 6)
        ],
        ";",
    )
    export = Drafted(folder, tmp_path, company)
    assert "encoding: latin-1" in export.draft.text
    export.load()
    assert export.rows(
        "select source_account_id, total, amount_due, currency, status, issued_at from billing_invoice "
        "order by 1 limit 2"
    ) == [
        ("K-1", Decimal("1100.50"), Decimal("0.00"), "EUR", "paid", datetime(2026, 3, 13)),
        ("K-2", Decimal("1200.50"), Decimal("1200.50"), "EUR", "open", datetime(2026, 3, 14)),
    ]
    assert export.rows("select distinct country from source_account where country is not null") == [("Österreich",)]


def invoices(folder: Path, days: list[str], amounts: list[str] | None = None) -> None:
    write_csv(
        folder / "invoices.csv",
        ["Invoice ID", "Customer ID", "Invoice Date", "Total", "Status"],
        [[f"i{n}", f"c{n}", day, (amounts or ["10.00"] * len(days))[n], "paid"] for n, day in enumerate(days)],
    )


def test_days_that_can_be_read_in_two_ways_are_asked(tmp_path: Path, company: CompanyPolicy) -> None:
    invoices(tmp_path, ["03/04/2026", "05/06/2026", "01/02/2026"])
    draft = draft_mapping(tmp_path, Options(currency="EUR"))
    (needed,) = [one for one in draft.decisions if one.is_required]
    assert needed.text == "issued_at is required: day and month can't be told apart: %d/%m/%Y or %m/%d/%Y"
    assert """# issued_at: strptime(nullif(trim("Invoice Date"), ''), '%d/%m/%Y')""" in draft.text
    assert """# issued_at: strptime(nullif(trim("Invoice Date"), ''), '%m/%d/%Y')""" in draft.text


def test_a_currency_that_no_file_says_is_asked_not_taken(tmp_path: Path) -> None:
    invoices(tmp_path, ["2026-03-04", "2026-03-05", "2026-03-06"])
    draft = draft_mapping(tmp_path)
    (needed,) = [one for one in draft.decisions if one.is_required]
    assert needed.text.startswith("currency is required: no column says it")
    (tmp_path / "mapping.yaml").write_text(draft.text)
    with pytest.raises(MappingError, match="billing_invoice needs column currency"):
        read_mapping(tmp_path / "mapping.yaml")


def test_the_zone_of_the_company_is_used_for_times_without_one(tmp_path: Path, company: CompanyPolicy) -> None:
    invoices(tmp_path, ["2026-07-04 00:30", "2026-07-05 09:00", "2026-07-06 09:00"])
    home = tmp_path / "home"
    home.mkdir()
    export = Drafted(tmp_path, home, company, currency="EUR", time_zone="Europe/Berlin")
    export.load()
    assert export.rows("select min(issued_at) from billing_invoice") == [(datetime(2026, 7, 3, 22, 30),)]


def test_monthly_files_of_one_form_become_one_pattern(tmp_path: Path) -> None:
    for month in ("2026-01", "2026-02"):
        write_csv(
            tmp_path / f"tickets_{month}.csv",
            ["Ticket ID", "Account ID", "Created at", "Status", "Priority", "Subject"],
            [[f"{month}-{n}", f"a{n}", f"{month}-03 10:00", "open", "low", "x"] for n in range(3)],
        )
    draft = draft_mapping(tmp_path)
    assert "tickets: {files: tickets*.csv}" in draft.text
    assert draft.files == ("tickets_2026-01.csv, tickets_2026-02.csv: support_ticket of support (support), 6 rows",)


def test_a_file_that_is_nothing_known_stands_as_a_comment(tmp_path: Path) -> None:
    write_csv(tmp_path / "weather.csv", ["station", "wind", "rain"], [["a", 1, 2], ["b", 3, 4]])
    draft = draft_mapping(tmp_path)
    assert yaml.safe_load(draft.text)["sources"] == []
    assert "# decide: no file is surely one of the tables" in draft.text


def test_what_cant_be_read_is_named_and_the_rest_drafted(tmp_path: Path) -> None:
    invoices(tmp_path, ["2026-03-04", "2026-03-05", "2026-03-06"])
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing")
    (tmp_path / "notes.docx").write_bytes(b"x")
    draft = draft_mapping(tmp_path, Options(currency="EUR"))
    assert len(draft.unreadable) == 3
    assert draft.text.count("# not read: ") == 3
    assert draft.files == ("invoices.csv: billing_invoice of billing (billing), 3 rows",)


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    invoices(tmp_path, ["2026-03-04"])
    target = tmp_path / "mapping.yaml"
    target.write_text("mine")
    with pytest.raises(MappingError, match="is there already and is left as it is"):
        write_mapping(draft_mapping(tmp_path), target)
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [({"currency": "euro"}, "no ISO 4217 code"), ({"time_zone": "Berlin"}, "no name of the IANA database")],
)
def test_options_that_are_none_are_refused(tmp_path: Path, options: dict[str, str], said: str) -> None:
    invoices(tmp_path, ["2026-03-04"])
    with pytest.raises(MappingError, match=said):
        draft_mapping(tmp_path, Options(**options))


def test_a_folder_without_files_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"x")
    with pytest.raises(MappingError, match=r"holds no CSV, Parquet, JSON or Excel file; it holds logo.png"):
        draft_mapping(tmp_path)


@pytest.mark.parametrize(
    ("text", "words", "zone", "currency"),
    [
        ("Created At (UTC)", ("created", "at"), "UTC", None),
        ("LastModifiedDate", ("last", "modified", "date"), None, None),
        ("MRR (EUR)", ("mrr",), None, "EUR"),
        ("organization_id (metadata)", ("organization", "id", "metadata"), None, None),
        ("Größe", ("große",), None, None),
        ("Response date (PST)", ("response", "date"), "America/Los_Angeles", None),
    ],
)
def test_headers_are_taken_apart(text: str, words: tuple[str, ...], zone: str | None, currency: str | None) -> None:
    header = read_header(text)
    assert (header.words, header.zone, header.currency) == (words, zone, currency)


@given(st.text())
def test_any_text_survives_as_a_scalar(text: str) -> None:
    written = scalar(text)
    assert "\n" not in written
    assert yaml.safe_load(f"a: {written}") == {"a": text}


_HEADERS = st.one_of(
    st.sampled_from(
        [
            "id",
            "ID",
            "Account ID",
            "name",
            "Name",
            "Status",
            "Created at",
            "Amount",
            "Total",
            "Email",
            "score",
            "date",
            "Currency",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
_CELLS = st.one_of(
    st.sampled_from(
        ["", "1", "2026-01-02", "01/02/2026", "true", "€ 1,50", "a@b.example", "1700000000", "paid", "x;y"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_HEADERS, min_size=1, max_size=6).flatmap(
        lambda header: st.tuples(
            st.just(header), st.lists(st.lists(_CELLS, min_size=len(header), max_size=len(header)), max_size=4)
        )
    ),
    st.sampled_from(["data.csv", "accounts.csv", "invoices.csv", "it's [a] {file}.csv"]),
)
def test_whatever_the_headers_are_the_draft_reads_back(
    tmp_path_factory: pytest.TempPathFactory, content: tuple[list[str], list[list[str]]], name: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    write_csv(folder / name, *content)
    draft = draft_mapping(folder)
    document = yaml.safe_load(draft.text)
    assert set(document) <= {"inputs", "views", "sources"}
    mapping = folder / "mapping.yaml"
    write_mapping(draft, mapping)
    needed = [one for one in draft.decisions if one.is_required]
    try:
        read_mapping(mapping)
    except MappingError:
        # it may ask, and then it says where
        assert needed or document["sources"] == []
    else:
        assert not needed


def test_the_date_of_customers_is_their_creation_where_no_other_is(tmp_path: Path, company: CompanyPolicy) -> None:
    write_csv(
        tmp_path / "accounts.csv",
        ["Account ID", "Account Name", "Customer Since"],
        [[f"a-{n}", f"Name {n}", f"2024-05-0{n}"] for n in range(1, 5)],
    )
    home = tmp_path / "home"
    home.mkdir()
    export = Drafted(tmp_path, home, company)
    export.load()
    assert export.rows(
        "select customer_since, source_created_at, available_at from source_account order by 1 limit 1"
    ) == [(date(2024, 5, 1), datetime(2024, 5, 1), datetime(2024, 5, 2))]


def test_every_table_of_a_source_can_be_drafted() -> None:
    sources = {name for name, table in landing_tables().items() if set(table.kinds) & set(SOURCE_KINDS)}
    assert table_words().keys() == sources
