"""History is made load by load and read as known then: whatever way the loads come in, each week says the same."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.content import content_hash
from health_pipeline.mart.dbt import DbtError, dbt_vars, run_dbt, write_landing_manifest
from health_pipeline.mart.warehouse import read_mart, read_marts

W1, W2, W3 = Week(date(2026, 1, 5)), Week(date(2026, 1, 12)), Week(date(2026, 1, 19))
WEEKS = (W1, W2, W3)
# known_at of each week is 06:00 on the Monday after it
L1, L2, L3 = (datetime(2026, 1, day, 2) for day in (12, 19, 26))
WEEKLY_TABLES = ("account_features_weekly", "account_outcomes_weekly", "source_freshness_weekly")
SNAPSHOTS = ("accounts", "account_links", "account_treatments", "unmatched_records")


def subscription(account: str, **columns) -> dict:
    return {
        "subscription_id": f"sub-{account}",
        "source_account_id": account,
        "status": "active",
        "currency": "USD",
        "arr": Decimal("1200.00"),
        "quantity": 10,
        "started_at": datetime(2024, 1, 1),
        "source_updated_at": datetime(2024, 1, 1),
        "current_period_end": datetime(2026, 12, 31),
        **columns,
    }


def record(account: str, **columns) -> dict:
    return {
        "source_account_id": account,
        "name": account.title(),
        "owner_email": "Kim@example.com",
        "source_created_at": datetime(2024, 1, 1),
        "source_updated_at": datetime(2024, 1, 1),
        **columns,
    }


def event(name: str, account: str | None, at: datetime, user: str = "ann", feature: str = "reports") -> dict:
    return {
        "event_id": name,
        "event_name": "opened",
        "group_id": account,
        "user_id": user,
        "feature_key": feature,
        "occurred_at": at,
        "received_at": at,
    }


def ticket(name: str, account: str | None, created: datetime, **columns) -> dict:
    return {
        "ticket_id": name,
        "source_account_id": account,
        "status": "open",
        "priority": "low",
        "created_at": created,
        "source_updated_at": created,
        **columns,
    }


def write_company(company) -> None:
    """Three weeks: a rename, a cancellation, a record that vanishes and comes back, a late and a repeated event."""
    for account in ("alpha", "beta", "gamma"):
        company.link_all(account, ("crm", "billing", "support", "usage"))
    company.account("delta")
    for kind in ("crm", "billing"):
        company.link("delta", kind, valid_from=L3)
    company.load(
        "billing",
        L1,
        {
            "billing_subscription": [subscription(account) for account in ("alpha", "beta", "gamma")],
            "billing_payment": [
                {
                    "payment_id": "p1",
                    "source_account_id": "alpha",
                    "status": "failed",
                    "amount": Decimal("10.00"),
                    "currency": "USD",
                    "occurred_at": datetime(2026, 1, 6),
                }
            ],
        },
        complete=["billing_subscription"],
    )
    company.load(
        "crm", L1, {"source_account": [record(a) for a in ("alpha", "beta", "gamma")]}, complete=["source_account"]
    )
    company.load("support", L1, {"support_ticket": [ticket("t1", "alpha", datetime(2026, 1, 7))]})
    company.load("usage", L1, {"usage_event": [event("e1", "alpha", datetime(2026, 1, 6, 12))]})

    company.load(
        "billing",
        L2,
        {"billing_subscription": [subscription("alpha"), subscription("beta")], "billing_payment": []},
        complete=["billing_subscription"],
    )
    company.load(
        "crm",
        L2,
        {"source_account": [record("alpha", name="Alpha Group"), record("beta")]},
        complete=["source_account"],
    )
    company.load(
        "support",
        L2,
        {
            "support_ticket": [
                ticket(
                    "t1",
                    "alpha",
                    datetime(2026, 1, 7),
                    priority="urgent",
                    status="solved",
                    solved_at=datetime(2026, 1, 15),
                ),
                ticket("t2", None, datetime(2026, 1, 14)),
            ]
        },
    )
    company.load(
        "usage",
        L2,
        {
            "usage_event": [
                event("e1", "alpha", datetime(2026, 1, 6, 12)),
                event("e2", "alpha", datetime(2026, 1, 13)),
                event("first", "gamma", datetime(2026, 1, 13), feature="exports"),
            ],
            "usage_daily": [
                {"source_account_id": "alpha", "usage_date": date(2026, 1, 13), "active_users": 50, "events": 900},
                {"source_account_id": "beta", "usage_date": date(2026, 1, 14), "active_users": 3, "events": 12},
            ],
        },
    )

    company.load(
        "billing",
        L3,
        {
            "billing_subscription": [
                subscription("alpha", arr=Decimal("1500.00")),
                subscription("beta", status="canceled", canceled_at=datetime(2026, 1, 22)),
                subscription("gamma"),
                subscription("delta", started_at=datetime(2026, 1, 20)),
            ],
            "billing_payment": [],
        },
        complete=["billing_subscription"],
    )
    company.load("crm", L3, {"source_account": [record("alpha", name="Alpha Group"), record("beta"), record("delta")]})
    company.load(
        "usage",
        L3,
        {
            "usage_event": [
                event("late", "alpha", datetime(2026, 1, 8), user="bob"),
                event("earlier", "gamma", datetime(2026, 1, 7), feature="exports"),
                event("again", "gamma", datetime(2026, 1, 20), feature="exports"),
            ]
        },
    )


def loads_through(company, moment: datetime) -> int:
    return max(row["load_sequence"] for row in company.manifest_rows if row["loaded_at"] <= moment)


def hashes(mart, weeks=WEEKS, names=WEEKLY_TABLES) -> dict[str, str]:
    return {name: content_hash(table) for name, table in read_marts(mart.settings, names, list(weeks)).items()}


@pytest.fixture(scope="module")
def company(new_company):
    made = new_company()
    write_company(made)
    return made


@pytest.fixture(scope="module")
def at_once(company, mart_of):
    return mart_of(company).build(*WEEKS, tests=True)


@pytest.fixture(scope="module")
def week_by_week(company, mart_of):
    """Each week built when only its loads were there; kept: what it said then, and the file before the last week."""
    mart = mart_of(company)
    said = {}
    for week, moment in zip(WEEKS, (L1, L2, L3), strict=True):
        if week is W3:
            shutil.copy(mart.settings.warehouse, mart.settings.home / "before_last.duckdb")
        mart.build(week, through=loads_through(company, moment))
        said[week] = hashes(mart, [week])
    return mart, said


def copy_of(mart, mart_of, file: str | None = None):
    copied = mart_of(mart.company)
    copied.settings.warehouse.parent.mkdir(parents=True)
    shutil.copy(mart.settings.home / file if file else mart.settings.warehouse, copied.settings.warehouse)
    return copied


def test_a_week_says_the_same_without_the_loads_that_came_later(at_once, week_by_week):
    said = week_by_week[1]
    assert {week: hashes(at_once, [week]) for week in WEEKS} == said


def test_load_by_load_gives_the_history_of_all_at_once(at_once, week_by_week):
    mart = week_by_week[0]
    assert mart.history() == at_once.history()
    assert hashes(mart, names=SNAPSHOTS) == hashes(at_once, names=SNAPSHOTS)


def test_a_half_integrated_load_converges(at_once, week_by_week, mart_of):
    mart = copy_of(week_by_week[0], mart_of, "before_last.duckdb")
    half = ["staging", "int_billing_subscription_versions", "int_usage_event", "int_usage_days", "int_usage_user_weeks"]
    mart.dbt("run", "--select", *half, weeks=[W3])
    assert mart.query("select count(*) from landing.source_load where is_pending")[0][0] > 0
    assert len(mart.query("select * from landing.integrated_load")) == loads_through(mart.company, L2)
    mart.build(W3)
    assert mart.history() == at_once.history()
    assert hashes(mart) == hashes(at_once)


def test_running_a_week_again_changes_nothing(at_once):
    before, history = hashes(at_once), at_once.history()
    at_once.build(W2)
    assert hashes(at_once) == before
    assert at_once.history() == history


def test_a_late_event_counts_from_the_week_it_was_known(at_once):
    days = [at_once.row("alpha", week)["active_days_28d"] for week in WEEKS]
    users = [at_once.row("alpha", week)["active_users_28d"] for week in WEEKS]
    assert (days, users) == ([1, 2, 3], [1, 1, 2])


def test_a_late_event_moves_a_first_use_back_from_the_week_it_counts_for(at_once):
    assert at_once.query(
        "select counts_from_week, first_used_week from intermediate.int_usage_feature_starts "
        "where source_account_id = 'gamma' order by counts_from_week"
    ) == [(W2.monday, W2.monday), (W3.monday, W1.monday)]


def test_an_event_delivered_twice_counts_once_and_events_win_over_the_roll_up(at_once):
    assert at_once.row("alpha", W2)["usage_depth_28d"] == 2.0
    assert at_once.query("select count(*) from intermediate.int_usage_event where event_id = 'e1'") == [(1,)]
    beta = at_once.row("beta", W2)
    assert (beta["active_users_28d"], beta["usage_depth_28d"], beta["active_days_28d"]) == (3, 4.0, 1)


def test_a_record_missing_from_a_complete_extract_is_closed_at_it_and_can_come_back(at_once):
    versions = at_once.query(
        "select valid_from, valid_to, is_deleted from intermediate.int_billing_subscription_versions "
        "where subscription_id = 'sub-gamma' order by valid_from"
    )
    assert versions == [(L1, L2, False), (L2, L3, True), (L3, None, False)]
    assert [at_once.row("gamma", week) is not None for week in WEEKS] == [True, False, True]


def test_an_extract_that_is_not_complete_closes_nothing(at_once):
    assert at_once.query(
        "select valid_from, valid_to, is_deleted from intermediate.int_source_account_versions "
        "where source_account_id = 'gamma' order by valid_from"
    ) == [(L1, L2, False), (L2, None, True)]
    assert at_once.query(
        "select count(*) from intermediate.int_source_account_versions where source_account_id = 'beta'"
    ) == [(1,)]


def test_a_redelivery_that_changes_nothing_makes_no_version(at_once):
    names = at_once.query(
        "select name, valid_from, valid_to from intermediate.int_source_account_versions "
        "where source_account_id = 'alpha' order by valid_from"
    )
    assert names == [("Alpha", L1, L2), ("Alpha Group", L2, None)]


def test_amounts_and_priorities_are_those_known_then(at_once):
    assert [at_once.row("alpha", week)["arr"] for week in WEEKS] == [Decimal("1200.00")] * 2 + [Decimal("1500.00")]
    assert at_once.row("alpha", W3)["mrr_movement"] == "new", "28 days before nothing was known of it"
    # urgent later, low when it was first known
    assert at_once.row("alpha", W2)["urgent_high_share_91d"] == 0.0


def test_a_cancelled_customer_stays_in_its_past_weeks(at_once):
    assert [at_once.row("beta", week) is not None for week in WEEKS] == [True, True, False]


def test_a_ticket_is_open_until_it_was_solved(at_once):
    assert [at_once.row("alpha", week)["open_backlog"] for week in WEEKS] == [1, 0, 0]
    assert at_once.row("alpha", W2)["full_resolution_minutes_median_91d"] == 8 * 24 * 60


def test_records_that_name_no_account_are_queued(at_once):
    rows = read_mart(at_once.settings, "unmatched_records").to_pylist()
    assert [(row["source_system"], row["source_account_id"], row["records"], row["reason"]) for row in rows] == [
        ("support_system", "", 1, "the records name no account")
    ]
    # nothing is billed to it: the revenue at stake is unknown, not 0
    assert rows[0]["revenue_at_stake"] is None


def test_accounts_are_those_known_by_the_last_week(at_once):
    rows = {row["account_id"]: row for row in read_mart(at_once.settings, "accounts").to_pylist()}
    assert set(rows) == {"alpha", "beta", "gamma", "delta"}
    # the CRM's complete extract no longer had gamma; the account stays, its owner does not
    assert (rows["alpha"]["account_name"], rows["alpha"]["owner_email"]) == ("Alpha Group", "kim@example.com")
    assert rows["gamma"]["owner_email"] is None


def test_no_model_meets_all_rows_with_all(at_once):
    """An outer join with a condition on one of its sides has no hash join in DuckDB: hours at scale."""
    compiled = sorted((at_once.settings.home / "dbt").rglob("compiled/**/models/**/*.sql"))
    models = [path for path in compiled if path.parent.suffix != ".yml"]
    assert len({path.stem for path in models}) > 80
    assert "BLOCKWIS" in at_once.plan("select 1 from range(9) a(x) left join range(9) b(y) on x = y or x = 1")
    assert [path.stem for path in models if "BLOCKWIS" in at_once.plan(path.read_text())] == []


def test_a_vanished_account_and_an_emptied_week_leave_nothing_behind(at_once, mart_of):
    mart = copy_of(at_once, mart_of)
    through = loads_through(mart.company, L2)
    mart.build(W3, through=through)
    assert sorted(mart.features(W3)["account_id"].to_pylist()) == ["alpha", "beta"]
    assert hashes(mart, [W1, W2]) == hashes(at_once, [W1, W2])
    mart.build(W3, through=0)
    assert mart.features(W3).num_rows == 0
    assert hashes(mart, [W1, W2])["account_features_weekly"] == hashes(at_once, [W1, W2])["account_features_weekly"]


def test_a_failing_run_is_told_in_a_sentence_and_integrates_nothing(company, mart_of, tmp_path):
    mart = mart_of(company)
    company.write_identity(mart.settings)
    write_landing_manifest(mart.settings, company.manifest())
    broken = {**dbt_vars(mart.settings, mart.policy, [W1]), "reporting_currency": "USD' from nowhere --"}
    with pytest.raises(DbtError, match=r"^dbt stopped at .*int_currency_rates_weekly: .*\)\.$"):
        run_dbt(mart.settings, ["run", "--select", "+int_currency_rates_weekly"], broken)
    assert mart.query("select count(*) from landing.integrated_load") == [(0,)]
    assert mart.query("select count(*) from landing.source_load where is_pending")[0][0] > 0


def test_a_build_that_would_empty_the_warehouse_is_refused(at_once, company):
    before = hashes(at_once)
    write_landing_manifest(at_once.settings, company.manifest())
    with pytest.raises(DbtError, match="would empty the warehouse and pass every test"):
        run_dbt(at_once.settings, ["build", "--empty"], dbt_vars(at_once.settings, at_once.policy, WEEKS))
    assert hashes(at_once) == before


def test_a_landed_file_that_is_gone_is_named(company, mart_of):
    mart = mart_of(company)
    manifest = company.manifest().slice(0, 1)
    path = manifest["path"][0].as_py()
    manifest = manifest.set_column(manifest.column_names.index("path"), "path", [[path + ".gone"]])
    with pytest.raises(FileNotFoundError, match=r"1 files that are not there, the first is .*\.gone"):
        write_landing_manifest(mart.settings, manifest)


@pytest.fixture(scope="module")
def historical(new_company, mart_of):
    """The same facts as one historical load made after the three weeks."""
    made = new_company()
    for account in ("alpha", "beta"):
        made.link_all(account, ("crm", "billing", "support", "usage", "cs"))
    at = datetime(2026, 2, 2, 2)
    made.load(
        "billing",
        at,
        {
            "billing_subscription": [
                subscription("alpha", arr=Decimal("1500.00"), source_updated_at=datetime(2026, 1, 14)),
                subscription("beta", status="canceled", canceled_at=datetime(2026, 1, 15)),
            ],
            "billing_invoice": [
                {
                    "invoice_id": "i1",
                    "source_account_id": "alpha",
                    "status": "open",
                    "currency": "USD",
                    "total": Decimal("300.00"),
                    "amount_due": Decimal("300.00"),
                    "issued_at": datetime(2026, 1, 1),
                    "due_date": date(2026, 1, 8),
                    "source_updated_at": datetime(2026, 1, 14),
                }
            ],
        },
        mode="historical",
    )
    started = datetime(2025, 10, 1)
    goal = {
        "source_account_id": "alpha",
        "name": "Faster close",
        "start_date": started.date(),
        "source_created_at": started,
    }
    made.load(
        "cs",
        at,
        {
            "cs_goal": [
                {
                    **goal,
                    "goal_id": "g1",
                    "status": "achieved",
                    "achieved_at": datetime(2026, 1, 5),
                    "source_updated_at": datetime(2026, 1, 5),
                },
                {
                    **goal,
                    "goal_id": "g2",
                    "status": "at_risk",
                    "due_date": date(2026, 1, 10),
                    "source_updated_at": datetime(2026, 1, 14),
                },
            ]
        },
        mode="historical",
    )
    made.load(
        "support",
        at,
        {
            "support_ticket": [
                ticket(
                    "t1",
                    "alpha",
                    datetime(2026, 1, 7),
                    status="solved",
                    solved_at=datetime(2026, 1, 15),
                    source_updated_at=datetime(2026, 1, 15),
                )
            ]
        },
        mode="historical",
    )
    made.load(
        "usage",
        at,
        {
            "usage_event": [
                event("e1", "alpha", datetime(2026, 1, 6, 12)),
                event("e2", "alpha", datetime(2026, 1, 13)),
                # both known by 06:00; only one had happened by midnight
                event("just", "alpha", datetime(2026, 1, 11, 23, 59), user="bob"),
                event("next week", "alpha", datetime(2026, 1, 12, 0, 0), user="eve"),
            ]
        },
        mode="historical",
    )
    return mart_of(made).build(*WEEKS)


def test_of_a_historical_record_only_the_lifecycle_counts_before_its_last_change(historical):
    versions = historical.query(
        "select valid_from, valid_to, is_partial, arr, started_at from intermediate.int_billing_subscription_versions "
        "where subscription_id = 'sub-alpha' order by valid_from"
    )
    changed = datetime(2026, 1, 14, 6)
    started = datetime(2024, 1, 1)
    assert versions == [
        (started + timedelta(hours=6), changed, True, None, started),
        (changed, None, False, Decimal("1500.00"), started),
    ]
    assert [historical.row("alpha", week)["arr"] for week in WEEKS] == [None, Decimal("1500.00"), Decimal("1500.00")]
    assert historical.row("alpha", W1)["account_tenure_days"] == 742


def test_a_historical_load_tells_lifecycle_times_only_once_they_have_happened(historical):
    assert [historical.row("beta", week) is not None for week in WEEKS] == [True, False, False]
    assert [historical.row("alpha", week)["open_backlog"] for week in WEEKS] == [1, 0, 0]
    # the priority is known since the ticket's last change
    assert [historical.row("alpha", week)["urgent_high_share_91d"] for week in WEEKS] == [None, 0.0, 0.0]


def test_what_a_historical_load_does_not_know_of_the_past_is_not_in_order(historical):
    # the invoice was open and the goal under way in all three weeks; since when, only their last change tells
    rows = [historical.row("alpha", week) for week in WEEKS]
    assert [row["overdue_amount"] for row in rows] == [None, Decimal("300.00"), Decimal("300.00")]
    assert [row["max_days_past_due"] for row in rows] == [None, 11, 18]
    assert [row["payment_status"] for row in rows] == ["missing", "measured", "measured"]
    assert [row["goals_on_track_share"] for row in rows] == [None, 0.5, 0.5]
    assert [row["overdue_goals"] for row in rows] == [None, 1, 1]


def test_a_historical_source_is_connected_from_its_first_fact_on(historical):
    rows = {
        (row["source_kind"], row["week"]): row
        for row in read_mart(historical.settings, "source_freshness_weekly").to_pylist()
    }
    assert rows["usage", W1.monday]["is_connected"]
    assert (rows["usage", W1.monday]["records"], rows["usage", W1.monday]["loads"]) == (3, 0)
    assert rows["usage", W1.monday]["newest_fact_at"] == datetime(2026, 1, 11, 23, 59)
    assert rows["usage", W1.monday]["newest_load_at"] is None


def test_events_of_a_historical_load_count_as_if_they_had_come_in_time(historical, at_once):
    assert [historical.row("alpha", week)["active_users_28d"] for week in WEEKS] == [2, 3, 3]
    assert content_hash(at_once.features(W1)) != content_hash(historical.features(W1))


def test_a_warehouse_with_labels_of_all_weeks_goes_on_with_labels_by_week(week_by_week, mart_of):
    upgraded = copy_of(week_by_week[0], mart_of, "before_last.duckdb")
    labels = "marts.account_outcomes_weekly"
    with duckdb.connect(str(upgraded.settings.warehouse)) as connection:
        for column in ("known_week", "as_of_at", "known_at"):
            connection.execute(f"alter table {labels} drop column {column}")
        connection.execute(f"alter table {labels} add column is_mature boolean")
        connection.execute(
            f"insert into {labels} by name "
            "select account_id, week, false as is_mature from marts.account_features_weekly"
        )
    known = W1.shift(13)
    upgraded.build(known, tests=True)
    rows = read_mart(upgraded.settings, "account_outcomes_weekly").to_pylist()
    then = read_mart(upgraded.settings, "account_features_weekly", [W1]).to_pylist()
    assert [(row["account_id"], row["week"], row["known_week"], row["arr_start"]) for row in rows] == [
        (row["account_id"], W1.monday, known.monday, row["arr"]) for row in then
    ]
    assert {row["known_at"] for row in rows} == {datetime(2026, 4, 13, 6)}
    assert {row["account_id"]: row["has_churned_13w"] for row in rows}["alpha"] is False
