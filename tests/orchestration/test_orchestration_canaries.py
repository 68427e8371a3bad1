"""Canary records: a token in every text and person field of the sources reaches neither mart, log nor metadata."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from otlp_receiver import Received, collector

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.published import read_published
from health_pipeline.orchestration.demo import configure_sources
from health_pipeline.orchestration.run import run_weekly
from health_pipeline.publication.releases import current_release
from health_pipeline.reporting.explain_packet import explain_packet, packet_lines
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing

WEEK = Week(date(2026, 3, 30))
TOKEN = "zanarikw7x"
# What people of the customer are called, and what anybody wrote. Owners are employees, accounts are companies.
TEXTS = {
    "crm_contact": ("full_name",),
    "crm_opportunity": ("loss_reason",),
    "support_ticket": ("subject", "body"),
    "support_message": ("body",),
    "survey_response": ("comment",),
    "cs_note": ("subject", "body"),
    "cs_goal": ("name", "description"),
    "pm_milestone": ("name",),
    "risk": ("title", "description", "close_reason"),
}
ADDRESSES = {
    "crm_contact": ("email",),
    "support_ticket": ("requester_email",),
    "survey_response": ("contact_email",),
    "cs_note": ("attendee_emails", "invited_emails"),
}
# The private stores: what was landed, the pipeline's own warehouse, and what the desk alone reads.
PRIVATE = ("landing", "quarantine", "warehouse", "restricted")


def with_canaries(table: TableExtract) -> TableExtract:
    """The table with the token before and after each text, and in the local part of each address."""
    data = pq.read_table(table.data) if isinstance(table.data, Path) else table.data
    for name in TEXTS.get(table.table, ()):
        if name in data.column_names:
            column = data[name].cast(pa.string())
            marked = pc.binary_join_element_wise(TOKEN, column, TOKEN, " ")
            data = data.set_column(data.column_names.index(name), name, marked)
    for name in ADDRESSES.get(table.table, ()):
        if name in data.column_names:
            marked = pc.replace_substring(data[name].cast(pa.string()), "@", f".{TOKEN}@")
            data = data.set_column(data.column_names.index(name), name, marked)
    return replace(table, data=data)


def files_with_token(home: Path, folders: tuple[str, ...] | None = None) -> Iterator[str]:
    """Files under the home that hold the token: tables are read, everything else is searched byte by byte."""
    for path in sorted(home.rglob("*")):
        inside = path.relative_to(home).parts
        is_searched = inside[0] not in PRIVATE if folders is None else inside[0] in folders
        if path.is_file() and not path.is_symlink() and is_searched and _holds_token(path):
            yield "/".join(inside)


def _holds_token(path: Path) -> bool:
    if TOKEN in path.name:
        return True
    if path.suffix == ".parquet":
        return _table_holds_token(pq.read_table(path))
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            names = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            return any(
                _table_holds_token(connection.execute(f'select * from "{schema}"."{name}"').to_arrow_table())
                for schema, name in names
            )
    return TOKEN.encode() in path.read_bytes().lower()


def _table_holds_token(table: pa.Table) -> bool:
    texts = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
    return any(pc.any(pc.match_substring(table[name], TOKEN, ignore_case=True)).as_py() for name in texts)


@pytest.fixture(scope="module")
def marked_review(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Received]:
    """A small demo company with canaries in every text and person field, reviewed for one week; and its telemetry."""
    home = tmp_path_factory.mktemp("canaries") / "home"
    configure_sources(Settings(home=home), seed=3, accounts=40)
    land = Landing.load

    def load_marked(self: Landing, extract: Extract, *given: object, **named: object) -> object:
        marked = replace(extract, tables=tuple(with_canaries(table) for table in extract.tables))
        return land(self, marked, *given, **named)  # type: ignore[arg-type]

    # Every line that any logger says, ours and the libraries', is searched like the other files.
    (home / "logs").mkdir(parents=True)
    lines = logging.FileHandler(home / "logs" / "said.log", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, collector() as received:
        patch.setattr(Landing, "load", load_marked)
        for name in ("", "health_pipeline", "dagster"):
            patch.setattr(logging.getLogger(name), "handlers", [*logging.getLogger(name).handlers, lines])
        patch.setattr(logging.getLogger("health_pipeline"), "level", logging.DEBUG)
        settings = Settings(home=home, otel_endpoint=received.endpoint)
        assert run_weekly(settings, [WEEK]).is_published
    return settings.home, received


@pytest.fixture(scope="module")
def marked_home(marked_review: tuple[Path, Received]) -> Path:
    """Its state folder."""
    return marked_review[0]


@pytest.mark.long
def test_no_canary_leaves_the_private_stores(marked_home: Path) -> None:
    assert list(files_with_token(marked_home)) == []
    said = (marked_home / "logs" / "said.log").read_text(encoding="utf-8")
    assert all(f'"event": "{line}"' in said for line in ("pulled", "texts_read", "audited", "published")), said[-2000:]
    # the run did speak of risks, and of what texts say
    release = current_release(Settings(home=marked_home))
    assert release is not None
    with duckdb.connect(str(release.file), read_only=True) as mart:
        assert mart.execute("select count(*) from risk_packets").fetchall()[0][0] > 0
        assert mart.execute("select count(*) from risk_evidence where kind = 'reported'").fetchall()[0][0] > 0


@pytest.mark.long
def test_explaining_a_packet_prints_the_records_behind_it_and_words_in_the_brief_alone(marked_home: Path) -> None:
    settings = Settings(home=marked_home)
    packets = [row["packet_id"] for row in read_published(settings, "risk_packets").to_pylist()]
    explained = [explain_packet(settings, packet_id) for packet_id in packets]
    pieces = [piece for one in explained for piece in one.pieces]
    assert len(pieces) > len(packets)
    for piece in pieces:
        assert piece.record is not None, piece.evidence
        assert piece.evidence["source_record_id"] in map(str, piece.record.values())
    lines = [line for one in explained for line in packet_lines(one)]
    assert sum(line.startswith("    landed: ") for line in lines) == len(pieces)
    assert any(TOKEN in line.lower() for line in lines)
    without = [line for one in explained for line in packet_lines(replace(one, brief=None, no_brief="left out"))]
    assert [line for line in without if TOKEN in line.lower()] == []


@pytest.mark.long
def test_no_canary_reaches_the_collector(marked_review: tuple[Path, Received]) -> None:
    home, received = marked_review
    assert [body for body in received.bodies if TOKEN.encode() in body.lower()] == []
    stages = {"landing", "identity", "text", "dbt", "score", "risk", "plan", "candidate", "audit", "gate", "publish"}
    assert {span.name for span in received.spans} >= stages
    assert received.value("health_pipeline.verdicts", job="weekly_health_review", verdict="published") == 1
    release = current_release(Settings(home=home))
    assert release is not None
    with duckdb.connect(str(release.file), read_only=True) as mart:
        rows = mart.execute("select stage, seconds, rows, peak_memory_bytes from run_summary").fetchall()
    in_release = {stage: numbers for stage, *numbers in rows}
    assert stages - {"candidate", "audit", "gate", "publish"} <= in_release.keys()
    assert "audit" not in in_release
    seconds, built, memory = in_release["score"]
    assert seconds > 0
    assert built > 40
    assert memory > 100_000_000


@pytest.mark.long
def test_every_canary_is_in_the_landing(marked_home: Path) -> None:
    holding = {Path(path).stem for path in files_with_token(marked_home, ("landing",))}
    assert holding >= {*TEXTS, *ADDRESSES}


@pytest.mark.long
def test_a_canary_that_gets_out_is_found(marked_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in ("logs", "dagster", "published"):
        if (marked_home / folder).exists():
            shutil.copytree(marked_home / folder, home / folder, symlinks=True)
    release = current_release(Settings(home=home))
    assert release is not None
    assert release.folder.is_relative_to(home)
    release.file.chmod(0o644)
    with duckdb.connect(str(release.file)) as mart:
        mart.execute("update risk_packets set queue_reason = 'said ' || ? where queue_rank = 1", [TOKEN.upper()])
    parquet = min(release.folder.rglob("*.parquet"))
    names = pq.read_table(parquet)
    parquet.unlink()
    pq.write_table(names.append_column("note", pa.array([TOKEN] * len(names))), parquet)
    (home / "logs" / "run.log").parent.mkdir(parents=True, exist_ok=True)
    (home / "logs" / "run.log").write_text(f"contact {TOKEN} wrote")
    found = list(files_with_token(home))
    assert any(path.endswith("customer_health.duckdb") for path in found)
    assert any(path.endswith(".parquet") for path in found)
    assert "logs/run.log" in found


def test_the_search_reads_tables_and_files(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "landing").mkdir()
    pq.write_table(pa.table({"a": ["x"], "n": [1]}), tmp_path / "logs" / "clean.parquet")
    pq.write_table(pa.table({"a": ["x", f"said {TOKEN}"]}), tmp_path / "logs" / "table.parquet")
    with duckdb.connect(str(tmp_path / "logs" / "mart.duckdb")) as mart:
        mart.execute("create table t as select 'ZANARIKW7X' as a")
    (tmp_path / "logs" / "events.db").write_bytes(b"\x00" + TOKEN.encode())
    (tmp_path / "landing" / "own.txt").write_text(TOKEN)
    assert list(files_with_token(tmp_path)) == ["logs/events.db", "logs/mart.duckdb", "logs/table.parquet"]
    marked = with_canaries(
        TableExtract("crm_contact", pa.table({"full_name": ["Ana", None], "email": ["ana@x.example", None]}))
    )
    assert isinstance(marked.data, pa.Table)
    assert marked.data.to_pylist() == [
        {"full_name": f"{TOKEN} Ana {TOKEN}", "email": f"ana.{TOKEN}@x.example"},
        {"full_name": None, "email": None},
    ]
