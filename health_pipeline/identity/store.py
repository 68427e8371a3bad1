"""Reads committed `source_account` files, builds the crosswalk, writes its three Parquet files atomically."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from health_pipeline.contract.clocks import naive_utc, week_of
from health_pipeline.contract.landing import arrow_schema, landing_tables
from health_pipeline.identity.changes import ROW_COLUMNS
from health_pipeline.identity.crosswalk import Crosswalk, build_crosswalk
from health_pipeline.identity.overrides import load_overrides
from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings

logger = get_logger("identity")

ACCOUNT_FILE = "identity_account.parquet"
LINK_FILE = "identity_link.parquet"
SUGGESTION_FILE = "identity_suggestion.parquet"


def refresh_identity(settings: Settings, manifest: pa.Table) -> Crosswalk:
    """Build the crosswalk from the committed loads and write `<HEALTH_HOME>/identity/`.

    The files are made anew each time, from the loads alone: the same loads and overrides give the same rows,
    and links that were known before a load stay as they were.

    Parameters
    ----------
    settings : where state and policy live
    manifest : `Landing.manifest()`, one row per load and table

    Raises
    ------
    PolicyError
        If the override file or the company policy can't be used; nothing is written then.
    FileNotFoundError
        If a file the manifest names is not there; nothing is written then.
    """
    overrides = load_overrides(settings.policy, settings.home)
    cutoff_hours = load_company(settings.policy).model.cutoff_hours
    crosswalk = build_crosswalk(
        read_source_accounts(manifest),
        manifest,
        overrides,
        first_known_at=first_known_at(manifest, cutoff_hours),
    )
    settings.identity.mkdir(parents=True, exist_ok=True)
    for name, table in (
        (ACCOUNT_FILE, crosswalk.accounts),
        (LINK_FILE, crosswalk.links),
        (SUGGESTION_FILE, crosswalk.unmatched),
    ):
        _write_atomically(table, settings.identity / name)
    if crosswalk.unknown_accounts:
        logger.warning("override_names_unknown_account", account_ids=list(crosswalk.unknown_accounts))
    if crosswalk.possible_duplicates.num_rows:
        logger.warning(
            "accounts_share_a_domain",
            pairs=crosswalk.possible_duplicates.num_rows,
            first=list(crosswalk.possible_duplicates.slice(0, 1).to_pylist()[0].values()),
        )
    return crosswalk


def read_source_accounts(manifest: pa.Table) -> pa.Table:
    """Read the columns identity needs from every committed `source_account` file.

    Raises
    ------
    FileNotFoundError
        Names the file the manifest promises and that is not there.
    """
    contract = arrow_schema(landing_tables()["source_account"])
    schema = pa.schema([contract.field(name) for name in ROW_COLUMNS])
    paths = [
        path
        for path, name in zip(manifest["path"].to_pylist(), manifest["table_name"].to_pylist(), strict=True)
        if name == "source_account"
    ]
    if not paths:
        return schema.empty_table()
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"{path} belongs to a committed load and is not there; restore the landing from a copy."
            )
    return pyarrow.dataset.dataset(paths, schema=schema, format="parquet").to_table()


def first_known_at(manifest: pa.Table, cutoff_hours: int) -> datetime | None:
    """`known_at` of the first week after the first load, naive UTC; None where nothing is loaded."""
    moments = manifest["loaded_at"].to_pylist()
    if not moments:
        return None
    first = min(moments).replace(tzinfo=UTC)
    week = week_of(first).shift(-1)
    while week.known_at(cutoff_hours) < first:
        week = week.shift(1)
    return naive_utc(week.known_at(cutoff_hours))


def _write_atomically(table: pa.Table, path: Path) -> None:
    # a reader sees the old file or the new one; a killed run leaves the old one
    draft = path.with_suffix(".parquet.part")
    pq.write_table(table, draft)
    draft.replace(path)
