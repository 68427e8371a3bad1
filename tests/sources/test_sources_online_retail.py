"""UCI Online Retail through the example's mapping: what comes in, with the figures that are known of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from health_pipeline.contract.clocks import Week, quarter_of
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings
from health_pipeline.sources.files import load_files
from health_pipeline.sources.landing import Landing

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY.parent / "shared" / "data" / "online_retail"
EXAMPLE = REPOSITORY / "examples" / "online_retail"
NOW = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    assert (DATA / "online_retail.csv.gz").is_file(), f"{DATA} has no online_retail.csv.gz: see the example's README"
    settings = Settings(home=tmp_path_factory.mktemp("online_retail"))
    company = load_company(EXAMPLE / "policy").model
    results = load_files(settings, company, EXAMPLE / "mapping.yaml", DATA, NOW, historical=True)
    return settings, company, results


@pytest.fixture(scope="module")
def tables(loaded):
    settings, _, _ = loaded
    with duckdb.connect() as con:
        for row in Landing(settings.landing, settings.quarantine).manifest().to_pylist():
            con.execute(f"create view {row['source_kind']}_{row['table_name']} as from read_parquet('{row['path']}')")
        yield lambda query: con.execute(query).fetchall()


def test_billing_and_usage_come_in_without_a_word(loaded):
    _, _, results = loaded
    assert [(one.source_kind, one.status, one.rows, one.messages) for one in results] == [
        ("billing", "committed", 4338 + 22150, ()),
        ("usage", "committed", 4338 + 397884, ()),
    ]


def test_the_known_figures(tables):
    assert tables("select count(*), count(distinct group_id), count(distinct event_id) from usage_usage_event") == [
        (397884, 4338, 397884)
    ]
    invoices = tables(
        "select status, count(*), sum(total) from billing_billing_invoice group by status order by status"
    )
    assert [(status, count) for status, count, _ in invoices] == [("paid", 18532), ("void", 3618)]
    assert float(invoices[0][2]) == pytest.approx(8911407.90, abs=1)
    assert invoices[1][2] < 0
    assert tables(
        "select count(*) from billing_source_account anti join usage_source_account using (source_account_id)"
    ) == [(0,)]
    assert tables(
        "select count(*) from billing_billing_invoice anti join billing_source_account using (source_account_id)"
    ) == [(0,)]


def test_facts_count_from_their_invoice_date(tables):
    assert tables(
        "select count(*) from billing_billing_invoice where available_at <> issued_at or "
        "attributes_available_at <> issued_at"
    ) == [(0,)]
    assert tables(
        "select min(available_at), max(available_at) from usage_usage_event where occurred_at = available_at"
    ) == [(datetime(2010, 12, 1, 8, 26), datetime(2011, 12, 9, 12, 50))]
    assert tables("select bool_and(is_available_at_imputed) from usage_usage_event") == [(True,)]


def test_customers_of_the_fiscal_quarters(tables, loaded):
    _, company, _ = loaded
    customers = dict(
        tables(
            "select date_trunc('quarter', issued_at + interval 1 month), count(distinct source_account_id) "
            "from billing_billing_invoice where status = 'paid' and issued_at < '2011-12-01' group by 1 order by 1"
        )
    )
    assert list(customers.values()) == [1682, 1993, 1948, 2851]
    assert quarter_of(Week(date(2011, 11, 28)), company.fiscal_year_start_month).first_day == date(2011, 9, 1)


def test_a_customer_keeps_the_country_of_the_first_sale(tables):
    assert tables("select country from billing_source_account where source_account_id = '12370'") == [("Cyprus",)]
    assert tables("select count(*) from billing_source_account where attributes_available_at <> source_created_at") == [
        (0,)
    ]


def test_the_same_file_again_is_a_no_op(loaded):
    settings, company, first = loaded
    again = load_files(settings, company, EXAMPLE / "mapping.yaml", DATA, NOW, historical=True)
    assert [(one.status, one.load_id) for one in again] == [("duplicate", one.load_id) for one in first]


def test_only_what_the_file_knows_is_required():
    company = load_company(EXAMPLE / "policy").model
    assert {kind for kind, source in company.sources.items() if source.required} == {"billing"}
    assert company.reporting_currency == "GBP"
    assert company.not_applicable_domains == ("payment",)
