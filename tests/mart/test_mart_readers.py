"""The warehouse's own tables and the published release: typed, sliced, closed again."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import date
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.content import content_hash
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.mart.connection import WarehouseBusyError, open_duckdb
from health_pipeline.mart.published import MART_FILE, current_release, read_published, read_published_newest
from health_pipeline.mart.warehouse import read_mart, read_marts, write_marts
from health_pipeline.settings import Settings

W1, W2 = Week(date(2026, 1, 5)), Week(date(2026, 1, 12))
NAME = "watermelon_accounts_weekly"


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path / "home")


def watermelons(*rows: tuple[str, Week]) -> pa.Table:
    full = [
        {
            "account_id": account,
            "week": week.monday,
            "reasons": "low_coverage",
            "reasons_count": 1,
            "score": 81.5,
            "arr_reporting": Decimal("10.00"),
        }
        for account, week in rows
    ]
    return pa.Table.from_pylist(full, schema=mart_tables()[NAME].arrow_schema)


def test_slices_are_replaced_and_nothing_else(settings):
    write_marts(settings, {NAME: watermelons(("a", W1), ("b", W1), ("a", W2))}, weeks=[W1, W2])
    write_marts(settings, {NAME: watermelons(("c", W2))}, weeks=[W2])
    assert [(row["account_id"], row["week"]) for row in read_mart(settings, NAME).to_pylist()] == [
        ("a", W1.monday),
        ("b", W1.monday),
        ("c", W2.monday),
    ]
    write_marts(settings, {NAME: empty_table(NAME)}, weeks=[W1])
    assert read_mart(settings, NAME, [W1]).num_rows == 0
    assert read_mart(settings, NAME).schema == mart_tables()[NAME].arrow_schema


def test_writing_the_same_twice_gives_the_same_content(settings):
    hashes = []
    for _ in range(2):
        write_marts(settings, {NAME: watermelons(("b", W1), ("a", W1))}, weeks=[W1])
        hashes.append(content_hash(read_mart(settings, NAME, [W1])))
    assert hashes[0] == hashes[1]
    assert hashes[0] != content_hash(read_mart(settings, NAME, [W2]))


def test_several_tables_read_at_once_are_those_read_one_by_one(settings):
    write_marts(settings, {NAME: watermelons(("a", W1), ("a", W2))}, weeks=[W1, W2])
    write_marts(settings, {"segment_models": empty_table("segment_models")})
    for weeks in (None, [W2]):
        one_by_one = {NAME: read_mart(settings, NAME, weeks), "segment_models": read_mart(settings, "segment_models")}
        assert read_marts(settings, [NAME, "segment_models"], weeks) == one_by_one
    with pytest.raises(LookupError, match="score_contributions_weekly was not built yet"):
        read_marts(settings, [NAME, "score_contributions_weekly"])


def test_rows_outside_the_named_weeks_are_refused_and_nothing_is_written(settings):
    write_marts(settings, {NAME: watermelons(("a", W1))}, weeks=[W1])
    with pytest.raises(ValueError, match="rows of week 2026-01-12, which the call does not name"):
        write_marts(settings, {NAME: watermelons(("b", W1), ("b", W2))}, weeks=[W1])
    assert read_mart(settings, NAME)["account_id"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: write_marts(s, {"accounts": empty_table("accounts")}), "accounts is built by dbt"),
        (lambda s: write_marts(s, {NAME: empty_table(NAME).drop_columns(["score"])}, weeks=[W1]), "the contract wants"),
        (
            lambda s: write_marts(s, {NAME: empty_table(NAME)}, quarters=[Quarter(date(2026, 1, 1))]),
            "partitioned by week",
        ),
        (lambda s: read_mart(s, "nonsense"), "The mart has no table 'nonsense'"),
        (lambda s: write_marts(s, {NAME: empty_table(NAME)}), "partitioned by week; name its slices so"),
        (lambda s: read_published(s, "accounts", weeks=[W1]), "partitioned by none"),
        (lambda s: read_published_newest(s, "accounts", ["account_id"], ["account_id"], W1), "partitioned by none"),
    ],
)
def test_a_wrong_call_is_told_in_a_sentence(settings, call, message):
    with pytest.raises(ValueError, match=message):
        call(settings)


def test_what_was_not_built_is_told(settings):
    with pytest.raises(FileNotFoundError, match="run the weekly review first"):
        read_mart(settings, NAME)
    write_marts(settings, {NAME: watermelons(("a", W1))}, weeks=[W1])
    with pytest.raises(LookupError, match="accounts was not built yet"):
        read_mart(settings, "accounts")


def test_several_tables_are_written_together_or_not_at_all(settings):
    model = {"segment_model_id": "m1", "quarter": date(2026, 1, 1), "status": "candidate"}
    models = pa.Table.from_pylist([model], schema=mart_tables()["segment_models"].arrow_schema)
    write_marts(settings, {NAME: watermelons(("a", W1)), "segment_models": models}, weeks=[W1])
    with pytest.raises(ValueError, match="rows of week 2026-01-12"):
        write_marts(settings, {"segment_models": models.slice(0, 0), NAME: watermelons(("b", W2))}, weeks=[W1])
    assert read_mart(settings, NAME)["account_id"].to_pylist() == ["a"]
    assert read_mart(settings, "segment_models")["segment_model_id"].to_pylist() == ["m1"]


def test_a_column_the_contract_has_gained_is_null_in_older_slices(settings):
    write_marts(settings, {NAME: watermelons(("a", W1))}, weeks=[W1])
    with open_duckdb(settings.warehouse, read_only=False) as connection:
        connection.execute(f"alter table outputs.{NAME} drop column score")
    write_marts(settings, {NAME: watermelons(("b", W2))}, weeks=[W2])
    scores = dict(read_mart(settings, NAME).select(["account_id", "score"]).to_pandas().itertuples(index=False))
    assert set(scores) == {"a", "b"}
    assert scores["a"] != scores["a"]
    assert scores["b"] == watermelons(("b", W2))["score"][0].as_py()


def test_a_snapshot_is_replaced_whole(settings):
    model = {"segment_model_id": "m1", "quarter": date(2026, 1, 1), "status": "candidate"}
    for name in ("m1", "m2"):
        table = pa.Table.from_pylist(
            [{**model, "segment_model_id": name}], schema=mart_tables()["segment_models"].arrow_schema
        )
        write_marts(settings, {"segment_models": table})
    assert read_mart(settings, "segment_models")["segment_model_id"].to_pylist() == ["m2"]


def test_before_the_first_release_everything_is_empty_and_typed(settings):
    assert current_release(settings) is None
    for name, table in mart_tables().items():
        assert read_published(settings, name).schema == table.arrow_schema


def publish(settings: Settings, release: str, statement: str) -> None:
    folder = settings.published / "releases" / release
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / MART_FILE)) as connection:
        connection.execute(statement)
    link = settings.published / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(folder)


def test_published_rows_are_read_by_slice_and_a_newer_column_is_null(settings):
    publish(
        settings,
        "r1",
        f"create table {NAME} as select * from (values ('a', date '2026-01-05', 5.0), ('b', date '2026-01-12', 6.0)) "
        "as t (account_id, week, score)",
    )
    assert current_release(settings) == "r1"
    assert read_published(settings, NAME, weeks=[W2])["account_id"].to_pylist() == ["b"]
    both = read_published(settings, NAME)
    assert both.schema == mart_tables()[NAME].arrow_schema
    assert both["reasons"].to_pylist() == [None, None]
    assert read_published(settings, "segment_models").num_rows == 0
    some = read_published(settings, NAME, columns=["score", "account_id"])
    assert some.to_pylist() == [{"score": 5.0, "account_id": "a"}, {"score": 6.0, "account_id": "b"}]
    assert read_published(settings, "segment_models", columns=["status"]).column_names == ["status"]


def test_of_earlier_rows_that_are_alike_only_the_newest_is_read(settings):
    columns = ["account_id", "week", "score"]
    assert read_published_newest(settings, NAME, columns, ["account_id"], W2).num_rows == 0
    publish(
        settings,
        "r1",
        f"create table {NAME} as select * from (values ('a', date '2025-12-29', 4.0), ('a', date '2026-01-05', 5.0), "
        "('b', date '2026-01-05', 7.0), ('a', date '2026-01-12', 6.0)) as t (account_id, week, score)",
    )
    by_account = read_published_newest(settings, NAME, columns, ["account_id"], W2)
    # a week that the run makes itself is none of the weeks before it
    assert [tuple(row.values()) for row in by_account.to_pylist()] == [("a", W1.monday, 5.0), ("b", W1.monday, 7.0)]
    by_score = read_published_newest(settings, NAME, columns, ["account_id", "score"], W2)
    assert by_score["score"].to_pylist() == [4.0, 5.0, 7.0]
    later = read_published_newest(settings, NAME, columns, ["account_id"], W2.shift(1))
    assert later["score"].to_pylist() == [6.0, 7.0]


def test_reading_leaves_no_handle_behind(settings):
    write_marts(settings, {NAME: watermelons(("a", W1))}, weeks=[W1])
    read_mart(settings, NAME)
    with pytest.raises(duckdb.Error), open_duckdb(settings.warehouse, read_only=True) as connection:
        connection.execute("select * from nothing_of_that_name")
    code = f"import duckdb; duckdb.connect({str(settings.warehouse)!r}).execute('create table other (a int)')"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_another_process_holds_is_waited_for_a_bounded_time(settings):
    write_marts(settings, {NAME: watermelons(("a", W1))}, weeks=[W1])
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(settings.warehouse)!r}); "
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        started = time.monotonic()
        with (
            pytest.raises(WarehouseBusyError, match="wait for its run to end"),
            open_duckdb(settings.warehouse, read_only=True, wait_seconds=0.3),
        ):
            pass
        assert time.monotonic() - started < 5
    finally:
        holder.stdin.close()
        holder.wait()
    assert read_mart(settings, NAME).num_rows == 1
