"""Exports: every row of the release, formulas made harmless, numbers left as numbers, whole or not at all."""

from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from health_pipeline import cli
from health_pipeline.contract.mart import mart_tables
from health_pipeline.publication import export as export_module
from health_pipeline.publication.errors import PublicationError
from health_pipeline.publication.export import export_tables
from health_pipeline.publication.releases import current_release
from health_pipeline.settings import Settings

DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def change(settings: Settings, statement: str) -> None:
    release = current_release(settings)
    assert release is not None
    with duckdb.connect(str(release.file)) as con:
        con.execute(statement)


def test_every_table_of_the_contract_is_there_with_its_rows(published: Settings, tmp_path: Path) -> None:
    done = export_tables(published, tmp_path / "out")
    release = current_release(published)
    assert release is not None
    with duckdb.connect(str(release.file), read_only=True) as con:
        counts = {name: con.execute(f"select count(*) from {name}").fetchall()[0][0] for name in mart_tables()}
    assert done.rows == counts
    assert {path.name for path in done.folder.iterdir()} == {f"{name}.csv" for name in mart_tables()} | {"export.json"}
    assert all(len(rows(done.folder / f"{name}.csv")) == count for name, count in counts.items())
    note = json.loads((done.folder / "export.json").read_text())
    assert (note["release"], note["rows"]) == (release.name, counts)


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_cell_that_begins_like_a_formula_becomes_text(published: Settings, tmp_path: Path, text: str) -> None:
    change(
        published,
        f"update accounts set account_name = {text!r}".replace("'\\t", "chr(9)||'").replace("'\\r", "chr(13)||'"),
    )
    export_tables(published, tmp_path / "out", ["accounts"])
    assert {row["account_name"] for row in rows(tmp_path / "out" / "accounts.csv")} == {"'" + text}


def test_a_harmless_text_stays_and_a_negative_number_stays_a_number(published: Settings, tmp_path: Path) -> None:
    change(published, "update accounts set account_name = 'a=b, \"quoted\"\nand more'")
    change(published, "update account_health_weekly set score = -1.5, arr = -2.25, override_reason = null")
    export_tables(published, tmp_path / "out", ["accounts", "account_health_weekly"])
    assert {row["account_name"] for row in rows(tmp_path / "out" / "accounts.csv")} == {'a=b, "quoted"\nand more'}
    health = rows(tmp_path / "out" / "account_health_weekly.csv")
    assert {(row["score"], row["arr"], row["override_reason"]) for row in health} == {("-1.5", "-2.25", "")}


def test_one_week_of_the_weekly_tables_and_all_of_the_others(published: Settings, tmp_path: Path) -> None:
    release = current_release(published)
    assert release is not None
    week = release.published_weeks[1]
    export_tables(published, tmp_path / "out", ["account_health_weekly", "accounts"], "parquet", week)
    health = pq.read_table(tmp_path / "out" / "account_health_weekly.parquet")
    assert {str(day) for day in health["week"].to_pylist()} == {str(week)}
    assert pq.read_table(tmp_path / "out" / "accounts.parquet").num_rows == 2


def test_a_byte_order_mark_where_it_is_wanted(published: Settings, tmp_path: Path) -> None:
    export_tables(published, tmp_path / "plain", ["accounts"])
    export_tables(published, tmp_path / "marked", ["accounts"], byte_order_mark=True)
    plain = (tmp_path / "plain" / "accounts.csv").read_bytes()
    assert (tmp_path / "marked" / "accounts.csv").read_bytes() == codecs.BOM_UTF8 + plain


def test_a_failure_leaves_no_half_export(published: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(export_module, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        export_tables(published, tmp_path / "out", ["accounts"])
    assert [path for path in tmp_path.iterdir() if path != published.home] == []


def test_what_is_there_is_never_written_over(published: Settings, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(PublicationError, match="is there and not empty"):
        export_tables(published, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--table", "acounts"], "The mart has no table 'acounts'; the nearest name is 'accounts'."),
        (["--week", "2020-01-06"], "its newest week is 2026-10-19."),
        (["--format", "xlsx"], "--format is csv or parquet, not 'xlsx'."),
    ],
)
def test_the_command_says_what_is_wrong(
    published: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.setenv("HEALTH_HOME", str(published.home))
    said = io.StringIO()
    monkeypatch.setattr(cli.operations, "out", Console(file=said, width=400))
    told = CliRunner().invoke(cli.app, ["export", str(tmp_path / "out"), *arguments])
    assert told.exit_code == 1
    assert sentence in said.getvalue()
    assert not (tmp_path / "out").exists()


def test_before_the_first_release_it_says_so(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(PublicationError, match="Nothing is published yet"):
        export_tables(settings, tmp_path / "out")
