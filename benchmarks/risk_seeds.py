"""A demo company of a seed as the risk stage reads it, kept as Parquet: features, evidence records, planted stories."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from health_pipeline.contract.clocks import Week, weeks_between
from health_pipeline.identity.landed import build_landed
from health_pipeline.identity.store import LINK_FILE, write_crosswalk
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.dbt import dbt_vars, run_dbt, write_landing_manifest
from health_pipeline.mart.risk_records import MODEL, RECORD_COLUMNS
from health_pipeline.mart.warehouse import INTERMEDIATE_SCHEMA, read_mart
from health_pipeline.orchestration.demo import NEWEST_WEEK
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings
from health_pipeline.sources.demo.company import DemoCompany
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.pull import pull
from health_pipeline.text.unread import read_unread

FEATURES = "account_features_weekly"
PARTS = ("features", "records", "stories")


@dataclass(frozen=True)
class SeedCompany:
    """What is reviewed of a seed, and what was planted in it.

    Attributes
    ----------
    features : rows of account_features_weekly, all weeks
    records : rows of int_risk_evidence_weekly, all weeks
    stories : account_id, story, meaning, resembles, start_week, end_week, outcome, notice_at, ended_at
    """

    features: pa.Table
    records: pa.Table
    stories: pd.DataFrame


def seed_company(seed: int, accounts: int, weeks: int, cache: Path) -> SeedCompany:
    """That company over its newest weeks, from the cache or made in a scratch home."""
    files = {name: cache / f"risk-{seed:03d}-{accounts}-{weeks}-{name}.parquet" for name in PARTS}
    if not all(path.is_file() for path in files.values()):
        with tempfile.TemporaryDirectory(dir=cache, prefix=f".risk-{seed}-") as folder:
            for name, table in make_company(Path(folder) / "home", seed, accounts, weeks).items():
                partial = files[name].with_suffix(".partial")
                pq.write_table(table, partial)
                partial.replace(files[name])
    tables = {name: pq.read_table(path) for name, path in files.items()}
    return SeedCompany(tables["features"], tables["records"], tables["stories"].to_pandas())


def make_company(home: Path, seed: int, accounts: int, weeks: int, newest: Week = NEWEST_WEEK) -> dict[str, pa.Table]:
    """Landing, identity, texts and dbt of one demo company, without scores and releases."""
    settings = Settings(home=home)
    settings.home.mkdir(parents=True)
    settings.scratch.mkdir()
    source = {"demo": {"seed": seed, "accounts": accounts}}
    (settings.home / "sources.yaml").write_text(yaml.safe_dump(source), encoding="utf-8")
    company = load_company(settings.policy).model
    reviewed = list(weeks_between(Week(company.first_week), newest))[-weeks:]
    pull(settings, company, reviewed[-1].known_at(company.cutoff_hours))
    landing = Landing(settings.landing, settings.quarantine)
    write_crosswalk(settings, build_landed(settings, landing.manifest()))
    read_unread(settings)
    write_landing_manifest(settings, landing.manifest())
    run_dbt(settings, ["run", "--select", f"+{FEATURES}", f"+{MODEL}"], dbt_vars(settings, company, reviewed))
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        records = connection.execute(
            f"select {', '.join(RECORD_COLUMNS)} from {INTERMEDIATE_SCHEMA}.{MODEL} "
            "order by week, account_id, record_set, place"
        ).to_arrow_table()
    return {
        "features": read_mart(settings, FEATURES),
        "records": records,
        "stories": planted(seed, accounts, settings.identity / LINK_FILE),
    }


def planted(seed: int, accounts: int, links: Path) -> pa.Table:
    """The stories of that company, by the account the pipeline knows."""
    truth = DemoCompany(seed=seed, accounts=accounts).truth()
    ends = truth.ends[["crm_id", "notice_at", "ended_at"]]
    stories = truth.stories.drop(columns="account").merge(ends, on="crm_id", how="left")
    with duckdb.connect() as connection:
        connection.register("stories", stories)
        return connection.execute(
            "select links.account_id, stories.* exclude (crm_id) from stories "
            "join (select distinct source_account_id, account_id from read_parquet(?) where source_kind = 'crm') "
            "as links on links.source_account_id = stories.crm_id order by account_id",
            [str(links)],
        ).to_arrow_table()
