"""`load --check`: what it says is what a load would do, and nothing under HEALTH_HOME is written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from health_pipeline.cli import app
from health_pipeline.contract.mart import mart_tables
from health_pipeline.orchestration.load_check import check_load, coverage_of
from health_pipeline.orchestration.load_check_words import told
from health_pipeline.policy.company import load_company
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.settings import Settings
from health_pipeline.sources.feature_needs import feature_needs, unfed
from health_pipeline.sources.files import load_files
from health_pipeline.sources.mapping import MappingError

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
MAPPING = """
inputs: {accounts: {files: accounts.csv}, bills: {files: bills.csv}}
sources:
  - kind: crm
    system: my_crm
    tables:
      - table: source_account
        from: accounts
        select: {source_account_id: id, name: name, domain: domain, source_created_at: since, source_updated_at: since}
  - kind: billing
    system: my_bills
    tables:
      - table: source_account
        from: bills
        select:
          {source_account_id: customer, name: customer, external_account_id: customer, source_created_at: issued,
           source_updated_at: issued}
      - table: billing_invoice
        from: bills
        select:
          {invoice_id: no, source_account_id: customer, status: status, currency: "'EUR'", total: total,
           amount_due: total, issued_at: issued, paid_at: paid}
"""
ACCOUNTS = "id,name,domain,since\nA-100001,Alder,alder.example,2024-01-01\nA-100002,Birch,birch.example,2024-01-01\n"
HEADER = "no,customer,status,total,issued,paid\n"
BILLS = f"{HEADER}r1,A-100001,paid,10.50,2026-01-05,2026-01-20\nr2,A-100003,open,11.00,2026-02-05,\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "mapping.yaml").write_text(MAPPING)
    (folder / "accounts.csv").write_text(ACCOUNTS)
    (folder / "bills.csv").write_text(BILLS)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_it_counts_rows_nulls_times_and_accounts_and_writes_nothing(data: Path, settings: Settings) -> None:
    check = check_load(settings, data / "mapping.yaml", data, NOW, historical=True)
    assert not settings.home.exists()
    crm, billing = check.loads
    assert (crm.match.accounts, crm.match.matched) == (2, 2)  # type: ignore[union-attr]
    assert billing.match is not None
    assert (billing.match.accounts, billing.match.matched, billing.match.methods) == (2, 1, (("external_id", 1),))
    accounts, invoices = billing.tables
    assert (invoices.delivered, invoices.accepted, invoices.without_account) == (2, 2, 0)
    assert (invoices.first_at, invoices.last_at) == (datetime(2026, 1, 5), datetime(2026, 2, 5))
    assert invoices.null_shares["paid_at"] == 0.5
    assert (invoices.imputed, invoices.counts_from_load) == (2, 2)
    assert accounts.counts_from_load == 0
    text = "\n".join(told(check))
    assert "billing from my_bills: would come in, historical" in text
    assert "accounts: 1 of 2 (50%) would belong to a customer: 1 by external_id" in text
    assert "2 of 2 rows do not say when they last changed (source_updated_at)" in text
    assert "empty: due_date on 100%, paid_at on 50%" in text
    assert text.endswith("Nothing was written. Without --check this would be loaded.")


def test_what_is_landed_already_counts_for_the_accounts(data: Path, settings: Settings) -> None:
    company = load_company(None).model
    lines = MAPPING.splitlines(keepends=True)
    (data / "crm.yaml").write_text("".join(lines[:9]).replace(", bills: {files: bills.csv}", ""))
    (data / "bills.yaml").write_text("".join([*lines[:3], *lines[9:]]))
    load_files(settings, company, data / "crm.yaml", data, datetime(2026, 11, 18, tzinfo=UTC), historical=True)
    before = sorted(path for path in settings.home.rglob("*"))
    check = check_load(settings, data / "bills.yaml", data, NOW, historical=True)
    assert sorted(path for path in settings.home.rglob("*")) == before
    (billing,) = check.loads
    assert billing.match is not None
    assert (billing.match.accounts, billing.match.matched) == (2, 1)
    again = check_load(settings, data / "crm.yaml", data, NOW, historical=True)
    assert again.loads[0].result.status == "duplicate"
    assert not again.is_refused


def test_everything_that_is_wrong_is_told_at_once(data: Path, settings: Settings) -> None:
    (data / "bills.csv").write_text(
        'no,customer,status,total,issued,paid\nr1,A-100001,paid,"10,50",2026-01-05,\nr2,,open,11.00,05/02/2026,\n'
    )
    check = check_load(settings, data / "mapping.yaml", data, NOW, historical=True)
    assert check.is_refused
    assert [load.result.status for load in check.loads] == ["committed", "refused"]
    messages = check.loads[1].result.messages
    assert any("column total, bills.csv row 2: '10,50' is not an amount with two decimals" in one for one in messages)
    assert any("column issued_at, bills.csv row 3: '05/02/2026' is not a UTC timestamp" in one for one in messages)
    assert any("column source_account_id is empty on 1 of 2 rows, first at bills.csv row 3" in one for one in messages)
    assert all(one.startswith("billing load of my_bills, table ") and one.endswith(".") for one in messages)
    assert "billing from my_bills: would be REFUSED" in list(told(check))


def test_every_part_of_a_mapping_that_does_not_fit_is_named(data: Path, settings: Settings) -> None:
    text = MAPPING.replace("domain: domain", "domain: domian").replace("invoice_id: no", "invoice_id: nr")
    (data / "mapping.yaml").write_text(text)
    with pytest.raises(MappingError) as told_error:
        check_load(settings, data / "mapping.yaml", data, NOW, historical=True)
    crm, billing = str(told_error.value).splitlines()
    assert crm.endswith("column domain (domian): the file has no column 'domian'; the closest is 'domain'.")
    assert billing.endswith("column invoice_id (nr): the file has no column 'nr'; the closest is 'no'.")


def test_the_exit_code_is_the_answer(data: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_HOME", str(settings.home))
    command = ["load", "--mapping", str(data / "mapping.yaml"), "--data", str(data), "--historical", "--check"]
    good = CliRunner().invoke(app, command)
    assert good.exit_code == 0
    (data / "bills.csv").write_text(f"{HEADER}r1,A-100001,paid,much,2026-01-05,\n")
    assert CliRunner().invoke(app, command).exit_code == 1
    assert not settings.home.exists()


def test_coverage_is_the_weight_that_has_data_at_all() -> None:
    company, policy = load_company(None).model, load_health_score(None).model
    everything = {column for ways in feature_needs().values() for way in ways for column in way}
    assert coverage_of(company, policy, everything).share == pytest.approx(1)
    nothing = coverage_of(company, policy, set())
    assert nothing.share == pytest.approx(0)
    assert sum(weight for _, weight, _ in nothing.missing) == pytest.approx(1)
    # payment alone: 8 of the 104 points of the groups of an established account
    groups = policy.group_weights(nothing.scorecard)
    payment = coverage_of(company, policy, {"billing_payment.status", "billing_invoice.due_date"})
    assert payment.share == pytest.approx(groups["payment"] / sum(groups.values()))
    assert "payment" not in payment.silent_domains
    assert "usage" in payment.silent_domains


def test_the_nearest_alternative_is_what_is_missing() -> None:
    assert unfed(["license_utilisation"], {"usage_daily.active_users"}) == {
        "license_utilisation": ("billing_subscription.quantity",)
    }
    assert unfed(["license_utilisation"], {"usage_daily.active_users", "usage_daily.seats_licensed"}) == {}


@pytest.mark.parametrize("folder", [None, "professional_services"])
def test_every_feature_a_score_reads_says_what_it_needs(folder: str | None) -> None:
    documents = Path(__file__).parents[2] / "health_pipeline" / "policy" / "documents"
    policy = load_health_score(documents / folder if folder else None).model
    read = {measure.feature for measure in policy.measures.values()}
    assert read <= feature_needs().keys()
    assert feature_needs().keys() <= {column.name for column in mart_tables()["account_features_weekly"].columns}


def test_a_required_source_whose_file_is_old_is_told_beforehand(data: Path, settings: Settings) -> None:
    check = check_load(settings, data / "mapping.yaml", data, NOW, historical=True)
    crm, billing = check.stale
    # the newest week that has ended is that of 2026-11-09; the CRM's newest time is 2024-01-01, known a day later
    assert crm.startswith("crm from my_crm: its newest record is of 2024-01-02, so in the week of 2026-11-09 it holds")
    # 2024-01-02 to 2026-11-16 06:00 is 1,049 days
    assert "set stale_after_days for crm in company.yaml to 1056 or more (it is 14)" in crm
    assert "its newest record is of 2026-02-06" in billing
    fresh = BILLS.replace("2026-02-05", "2026-11-12")
    (data / "bills.csv").write_text(fresh)
    assert [one.split(":")[0] for one in check_load(settings, data / "mapping.yaml", data, NOW, True).stale] == [
        "crm from my_crm"
    ]
    assert check_load(settings, data / "mapping.yaml", data, NOW, historical=False).stale == ()
