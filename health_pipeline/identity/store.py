"""Writes the crosswalk's three Parquet files, each whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.identity.crosswalk import Crosswalk
from health_pipeline.identity.landed import build_landed
from health_pipeline.observability.logs import get_logger
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
    return write_crosswalk(settings, build_landed(settings, manifest))


def write_crosswalk(settings: Settings, crosswalk: Crosswalk) -> Crosswalk:
    """Write the three files, each whole or not at all, and say in the log what a person has to see; gives it back."""
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


def _write_atomically(table: pa.Table, path: Path) -> None:
    # a reader sees the old file or the new one; a killed run leaves the old one
    draft = path.with_suffix(".parquet.part")
    pq.write_table(table, draft)
    draft.replace(path)
