"""The demo company's extracts: contract, time, determinism, and the untidiness that real sources have."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health_pipeline.contract.content import content_hash
from health_pipeline.contract.landing import (
    ARROW_TYPES,
    SOURCE_COLUMNS,
    SOURCE_KINDS,
    landing_tables,
)
from health_pipeline.sources.demo import DemoCompany
from health_pipeline.sources.demo import usage as usage_module
from health_pipeline.sources.demo.columns import contract_table, last_per_load, versions_at
from health_pipeline.sources.demo.source_accounts import ERASED_LOAD, MAPPED_LATER_LOAD, MERGED_AWAY_LOAD
from health_pipeline.sources.demo.usage import OUTAGE_LOAD
from health_pipeline.sources.extract import Extract

ACCOUNTS = 120
# Plans lie in the future by nature; every other time must have passed when its load was made.
PLANNED = {
    "current_period_end",
    "cancel_at",
    "due_date",
    "close_date",
    "renewal_date",
    "target_date",
    "baseline_due_date",
}


@cache
def company() -> DemoCompany:
    return DemoCompany(seed=3, accounts=ACCOUNTS, events_per_account_week=8)


@cache
def extracts(load: int) -> list[Extract]:
    return company().extracts(load)


@cache
def delivered(kind: str, table: str) -> pd.DataFrame:
    """Every row of a table over all loads, with the load that delivered it."""
    frames = [
        part.data.to_pandas().assign(load=load)
        for load in range(53)
        for extract in extracts(load)
        for part in extract.tables
        if extract.source_kind == kind and part.table == table
    ]
    return pd.concat(frames, ignore_index=True)


def tables_of(demo: DemoCompany, load: int) -> dict[tuple[str, str], pa.Table]:
    return {(extract.source_kind, part.table): part.data for extract in demo.extracts(load) for part in extract.tables}


def test_there_is_one_historical_load_and_52_weekly_ones_with_their_own_minutes():
    times = company().load_times
    assert len(times) == 53
    assert times[0] == datetime(2025, 11, 17, 2, tzinfo=UTC)
    assert times[-1] == datetime(2026, 11, 16, 2, tzinfo=UTC)
    assert all(time.weekday() == 0 for time in times)
    minutes = {kind: company().loaded_at(5, kind) - times[5] for kind in SOURCE_KINDS}
    assert len(set(minutes.values())) == len(SOURCE_KINDS)
    assert all(timedelta(0) <= wait <= timedelta(hours=3) for wait in minutes.values())
    assert {extract.mode for extract in extracts(0)} == {"historical"}
    assert {extract.mode for extract in extracts(1)} == {"incremental"}
    with pytest.raises(IndexError, match="loads 0 to 52"):
        company().extracts(53)


@pytest.mark.parametrize(("accounts", "events", "says"), [(0, 20.0, "at least 1"), (5, 0.0, "positive")])
def test_a_company_that_cannot_be_is_refused(accounts, events, says):
    with pytest.raises(ValueError, match=says):
        DemoCompany(accounts=accounts, events_per_account_week=events)


@pytest.mark.parametrize("load", [0, 1, 30, 52])
def test_every_extract_has_exactly_the_contracts_columns_and_types(load):
    tables = landing_tables()
    assert [extract.source_kind for extract in extracts(load)] == list(SOURCE_KINDS)
    for extract in extracts(load):
        assert extract.source_system == f"demo_{extract.source_kind}"
        assert "source_account" in [part.table for part in extract.tables]
        for part in extract.tables:
            table = tables[part.table]
            assert extract.source_kind in table.kinds
            expected = pa.schema(
                [pa.field(column.name, ARROW_TYPES[column.type]) for column in (*table.columns, *SOURCE_COLUMNS)]
            )
            assert part.data.schema == expected
            for column in (*table.columns, *SOURCE_COLUMNS):
                values = part.data[column.name]
                if column.is_required:
                    assert values.null_count == 0, (part.table, column.name)
                if column.vocabulary:
                    assert set(values.drop_null().to_pylist()) <= set(column.vocabulary), (part.table, column.name)
                if column.name == "source_updated_at" and table.is_mutable:
                    assert values.null_count == 0


def test_every_table_of_the_contract_is_delivered():
    of_sources = {name for name, table in landing_tables().items() if set(table.kinds) & set(SOURCE_KINDS)}
    assert {part.table for extract in extracts(0) for part in extract.tables} == of_sources


def test_a_column_the_contract_does_not_have_is_refused():
    with pytest.raises(KeyError, match="mood"):
        contract_table("cs_note", "cs", 1, {"mood": "fine"})


def known_too_early(extract: Extract, end: datetime) -> list[tuple[str, str]]:
    """Tables and columns of an extract that hold a moment after `end` which is not a plan."""
    found = []
    for part in extract.tables:
        for field in part.data.schema:
            if field.name in PLANNED or not pa.types.is_temporal(field.type):
                continue
            newest = pc.max(part.data[field.name]).as_py()
            limit = end if pa.types.is_timestamp(field.type) else end.date()
            if newest is not None and newest > limit:
                found.append((part.table, field.name))
    return found


def read_until(load: int) -> datetime:
    return company().load_times[load].replace(tzinfo=None, hour=0)


def test_no_record_knows_anything_later_than_its_load():
    for load in range(53):
        for extract in extracts(load):
            assert known_too_early(extract, read_until(load)) == [], load


def test_a_record_from_the_future_would_be_noticed():
    support = next(extract for extract in extracts(9) if extract.source_kind == "support")
    assert ("support_ticket", "created_at") in known_too_early(support, read_until(8))


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), accounts=st.integers(1, 60), load=st.integers(0, 52))
def test_any_company_keeps_time_and_the_contract(seed, accounts, load):
    tables = landing_tables()
    for extract in DemoCompany(seed, accounts, events_per_account_week=3).extracts(load):
        assert known_too_early(extract, read_until(load)) == []
        for part in extract.tables:
            for name in tables[part.table].required:
                assert part.data[name].null_count == 0, (part.table, name)


def test_a_weekly_extract_holds_what_changed_in_its_week():
    for load in (1, 17, 52):
        end = company().load_times[load].replace(tzinfo=None, hour=0)
        for extract in extracts(load):
            for part in extract.tables:
                if part.is_complete or part.table in ("usage_event", "usage_daily"):
                    continue
                changed = part.data["source_updated_at"].to_pandas()
                assert changed.between(end - timedelta(days=7), end, inclusive="left").all(), part.table


def test_a_record_comes_once_per_load_and_its_versions_go_forward():
    keys = {name: table.key for name, table in landing_tables().items() if table.is_mutable}
    for extract in extracts(0):
        for part in extract.tables:
            if part.table not in keys:
                continue
            rows = delivered(extract.source_kind, part.table)
            key = list(keys[part.table])
            assert not rows.duplicated([*key, "load"]).any(), part.table
            steps = rows.sort_values([*key, "load"]).groupby(key)["source_updated_at"].diff().dropna()
            assert (steps >= timedelta(0)).all(), part.table


def test_a_ticket_is_delivered_open_and_again_as_solved():
    tickets = delivered("support", "support_ticket")
    weekly = tickets[tickets["load"] > 0].sort_values("load")
    weekly = weekly.set_index("ticket_id")
    first, last = (weekly[~weekly.index.duplicated(keep=keep)].sort_index() for keep in ("first", "last"))
    carried = first.index[first["solved_at"].isna() & last["solved_at"].notna()]
    assert len(carried) > 50
    assert first.loc[carried, "status"].isin(["new", "open", "pending", "hold"]).all()
    assert last.loc[carried, "status"].isin(["solved", "closed"]).all()
    solved = tickets["status"].isin(["solved", "closed"])
    assert (tickets["solved_at"].notna() == solved).all()


def test_the_extracts_do_not_depend_on_the_order_in_which_they_are_asked_for():
    one = DemoCompany(seed=11, accounts=40, events_per_account_week=5)
    other = DemoCompany(seed=11, accounts=40, events_per_account_week=5)
    backwards = {load: tables_of(other, load) for load in (52, OUTAGE_LOAD + 1, 1, 0)}
    for load in (0, 1, OUTAGE_LOAD + 1, 52):
        again = tables_of(one, load)
        assert again.keys() == backwards[load].keys()
        assert all(again[name].equals(backwards[load][name]) for name in again)
    assert content_hash(tables_of(one, 1)["cs", "cs_note"]) == content_hash(backwards[1]["cs", "cs_note"])


def test_another_seed_is_another_company():
    one, other = DemoCompany(seed=11, accounts=40), DemoCompany(seed=12, accounts=40)
    same = [name for name, table in tables_of(one, 1).items() if table.equals(tables_of(other, 1)[name]) and len(table)]
    assert same == []


def test_usage_events_come_late_and_twice():
    events = delivered("usage", "usage_event")
    weekly = events[events["load"] > 0]
    week_begin = pd.to_datetime("2025-11-17") + pd.to_timedelta(7 * (weekly["load"] - 1), unit="D")
    days_late = (week_begin - weekly["occurred_at"]).dt.days
    is_first = ~weekly["event_id"].duplicated()
    late = weekly[is_first & (weekly["load"] != OUTAGE_LOAD + 1) & (days_late >= 0)]
    assert 0.005 < len(late) / len(weekly) < 0.04
    # Two weeks at most, three where a collector was down.
    assert ((week_begin - weekly["occurred_at"]).dt.days // 7).max() == 2
    twice = events.groupby("event_id").agg(times=("load", "size"), loads=("load", "nunique"))
    assert (twice["times"] > 1).mean() > 0.0005
    assert twice["loads"].max() == 2
    assert (twice["times"] > twice["loads"]).any()
    # The same id means the same event.
    content = events.drop(columns="load").drop_duplicates()
    assert content["event_id"].is_unique


def test_one_week_of_usage_is_half_missing_and_comes_with_the_next():
    rows = delivered("usage", "usage_event").groupby("load").size()
    usual = rows[1:].median()
    assert 0.45 < rows[OUTAGE_LOAD] / usual < 0.7
    assert 1.3 < rows[OUTAGE_LOAD + 1] / usual < 1.6
    others = rows[1:].drop([OUTAGE_LOAD, OUTAGE_LOAD + 1])
    # Within the usage policy's volume band, so that an ordinary week waits for nobody.
    assert (others / usual).between(0.5, 2.0).all()


def test_notes_come_late():
    for kind in ("engagement", "cs"):
        notes = delivered(kind, "cs_note")
        waited = notes["source_created_at"] - notes["occurred_at"]
        assert 0.01 < (waited > timedelta(days=4)).mean() < 0.06
        assert waited.max() < timedelta(days=16)
        assert not notes["note_id"].duplicated().any()


def test_invoices_are_corrected_later():
    invoices = delivered("billing", "billing_invoice")
    totals = invoices.groupby("invoice_id")["total"].nunique()
    corrected = invoices[invoices["invoice_id"].isin(totals.index[totals > 1])].sort_values("source_updated_at")
    assert len(totals[totals > 1]) > 5
    assert (corrected.groupby("invoice_id")["total"].last() < corrected.groupby("invoice_id")["total"].first()).all()
    paid = invoices[invoices["status"] == "paid"]
    assert (paid["amount_paid"] == paid["total"]).all()
    assert paid["paid_at"].notna().all()
    assert (
        invoices[invoices["status"] == "open"]["amount_due"] == invoices[invoices["status"] == "open"]["total"]
    ).all()


def test_payments_fail_and_succeed_for_invoices_that_exist():
    payments, invoices = delivered("billing", "billing_payment"), delivered("billing", "billing_invoice")
    assert set(payments["invoice_id"]) <= set(invoices["invoice_id"])
    assert 0.01 < (payments["status"] == "failed").mean() < 0.2
    assert (payments["failure_code"].notna() == (payments["status"] == "failed")).all()


def test_the_crm_is_delivered_whole_and_records_vanish_from_it():
    accounts = delivered("crm", "source_account")
    parts = {load: next(p for e in extracts(load) for p in e.tables if e.source_kind == "crm") for load in range(53)}
    assert all(part.table == "source_account" and part.is_complete for part in parts.values())
    assert all(part.announced_rows == part.data.num_rows for part in parts.values())
    ids_of = accounts.groupby("load")["source_account_id"].agg(set)
    gone = {load: ids_of[load - 1] - ids_of[load] for load in range(1, 53) if ids_of[load - 1] - ids_of[load]}
    assert set(gone) == {MERGED_AWAY_LOAD, ERASED_LOAD}
    assert [name.endswith("-2") for name in gone[MERGED_AWAY_LOAD]] == [True]
    duplicates = accounts[accounts["source_account_id"].str.endswith("-2")]
    originals = accounts[accounts["source_account_id"].isin(duplicates["source_account_id"].str[:-2])]
    assert set(duplicates["domain"]) == set(originals["domain"])
    assert len(set(duplicates["source_account_id"])) == 2


def test_systems_carry_the_crms_id_for_most_accounts_and_nothing_for_a_few():
    crm = set(delivered("crm", "source_account")["source_account_id"])
    for kind in SOURCE_KINDS[1:]:
        accounts = delivered(kind, "source_account")
        last = accounts.sort_values("load").groupby("source_account_id").last()
        assert last["external_account_id"].notna().mean() > 0.75
        assert set(last["external_account_id"].dropna()) <= crm
        # An account that was moved to another workspace has two of them.
        twice = last["external_account_id"].dropna().duplicated()
        assert last["name"][twice[twice].index].str.endswith(" (2)").all()
        assert twice.sum() == (
            company()._world.stories.accounts_in("planned_migration").sum() if kind == "usage" else 0
        )
        assert (last["external_account_id"].isna() & last["domain"].notna()).sum() >= 3
        nothing = last["external_account_id"].isna() & last["domain"].isna()
        assert nothing.sum() == {"billing": 2, "support": 3, "usage": 3}.get(kind, 0)
    support = delivered("support", "source_account")
    freemail = support[support["domain"] == "gmail.com"]
    assert freemail["source_account_id"].nunique() == 2
    assert freemail["external_account_id"].isna().all()
    mapped = support[support["load"] == MAPPED_LATER_LOAD]
    mapped = mapped[mapped["domain"].isna() & mapped["external_account_id"].notna()]
    assert len(mapped) == 3


def test_unmatched_billing_accounts_have_revenue():
    accounts = delivered("billing", "source_account")
    unmatched = accounts[accounts["external_account_id"].isna() & accounts["domain"].isna()]["source_account_id"]
    subscriptions = delivered("billing", "billing_subscription")
    revenue = subscriptions[subscriptions["source_account_id"].isin(unmatched)]
    assert revenue["source_account_id"].nunique() == 2
    assert (revenue["arr"] > 0).all()


def test_records_refer_to_accounts_their_system_knows():
    for extract in extracts(0):
        kind = extract.source_kind
        known = set(delivered(kind, "source_account")["source_account_id"])
        for part in extract.tables:
            column = {"usage_event": "group_id"}.get(part.table, "source_account_id")
            if column in part.data.schema.names:
                assert set(delivered(kind, part.table)[column].dropna()) <= known, part.table
    tickets = delivered("support", "support_ticket")
    assert 0 < tickets["source_account_id"].isna().mean() < 0.04


def test_the_managers_pulse_is_in_the_notes_custom_field():
    notes = delivered("cs", "cs_note")
    pulse = notes[notes["activity_type"] == "sentiment"]["custom"].str.extract(r'^\{"csm_sentiment":([1-5])\}$')[0]
    assert pulse.notna().all()
    assert pulse.nunique() >= 4
    assert notes[notes["activity_type"] != "sentiment"]["custom"].isna().all()


def test_people_are_made_up_and_their_addresses_lead_nowhere():
    contacts = delivered("crm", "crm_contact")
    assert contacts["email"].dropna().str.endswith(".example").all()
    assert 0.01 < contacts["email"].isna().mean() < 0.08
    owners = delivered("crm", "source_account")["owner_email"]
    assert owners.dropna().str.endswith("@example.com").all()
    assert 1 < owners.nunique() <= 8
    assert 0 < owners.isna().mean() < 0.12
    assert set(delivered("billing", "billing_subscription")["currency"]) == {"USD", "EUR", "GBP"}


def test_a_large_history_is_written_to_a_file_with_the_same_events(monkeypatch):
    small = DemoCompany(seed=5, accounts=30, events_per_account_week=6)
    in_memory = small._usage.event_extract(0).data
    monkeypatch.setattr(usage_module, "ROWS_IN_MEMORY", 100)
    path = small._usage.event_extract(0).data
    assert isinstance(path, Path)
    assert content_hash(pq.read_table(path)) == content_hash(in_memory)


def test_nothing_but_tests_asks_for_the_truth():
    root = Path(usage_module.__file__).parents[3]
    asking = re.compile(r"\.truth\(|tell_truth\(")
    allowed = {"truth.py", "company.py"}
    places = [
        path
        for path in (root / "health_pipeline").rglob("*.py")
        if asking.search(path.read_text()) and not (path.parent.name == "demo" and path.name in allowed)
    ]
    assert places == []


def test_versions_keep_the_newest_change_of_each_load():
    day = np.datetime64("2026-03-02", "us")
    created = np.array([day, day])
    changed = np.array([day + np.timedelta64(1, "D"), day + np.timedelta64(8, "D")])
    record, at = versions_at(created, changed, np.array(["NaT", "NaT"], dtype="datetime64[us]"))
    assert record.tolist() == [0, 1, 1]
    assert at.tolist() == [changed[0].item(), day.item(), changed[1].item()]
    assert last_per_load(np.array([], dtype=int), np.array([], dtype="datetime64[us]")).tolist() == []
