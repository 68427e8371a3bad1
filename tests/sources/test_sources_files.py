"""The `files` source: mappings, formats, and what is said when a mapping or a file is wrong."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from health_pipeline.settings import Settings
from health_pipeline.sources.files import load_files
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.mapping import MappingError, read_mapping

MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
HEADER = "InvoiceNo;Customer;Amount;Issued"
LINES = [
    "1001;17850.0;10.50;2026-01-05 10:00:00",
    "1002;17850.0;7.25;2026-01-06 11:30:00",
    "1003;13047.0;99;2026-02-01 09:00:00",
]
INVOICE = {
    "invoice_id": "InvoiceNo",
    "source_account_id": "cast(cast(Customer as double) as bigint)",
    "status": "'paid'",
    "currency": "'EUR'",
    "total": "Amount",
    "amount_due": 0,
    "issued_at": "Issued",
    "source_updated_at": "Issued",
}


class Desk:
    """A data folder, a mapping and a landing to load into."""

    def __init__(self, folder: Path, company) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.settings = Settings(home=folder / "home")
        self.mapping = folder / "mapping.yaml"
        self.company = company
        self.table = {"table": "billing_invoice", "files": "invoices*", "select": dict(INVOICE)}
        self.document = {"sources": [{"kind": "billing", "system": "books", "tables": [self.table]}]}

    def write(self, name: str = "invoices.csv", lines: list[str] | None = None, end: str = "\n") -> Path:
        path = self.data / name
        content = ("\n".join([HEADER, *(LINES if lines is None else lines)]) + end).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    def load(self, **options):
        self.mapping.write_text(yaml.safe_dump(self.document, sort_keys=False))
        return load_files(self.settings, self.company, self.mapping, self.data, MONDAY, **options)

    @property
    def landing(self) -> Landing:
        return Landing(self.settings.landing, self.settings.quarantine)

    def rows(self, table: str = "billing_invoice") -> list[dict]:
        paths = [row["path"] for row in self.landing.manifest().to_pylist() if row["table_name"] == table]
        return [row for path in paths for row in pq.read_table(path).to_pylist()]

    def totals(self) -> dict[str, tuple[str, str]]:
        return {row["invoice_id"]: (row["source_account_id"], str(row["total"])) for row in self.rows()}


TOTALS = {"1001": ("17850", "10.50"), "1002": ("17850", "7.25"), "1003": ("13047", "99.00")}


@pytest.fixture
def desk(tmp_path, company) -> Desk:
    return Desk(tmp_path, company)


@pytest.mark.parametrize("name", ["invoices.csv", "invoices.csv.gz", "invoices.tsv"])
def test_text_files_become_a_load(desk, name):
    path = desk.write(name)
    if name.endswith(".tsv"):
        path.write_text(path.read_text().replace(";", "\t"))
    (result,) = desk.load()

    assert (result.status, result.rows, result.messages) == ("committed", 3, ())
    assert desk.totals() == TOTALS
    assert desk.rows()[0]["issued_at"] == datetime(2026, 1, 5, 10)
    assert desk.rows()[0]["available_at"] == datetime(2026, 3, 2, 2)


def test_parquet_json_and_excel_become_the_same_load(desk):
    columns = HEADER.split(";")
    records = [dict(zip(columns, line.split(";"), strict=True)) for line in LINES]
    pq.write_table(pa.Table.from_pylist(records), desk.data / "invoices.parquet")
    first = desk.load()[0]
    (desk.data / "invoices.parquet").rename(desk.data / "old.parquet")

    (desk.data / "invoices.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert desk.load()[0].status == "duplicate"
    (desk.data / "invoices.jsonl").rename(desk.data / "old.jsonl")

    book = openpyxl.Workbook()
    book.active.append(columns)
    for record in records:
        issued = datetime.fromisoformat(record["Issued"])
        book.active.append([int(record["InvoiceNo"]), float(record["Customer"]), float(record["Amount"]), issued])
    book.save(desk.data / "invoices.xlsx")
    again = desk.load()[0]
    assert (again.status, again.load_id) == ("duplicate", first.load_id)


def test_the_same_file_again_also_renamed_also_split_in_two_is_a_no_op(desk):
    path = desk.write()
    assert desk.load()[0].status == "committed"
    path.rename(desk.data / "invoices-final.csv")
    assert desk.load()[0].status == "duplicate"
    (desk.data / "invoices-final.csv").unlink()
    desk.write("invoices-a.csv", LINES[2:])
    desk.write("invoices-b.csv.gz", LINES[:2])
    assert desk.load()[0].status == "duplicate"


def test_columns_of_several_files_are_brought_together_by_name(desk):
    desk.write("invoices-a.csv", LINES[:1])
    (desk.data / "invoices-b.csv").write_text(
        "Issued;Amount;InvoiceNo;Customer\n2026-01-06 11:30:00;7.25;1002;17850.0\n2026-02-01 09:00:00;99;1003;13047.0\n"
    )
    desk.load()
    assert desk.totals() == TOTALS


def test_views_group_and_several_kinds(desk):
    desk.write()
    desk.document = {
        "inputs": {"raw": {"files": "invoices.csv", "delimiter": ";"}},
        "views": {
            "sales": "select *, cast(Amount as decimal(18,2)) as value from raw where InvoiceNo <> '1003'",
            "buyers": "select Customer as id, min(cast(Issued as timestamp)) as first_at from sales group by Customer",
        },
        "sources": [
            {
                "kind": "billing",
                "system": "books",
                "latency_hours": 5,
                "tables": [
                    {"table": "billing_invoice", "from": "sales", "where": "value > 8", "select": INVOICE},
                    {
                        "table": "source_account",
                        "from": "sales",
                        "group_by": "Customer",
                        "select": {"source_account_id": "Customer", "name": "min(Customer)"},
                    },
                ],
            },
            {
                "kind": "usage",
                "system": "books",
                "tables": [
                    {
                        "table": "source_account",
                        "query": "select id as source_account_id, 'Customer ' || id as name from buyers",
                    }
                ],
            },
        ],
    }
    results = desk.load(historical=True)

    assert [(result.source_kind, result.status, result.rows) for result in results] == [
        ("billing", "committed", 2),
        ("usage", "committed", 1),
    ]
    assert desk.totals() == {"1001": TOTALS["1001"]}
    assert desk.rows()[0]["available_at"] == datetime(2026, 1, 5, 15)
    assert sorted(row["name"] for row in desk.rows("source_account")) == ["17850.0", "Customer 17850.0"]


def test_a_check_says_what_would_come_in_and_writes_nothing(desk):
    desk.write()
    (result,) = desk.load(check=True)
    assert (result.status, result.rows) == ("ready", 3)
    desk.write(lines=[])
    assert desk.load(check=True)[0].status == "refused"
    assert not desk.settings.home.exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("invoices.csv", b"", "invoices.csv has no bytes; deliver it again."),
        (
            "invoices.csv",
            f"{HEADER}\n".encode(),
            "invoices.csv has a header and no rows; deliver it again, or say may_be_empty: true in the mapping if that "
            "is right.",
        ),
        (
            "invoices.csv",
            "\n".join([HEADER, *LINES])[:-6].encode(),
            "invoices.csv does not end with a line break, so its last line may be cut; deliver it again, or say "
            "may_lack_last_newline: true in the mapping if it is always like that.",
        ),
        (
            "invoices.csv.gz",
            gzip.compress("\n".join([HEADER, *LINES, ""]).encode())[:-12],
            "invoices.csv.gz is not a whole gzip file (",
        ),
        ("invoices.parquet", b"PAR1 but no more", "invoices.parquet is not a whole Parquet file ("),
        (
            "invoices.xlsx",
            b"PK\x03\x04 but no more",
            "invoices.xlsx is not a whole Excel file (.xlsx); deliver it again.",
        ),
        ("invoices.json", b'[{"InvoiceNo": "1001"}, {"Inv', "invoices.json is not whole JSON ("),
        ("invoices.csv", f"{HEADER}\n{LINES[0]}\n1002;17850.0\n{LINES[2]}\n".encode(), "invoices.csv can't be read ("),
        (
            "invoices.csv",
            f"{HEADER}\n{LINES[0]}\n\xff\xfe\xfa;1;2;3\n".encode("latin-1"),
            "invoices.csv can't be read (",
        ),
        ("invoices.dat", b"x", "invoices.dat has a name that says no format; say format: csv, parquet, json or excel"),
    ],
)
def test_a_broken_file_is_refused_and_kept_in_quarantine(desk, name, content, sentence):
    (desk.data / name).write_bytes(content)
    (result,) = desk.load()

    assert result.status == "refused"
    assert result.messages[0].startswith(f"billing load of books: file {sentence}")
    assert "\n" not in result.messages[0]
    assert desk.landing.loads() == []
    (refused,) = desk.landing.quarantined()
    assert (refused.reason, refused.load_id) == (result.messages[0], result.load_id)
    (kept,) = [path for path in (desk.settings.quarantine / refused.load_id).iterdir() if path.name != "load.json"]
    assert kept.read_bytes() == content


CANARY = "we are leaving, says zanarik@customer.example"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"1002;17850.0;7.25;{CANARY}", "invoices.csv row 30003: a text of 45 characters is not a UTC timestamp"),
        (f"1002;17850.0;{CANARY};2026-01-06", "invoices.csv row 30003: a text of 45 characters is not an amount"),
        (
            f"1002;17850.0;7.25;{CANARY[:14]};{CANARY};2026-01-06",
            "invoices.csv can't be read (CSV Error on Line: 30003",
        ),
        (f"1002;{CANARY}", "invoices.csv can't be read (CSV Error on Line: 30003"),
    ],
    ids=["a date", "an amount", "too many columns", "too few columns"],
)
def test_a_row_that_slipped_by_a_column_quotes_nobody(desk, line, sentence):
    """What is refused is logged and posted to the webhook."""
    desk.table["select"]["source_account_id"] = "Customer"
    # So far down that the file's form is told by the rows before it, which are sound.
    desk.write(lines=[*(f"{n};1;5;2026-01-01" for n in range(30_001)), line, LINES[2]])
    (result,) = desk.load()
    assert result.status == "refused"
    assert sentence in result.messages[0]
    (refused,) = desk.landing.quarantined()
    for said in (*result.messages, refused.reason):
        assert not [word for word in ("zanarik", "leaving", "we are") if word in said]


def test_a_sentence_in_a_vocabulary_and_in_a_cast_is_not_quoted(desk):
    desk.table["select"]["status"] = "Customer"
    desk.table["select"]["source_account_id"] = "'a'"
    desk.write(lines=[f"1001;{CANARY};7.25;2026-01-06"])
    (result,) = desk.load()
    assert "hold words the contract does not know, such as a text of 45 characters (it knows" in result.messages[0]
    desk.write(lines=[LINES[0], f"1002;1;7.25;{CANARY}"])
    desk.table["select"] = {**INVOICE, "issued_at": "cast(Issued as timestamp)"}
    with pytest.raises(MappingError) as error:
        desk.load()
    assert "a text of 45 characters, at invoices.csv row 3 (column Issued)." in str(error.value)
    assert "zanarik" not in f"{result.messages} {error.value}"


@pytest.mark.parametrize("cut", [2, 4], ids=["10000 becomes 100", "10000 becomes 1"])
def test_a_number_that_was_cut_is_not_read(desk, cut):
    """It would be read silently: 10 is a number as good as 10000."""
    path = desk.write(lines=["1001;1;5;2026-01-05", "1002;1;5;2026-01-05"])
    path.write_bytes(
        b"Issued;InvoiceNo;Customer;Amount\n2026-01-05;1001;1;10000\n2026-01-05;1002;1;10000\n"[: -1 - cut]
    )
    (result,) = desk.load()
    assert result.status == "refused"
    assert "does not end with a line break, so its last line may be cut" in result.messages[0]
    assert desk.landing.loads() == []


def checksum_of(path: Path) -> Path:
    """As `sha256sum` writes it."""
    announced = path.with_name(f"{path.name}.sha256")
    announced.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return announced


def test_a_file_that_was_cut_between_two_rows_is_told_by_its_checksum(desk):
    path = desk.write()
    announced = checksum_of(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"1003")])
    (result,) = desk.load()
    assert result.status == "refused"
    assert result.messages == (
        "billing load of books: file invoices.csv is not the file that invoices.csv.sha256 was made of, so it was cut "
        "or changed; deliver both again.",
    )
    assert desk.landing.loads() == []
    assert [load.reason for load in desk.landing.quarantined()] == list(result.messages)
    path.write_bytes(whole)
    assert (desk.load()[0].status, desk.totals()) == ("committed", TOTALS)
    announced.write_text("cut")
    assert "has a checksum beside it that is none (invoices.csv.sha256)" in desk.load()[0].messages[0]


def test_a_mapping_can_want_a_checksum(desk):
    """Without one a cut between two rows is seen by nobody: that much is said here."""
    path = desk.write(lines=LINES[:2])
    desk.table["files"] = {"files": "invoices*", "needs_checksum": True}
    assert desk.load()[0].messages == (
        "billing load of books: file invoices.csv has no invoices.csv.sha256 beside it, which the mapping wants; "
        "deliver both.",
    )
    checksum_of(path)
    assert (desk.load()[0].status, desk.load()[0].status) == ("committed", "duplicate")


def test_what_a_mapping_allows_is_not_refused(desk):
    desk.write(lines=[])
    desk.table["files"] = {"files": "invoices.csv", "may_be_empty": True, "may_lack_last_newline": True}
    assert [(result.status, result.rows) for result in desk.load()] == [("committed", 0)]
    desk.write(end="")
    assert [(result.status, result.rows) for result in desk.load()] == [("committed", 3)]


def test_a_bad_value_far_down_is_named_with_its_file_and_row(desk):
    lines = [f"{n};1;5;2026-01-01" for n in range(30_000)] + ["30000;1;n/a;2026-01-01"]
    desk.write(lines=lines)
    (result,) = desk.load()
    assert result.messages == (
        "billing load of books, table billing_invoice: column total, invoices.csv row 30002: 'n/a' is not an "
        "amount with "
        "two decimals (1 such rows).",
    )


@pytest.mark.parametrize(
    ("column", "expression", "sentence"),
    [
        ("total", "Amnt", "column total (Amnt): the file has no column 'Amnt'; the closest is 'Amount'."),
        (
            "currency",
            "Curr",
            "column currency (Curr): the file has no column 'Curr'; it has InvoiceNo, Customer, Amount, Issued.",
        ),
        ("total", "cast(Issued as integer)", "column total (cast(Issued as integer)): Conversion Error: "),
        ("total", "nonsense(Amount)", "column total (nonsense(Amount)): Catalog Error: "),
        ("total", "Amount +", "column total (Amount +): Parser Error: "),
        ("total", "(select content from read_text('/etc/hostname'))", "column total ("),
    ],
)
def test_a_select_that_does_not_fit_names_the_column(desk, column, expression, sentence):
    desk.write()
    desk.table["select"][column] = expression
    with pytest.raises(MappingError) as error:
        desk.load()
    assert str(error.value).startswith(f"{desk.mapping}: table billing_invoice, {sentence}")
    assert "\n" not in str(error.value)
    assert not desk.settings.home.exists()


def test_a_where_that_does_not_fit_is_named(desk):
    desk.write()
    desk.table["where"] = "Amont > '8'"
    with pytest.raises(
        MappingError, match=r"where \(Amont > '8'\): the file has no column 'Amont'; the closest is 'Amount'\.$"
    ):
        desk.load()


def test_a_value_that_a_cast_of_the_mapping_can_t_read_is_named_with_its_row(desk):
    desk.write(lines=[LINES[0], "1002;17850.0;7.25;yesterday", LINES[2]])
    desk.table["select"]["issued_at"] = "cast(Issued as timestamp)"
    with pytest.raises(
        MappingError, match=r"column issued_at .*yesterday.*, at invoices.csv row 3 \(column Issued\)\.$"
    ):
        desk.load()


def test_missing_files_and_folders_are_named(desk):
    desk.write("invoice.csv")
    with pytest.raises(
        MappingError, match=r"data holds no file 'invoices\*'; the closest name there is 'invoice.csv'\."
    ):
        desk.load()
    desk.data = desk.data / "nowhere"
    with pytest.raises(MappingError, match=r"nowhere is not a folder; name the folder of your files \(--data\)\."):
        desk.load()


def test_a_mode_the_mapping_does_not_have_is_refused(desk):
    desk.write()
    desk.document["sources"][0]["modes"] = ["historical"]
    with pytest.raises(
        MappingError, match="is for historical loads only, and this is a incremental one \\(add --historical\\)"
    ):
        desk.load()
    assert desk.load(historical=True)[0].status == "committed"


def _without(name):
    return {column: expression for column, expression in INVOICE.items() if column != name}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"kind": "biling"}, "sources.0.kind: must be one of crm, billing,"),
        (
            {"tables": [{"table": "billing_invoces", "files": "x", "select": INVOICE}]},
            "the closest name is 'billing_invoice'.",
        ),
        (
            {"tables": [{"table": "billing_invoice", "files": "x", "select": _without("issued_at")}]},
            "billing_invoice needs column issued_at (timestamp), which select does not give; it gives invoice_id,",
        ),
        (
            {"tables": [{"table": "billing_invoice", "files": "x", "select": {**INVOICE, "duedate": "d"}}]},
            "billing_invoice has no column 'duedate' in the contract; the closest name is 'due_date'.",
        ),
        (
            {"tables": [{"table": "billing_invoice", "from": "lines", "select": INVOICE}]},
            "reads from 'lines', which is neither",
        ),
        (
            {"tables": [{"table": "billing_invoice", "select": INVOICE}]},
            "needs either from (an input or view) or files",
        ),
        ({"tables": [{"table": "billing_invoice", "files": "x"}]}, "needs either select (column: expression) or query"),
        ({"tables": [{"table": "billing_invoice", "files": "../x", "select": INVOICE}]}, "inside the data folder"),
        ({"tabels": []}, "sources.0.tabels: Extra inputs are not permitted"),
        ({"tables": []}, "sources.0: tables names none; a billing source has source_account,"),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_sentence(desk, source, sentence):
    desk.document["sources"][0].update(source)
    with pytest.raises(MappingError) as error:
        desk.load()
    assert str(error.value).startswith(f"{desk.mapping}: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sources: [", "is not YAML"),
        ("- a", "must hold keys and values at its top; it holds list."),
        (None, "is not there"),
    ],
)
def test_a_mapping_that_is_no_mapping(tmp_path, text, sentence):
    path = tmp_path / "mapping.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MappingError, match=sentence):
        read_mapping(path)


def test_hostile_text_and_a_byte_order_mark_in_a_file_are_data(desk):
    path = desk.write(lines=["=1+1;1;5;2026-01-01", '"<b>; x";1;5;2026-01-01', f"{'y' * 1_000_000};1;5;2026-01-01"])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert desk.load()[0].status == "committed"
    assert sorted(desk.totals(), key=len) == ["=1+1", "<b>; x", "y" * 1_000_000]
