"""Candidates: a copy plus the run's slices, frozen weeks, restatements, schema evolution."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from mart_builder import FIRST_WEEK, QUARTER, build_quarter, build_tables, built_at, naive, weeks_from
from publishing import build, passing_verdict, publish_weeks

from health_pipeline.contract.clocks import Quarter
from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.published import read_published
from health_pipeline.publication.candidate import Candidate, Unchanged, build_candidate, load_candidate
from health_pipeline.publication.errors import (
    CandidateError,
    DamagedReleaseError,
    FrozenQuarterError,
    FrozenWeekError,
    RestateGapError,
)
from health_pipeline.publication.files import file_sha256, read_json, write_json
from health_pipeline.publication.frozen import plan_slices
from health_pipeline.publication.gate import publish
from health_pipeline.publication.mart_file import built_content_hash, fit_to_contract, opened
from health_pipeline.publication.releases import MANIFEST_FILE, candidates_folder, current_release
from health_pipeline.settings import Settings


def query(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def publish_quarter(settings: Settings, tables: dict[str, pa.Table], quarter: Quarter = QUARTER) -> None:
    built = build_candidate(settings, tables, [], [quarter], "quarterly", datetime(2026, 10, 8))
    assert isinstance(built, Candidate)
    publish(settings, built, passing_verdict(built, {}), datetime(2026, 10, 8))


def test_rows_lie_slice_by_slice_and_as_the_contract_says(settings: Settings) -> None:
    weeks = weeks_from(0, 2)
    tables = build_tables(weeks)
    number = pa.array(range(tables["score_contributions_weekly"].num_rows), pa.float64())
    shuffled = pc.divide(pc.bit_wise_xor(number.cast(pa.int64()), 5).cast(pa.float64()), 7.0)
    given = tables["score_contributions_weekly"]
    for column in ("curve_value", "weight"):
        given = given.set_column(given.column_names.index(column), column, shuffled)
    built = build(settings, weeks, {**tables, "score_contributions_weekly": given})
    assert isinstance(built, Candidate)
    order = ["week", "measure", "nominal_weight", "weight", "curve_value", "account_id"]
    assert mart_tables()["score_contributions_weekly"].storage_order == tuple(order)
    stored = query(built.file, f"select {', '.join(order)} from score_contributions_weekly order by rowid")
    assert stored == sorted(stored) and len(stored) == given.num_rows > 4
    features = query(built.file, "select week, account_id from account_features_weekly order by rowid")
    assert features == sorted(features)
    # Parquet stays by the key
    path = built.folder / "parquet" / "score_contributions_weekly" / f"{weeks[0]}.parquet"
    keys = [tuple(row.values()) for row in pq.read_table(path, columns=["account_id", "measure"]).to_pylist()]
    assert keys == sorted(keys)


def test_first_candidate_holds_every_table_typed_by_contract(settings: Settings) -> None:
    built = build(settings, weeks_from(0, 1), build_tables(weeks_from(0, 1)))
    assert isinstance(built, Candidate)
    types = query(
        built.file,
        "select table_name, column_name, data_type from information_schema.columns order by ordinal_position",
    )
    for name, table in mart_tables().items():
        expected = [(column.name, column.duckdb_type.upper()) for column in table.columns]
        assert [(column, kind) for where, column, kind in types if where == name] == expected
        files = list((built.folder / "parquet" / name).glob("*.parquet"))
        assert len(files) == 1
        assert pq.read_schema(files[0]).names == list(table.column_names)


def test_a_week_is_added_and_older_ones_are_linked(published: Settings) -> None:
    base = current_release(published)
    assert base is not None
    week = FIRST_WEEK.shift(3)
    built = build(published, [week], build_tables([week]))
    assert isinstance(built, Candidate)
    rows = query(
        built.file, "select week, count(*), max(published_at) from account_health_weekly group by week order by week"
    )
    first = naive(built_at(FIRST_WEEK.shift(2)))
    assert rows == [
        (FIRST_WEEK.monday, 2, first),
        (FIRST_WEEK.shift(1).monday, 2, first),
        (FIRST_WEEK.shift(2).monday, 2, first),
        (week.monday, 2, naive(built_at(week))),
    ]
    assert query(built.file, "select distinct week from account_health_current") == [(week.monday,)]
    assert query(built.file, "select release, kind, weeks from publication_log") == [
        (base.name, "weekly", "2026-10-05, 2026-10-12, 2026-10-19")
    ]
    name = f"parquet/account_health_weekly/{FIRST_WEEK}.parquet"
    assert (built.folder / name).samefile(base.folder / name)
    assert built.manifest["files"][name] == base.manifest["files"][name]
    parquet = pq.read_table(built.folder / "parquet" / "account_health_weekly" / f"{week}.parquet")
    assert parquet["account_id"].to_pylist() == ["a0000", "a0001"]


def test_every_file_of_a_candidate_is_in_its_manifest(published: Settings) -> None:
    built = build(published, weeks_from(3, 1), build_tables(weeks_from(3, 1)))
    assert isinstance(built, Candidate)
    there = {p.relative_to(built.folder).as_posix() for p in built.folder.rglob("*") if p.is_file()}
    assert there == {*built.manifest["files"], MANIFEST_FILE}
    assert all(file_sha256(built.folder / name) == value for name, value in built.manifest["files"].items())
    assert load_candidate(built.folder) == built


def test_published_weeks_again_are_unchanged(published: Settings) -> None:
    weeks = weeks_from(0, 3)
    base = current_release(published)
    assert base is not None
    assert build(published, weeks, build_tables(weeks)) == Unchanged(base.name, tuple(weeks), ())
    assert list(candidates_folder(published).iterdir()) == []


@hypothesis_settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(seed=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(published: Settings, seed: Any) -> None:
    weeks = weeks_from(1, 2)
    shuffled = {}
    for name, table in build_tables(weeks).items():
        order = list(range(table.num_rows))
        seed.shuffle(order)
        shuffled[name] = table.take(pa.array(order, pa.int64()))
    assert isinstance(build(published, weeks, shuffled), Unchanged)


def test_a_changed_model_does_not_change_a_frozen_week(published: Settings) -> None:
    changed = {(account, FIRST_WEEK.shift(1)): 70.0 for account in ("a0000", "a0001")}
    with pytest.raises(FrozenWeekError) as refused:
        build(published, weeks_from(1, 3), build_tables(weeks_from(1, 3), scores=changed))
    assert refused.value.slices == ("2026-10-12",)
    assert refused.value.tables == ("account_health_weekly", "score_contributions_weekly")
    assert str(refused.value) == (
        "Week 2026-10-12 is published and came out differently in account_health_weekly, score_contributions_weekly; "
        "leave it as it is, or replace it with `--restate REASON`."
    )
    # A run of the new week alone leaves the frozen one as it is, whatever the model says of it now.
    release = publish_weeks(published, weeks_from(3, 1), build_tables(weeks_from(1, 3), scores=changed))
    assert query(release.file, "select distinct week, score from account_health_weekly order by week") == [
        (FIRST_WEEK.shift(n).monday, 80.0) for n in range(4)
    ]


def test_weeks_that_are_published_and_equal_are_dropped_from_the_run(published: Settings) -> None:
    release = publish_weeks(published, weeks_from(1, 4))
    assert release.manifest["weeks"] == ["2026-10-26", "2026-11-02"]
    assert release.manifest["run_weeks"] == ["2026-10-12", "2026-10-19", "2026-10-26", "2026-11-02"]


def test_a_restatement_replaces_the_week_and_says_so(published: Settings) -> None:
    changed = {("a0000", FIRST_WEEK.shift(1)): 70.0}
    weeks = weeks_from(1, 2)
    release = publish_weeks(published, weeks, build_tables(weeks, scores=changed), restate=True, reason="late invoices")
    assert release.manifest["restated"] == ["2026-10-12"]
    assert (release.kind, release.reason) == ("restate", "late invoices")
    rows = query(release.file, "select week, account_id, score from account_health_weekly where score = 70")
    assert rows == [(FIRST_WEEK.shift(1).monday, "a0000", 70.0)]
    next_release = publish_weeks(published, weeks_from(3, 1))
    log = query(next_release.file, "select kind, weeks, reason from publication_log order by release")
    assert log[-1] == ("restate", "2026-10-12", "late invoices")


def test_a_restatement_needs_a_reason(published: Settings) -> None:
    with pytest.raises(CandidateError, match="needs a reason"):
        build(published, weeks_from(1, 1), build_tables(weeks_from(1, 1)), restate=True, reason=" ")


def test_a_restatement_with_a_gap_is_refused(published: Settings) -> None:
    changed = {("a0000", FIRST_WEEK.shift(1)): 20.0}
    week = weeks_from(1, 1)
    with pytest.raises(RestateGapError) as refused:
        build(published, week, build_tables(week, scores=changed), restate=True, reason="late invoices")
    assert str(refused.value) == (
        "Restating 2026-10-12 changes the tier path of 1 accounts, and the published week 2026-10-19 still continues "
        "the old one; restate every later week too: --week 2026-10-19 --weeks 2 --restate REASON."
    )
    assert list(candidates_folder(published).iterdir()) == []
    both = weeks_from(1, 2)
    built = build(published, both, build_tables(both, scores=changed), restate=True, reason="late invoices")
    assert isinstance(built, Candidate)
    assert built.manifest["restated"] == ["2026-10-12", "2026-10-19"]


def test_a_vanished_account_leaves_nothing_behind(published: Settings) -> None:
    weeks = weeks_from(0, 3)
    release = publish_weeks(published, weeks, build_tables(weeks, accounts=1), restate=True, reason="merged")
    for name, table in mart_tables().items():
        if "account_id" in table.column_names:
            assert query(release.file, f"select count(*) from {name} where account_id = 'a0001'") == [(0,)], name
            for path in (release.folder / "parquet" / name).iterdir():
                assert "a0001" not in pq.read_table(path)["account_id"].to_pylist(), path


def test_an_account_that_left_stays_in_its_past_weeks(published: Settings) -> None:
    week = weeks_from(3, 1)
    release = publish_weeks(published, week, build_tables(week, accounts=1))
    assert query(release.file, "select count(*) from account_health_weekly where account_id = 'a0001'") == [(3,)]
    assert query(release.file, "select account_id from account_health_current") == [("a0000",)]


@pytest.mark.parametrize(
    ("first", "count", "sentence"),
    [
        (5, 1, "would leave a hole; give --week 2026-11-09 --weeks 3."),
        (-1, 2, "comes before the first published week 2026-10-05"),
    ],
)
def test_holes_and_backfills_are_refused(published: Settings, first: int, count: int, sentence: str) -> None:
    weeks = weeks_from(first, count)
    with pytest.raises(CandidateError, match="published") as refused:
        build(published, weeks, build_tables(weeks))
    assert sentence in str(refused.value)


def test_a_run_with_a_hole_in_itself_is_refused(settings: Settings) -> None:
    weeks = [FIRST_WEEK, FIRST_WEEK.shift(2)]
    with pytest.raises(CandidateError, match="The run holds week 2026-10-05 and then 2026-10-19"):
        build(settings, weeks, build_tables(weeks))


def test_an_older_week_does_not_turn_snapshots_back(published: Settings) -> None:
    changed = {("a0000", FIRST_WEEK): 79.0}
    tables = build_tables(weeks_from(0, 1), accounts=2, scores=changed)
    tables["accounts"] = tables["accounts"].slice(0, 1)
    release = publish_weeks(published, weeks_from(0, 1), tables, restate=True, reason="late invoices")
    assert release.manifest["replaced_snapshots"] == []
    assert query(release.file, "select count(*) from accounts") == [(2,)]
    base_path = published.published / "releases" / str(release.manifest["base_release"])
    assert (release.folder / "parquet/accounts/all.parquet").samefile(base_path / "parquet/accounts/all.parquet")


def break_table(tables: dict[str, pa.Table], fault: str) -> None:
    health = tables["account_health_weekly"]
    if fault == "missing":
        tables["account_health_weekly"] = health.drop_columns(["tier"])
    elif fault == "extra":
        tables["account_health_weekly"] = health.append_column("churn_probability", health["score"])
    elif fault == "type":
        position = health.schema.get_field_index("score")
        tables["account_health_weekly"] = health.set_column(position, "score", pa.array(["high"] * health.num_rows))
    elif fault == "nan":
        position = health.schema.get_field_index("score")
        tables["account_health_weekly"] = health.set_column(
            position, "score", pa.array([float("nan")] * health.num_rows)
        )
    elif fault == "unknown":
        tables["predictions"] = health
    elif fault == "derived":
        tables["publication_log"] = health


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("missing", "account_health_weekly was built without the contract's columns tier"),
        ("extra", "account_health_weekly was built with columns the contract does not have: churn_probability"),
        ("type", "account_health_weekly can't be cast to the contract's types"),
        ("nan", "account_health_weekly.score holds NaN"),
        ("unknown", "The mart contract has no table 'predictions'"),
        ("derived", "publication_log is derived by publication"),
    ],
)
def test_tables_that_break_the_contract_are_refused(settings: Settings, fault: str, sentence: str) -> None:
    tables = build_tables(weeks_from(0, 1))
    break_table(tables, fault)
    with pytest.raises(CandidateError) as refused:
        build(settings, weeks_from(0, 1), tables)
    assert sentence in str(refused.value)


def test_a_damaged_base_is_found(published: Settings) -> None:
    base = current_release(published)
    assert base is not None
    base.file.chmod(0o644)
    content = bytearray(base.file.read_bytes())
    content[len(content) // 2] ^= 1
    base.file.write_bytes(bytes(content))
    with pytest.raises(DamagedReleaseError, match="does not match its manifest"):
        build(published, weeks_from(3, 1), build_tables(weeks_from(3, 1)))
    assert list(candidates_folder(published).iterdir()) == []


def make_older(settings: Settings, name: str, column: str) -> None:
    """Rewrite the current release as one published before the contract had the column."""
    release = current_release(settings)
    assert release is not None
    table = mart_tables()[name]
    manifest = read_json(release.folder / MANIFEST_FILE)
    release.file.chmod(0o644)
    with duckdb.connect(str(release.file)) as connection:
        connection.execute(f'alter table "{name}" drop column "{column}"')
        connection.execute(f'alter table "{name}" add column retired_word text')
        connection.execute(f"update \"{name}\" set retired_word = 'kept'")
    for slice_name in manifest["slices"][name]:
        path = release.folder / "parquet" / name / f"{slice_name}.parquet"
        rows = pq.read_table(path).drop_columns([column])
        manifest["slices"][name][slice_name] = built_content_hash(table, rows, set(rows.column_names))
        path.unlink()
        pq.write_table(rows, path)
        manifest["files"][path.relative_to(release.folder).as_posix()] = file_sha256(path)
    manifest["files"][release.file.name] = file_sha256(release.file)
    (release.folder / MANIFEST_FILE).unlink()
    write_json(release.folder / MANIFEST_FILE, manifest)


def test_new_columns_are_null_in_older_weeks_and_old_ones_are_kept(published: Settings) -> None:
    make_older(published, "account_features_weekly", "seats_licensed")
    weeks = weeks_from(0, 3)
    # The frozen weeks came out with a value in the new column: they are the same in all they had.
    assert isinstance(build(published, weeks, build_tables(weeks)), Unchanged)
    release = publish_weeks(published, weeks_from(2, 2))
    rows = query(
        release.file,
        "select week, max(seats_licensed), max(retired_word) from account_features_weekly group by week order by week",
    )
    assert rows == [*[(week.monday, None, "kept") for week in weeks], (FIRST_WEEK.shift(3).monday, 1, None)]
    assert release.manifest["retired_columns"] == {"account_features_weekly": ["retired_word"]}
    again = weeks_from(2, 2)
    assert isinstance(build(published, again, build_tables(again)), Unchanged)


def test_a_restatement_fills_a_column_that_is_younger_than_its_weeks(published: Settings) -> None:
    make_older(published, "account_features_weekly", "seats_licensed")
    weeks = weeks_from(0, 3)
    moment = built_at(weeks[-1])
    again = build_candidate(published, build_tables(weeks), weeks, [], "weekly", moment, reason="filled", restate=True)
    assert isinstance(again, Candidate)
    assert again.manifest["restated"] == [str(week) for week in weeks]
    assert query(again.file, "select count(*), count(seats_licensed) from account_features_weekly") == [(6, 6)]


def test_a_restatement_fills_a_table_that_is_younger_than_its_weeks(published: Settings) -> None:
    base = current_release(published)
    assert base is not None
    manifest = read_json(base.folder / MANIFEST_FILE)
    del manifest["slices"]["plan_capacity_weekly"]
    write_json(base.folder / MANIFEST_FILE, manifest)
    weeks = weeks_from(0, 3)
    assert isinstance(build(published, weeks, build_tables(weeks)), Unchanged)
    moment = built_at(weeks[-1])
    again = build_candidate(published, build_tables(weeks), weeks, [], "weekly", moment, reason="filled", restate=True)
    assert isinstance(again, Candidate)
    assert again.manifest["restated"] == [str(week) for week in weeks]


def test_a_snapshot_that_has_slices_now_starts_empty_until_a_restatement_fills_it(published: Settings) -> None:
    name = "account_outcomes_weekly"
    base = current_release(published)
    assert base is not None
    manifest = read_json(base.folder / MANIFEST_FILE)
    for slice_name in manifest["slices"].pop(name):
        path = f"parquet/{name}/{slice_name}.parquet"
        (base.folder / path).rename(base.folder / "parquet" / name / "all.parquet")
        manifest["files"][f"parquet/{name}/all.parquet"] = manifest["files"].pop(path)
    manifest["tables"][name] = "of the whole"
    base.file.chmod(0o644)
    with duckdb.connect(str(base.file)) as connection:
        connection.execute(f"alter table {name} drop column known_week")
    manifest["files"][base.file.name] = file_sha256(base.file)
    (base.folder / MANIFEST_FILE).unlink()
    write_json(base.folder / MANIFEST_FILE, manifest)

    release = publish_weeks(published, weeks_from(2, 2))
    fourth = FIRST_WEEK.shift(3).monday
    assert query(release.file, f"select known_week, count(*) from {name} group by all") == [(fourth, 2)]
    assert list(release.manifest["slices"][name]) == [str(fourth)]
    assert sorted(path.name for path in (release.folder / "parquet" / name).iterdir()) == [f"{fourth}.parquet"]
    assert query(base.file, f"select count(*) from {name}") == [(6,)]

    weeks = weeks_from(0, 4)
    filled = build_candidate(
        published, build_tables(weeks), weeks, [], "weekly", built_at(weeks[-1]), reason="filled", restate=True
    )
    assert isinstance(filled, Candidate)
    assert filled.manifest["restated"] == [str(week) for week in weeks[:3]]
    assert query(filled.file, f"select count(distinct known_week), count(*) from {name}") == [(4, 8)]


def test_labels_are_kept_and_read_by_the_week_in_which_they_became_known(published: Settings) -> None:
    known = FIRST_WEEK.shift(1)
    rows = read_published(published, "account_outcomes_weekly", weeks=[known])
    assert rows.select(["account_id", "week", "known_week"]).to_pylist() == [
        {"account_id": account, "week": FIRST_WEEK.shift(-12).monday, "known_week": known.monday}
        for account in ("a0000", "a0001")
    ]


def test_a_changed_type_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "mart.duckdb", read_only=False) as connection:
        connection.execute("create table accounts (account_id integer)")
        with pytest.raises(CandidateError, match=r"accounts\.account_id is INTEGER in the published weeks"):
            fit_to_contract(connection)


def test_a_quarter_is_added_and_frozen(published: Settings) -> None:
    publish_quarter(published, build_quarter())
    release = current_release(published)
    assert release is not None
    assert (release.kind, release.quarters, release.weeks) == ("quarterly", ("2026-07-01",), ())
    assert query(release.file, "select quarter, count(*) from segment_assignments_quarterly group by quarter") == [
        (date(2026, 7, 1), 2)
    ]
    # The weeks went along.
    assert query(release.file, "select count(*) from account_health_weekly") == [(6,)]
    moment = datetime(2026, 10, 9)
    again = build_candidate(published, build_quarter(), [], [QUARTER], "quarterly", moment)
    assert again == Unchanged(release.name, (), (QUARTER,))
    with pytest.raises(FrozenQuarterError, match="Quarter 2026-07-01 is published and came out differently"):
        build_candidate(published, build_quarter(accounts=3), [], [QUARTER], "quarterly", moment)


def test_an_adoption_is_published_by_the_same_quarter_again(published: Settings) -> None:
    tables = build_quarter()
    publish_quarter(published, tables)
    models = tables["segment_models"]
    position = models.schema.get_field_index("status")
    tables["segment_models"] = models.set_column(position, "status", pa.array(["adopted"]))
    publish_quarter(published, tables)
    release = current_release(published)
    assert release is not None
    assert release.quarters == ()
    assert query(release.file, "select status from segment_models") == [("adopted",)]


def test_quarters_leave_no_hole(published: Settings) -> None:
    publish_quarter(published, build_quarter())
    later = QUARTER.next.next
    with pytest.raises(CandidateError, match="The newest published quarter is 2026-07-01"):
        build_candidate(published, build_quarter(later), [], [later], "quarterly", datetime(2027, 4, 8))
    publish_quarter(published, build_quarter(QUARTER.next), QUARTER.next)


def test_a_quarterly_run_leaves_weekly_snapshots_alone(published: Settings) -> None:
    tables = {**build_quarter(), "accounts": build_tables(weeks_from(0, 1))["accounts"]}
    with pytest.raises(CandidateError, match="does not replace accounts"):
        build_candidate(published, tables, [], [QUARTER], "quarterly", datetime(2026, 10, 8))


def test_a_full_disk_gives_the_space_back(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    before = current_release(published)
    with pytest.raises(OSError, match="No space left"):
        build(published, weeks_from(3, 1), build_tables(weeks_from(3, 1)))
    assert list(candidates_folder(published).iterdir()) == []
    assert current_release(published) == before


def test_rows_outside_the_run_do_not_come_in(settings: Settings) -> None:
    built = build(settings, weeks_from(0, 1), build_tables(weeks_from(0, 3)))
    assert isinstance(built, Candidate)
    assert query(built.file, "select distinct week from account_features_weekly") == [(FIRST_WEEK.monday,)]


def test_the_same_content_gives_the_same_hash_whenever_it_is_built(tmp_path: Path) -> None:
    hashes = set()
    for name in ("one", "two"):
        settings = Settings(home=tmp_path / name)
        built = build(settings, weeks_from(0, 2), build_tables(weeks_from(0, 2)))
        assert isinstance(built, Candidate)
        hashes.add(built.manifest["content_hash"])
    assert len(hashes) == 1


def test_plan_of_slices(published: Settings) -> None:
    base = current_release(published)
    weeks = weeks_from(2, 2)
    tables = build_tables(weeks, scores={("a0000", FIRST_WEEK.shift(2)): 75.0})
    plan = plan_slices(base, tables, weeks, "week", restate=True)
    assert plan.new == (FIRST_WEEK.shift(3).monday,)
    assert plan.replaced == (FIRST_WEEK.shift(2).monday,)
    assert pc.sum(tables["account_health_weekly"]["score"]).as_py() == 75.0 + 3 * 80.0
