"""Writes the crosswalk's three Parquet files, each whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.identity.crosswalk import Crosswalk
from health_pipeline.observability.logs import get_logger
from health_pipeline.settings import Settings

logger = get_logger("identity")

ACCOUNT_FILE = "identity_account.parquet"
LINK_FILE = "identity_link.parquet"
SUGGESTION_FILE = "identity_suggestion.parquet"


def write_crosswalk(settings: Settings, crosswalk: Crosswalk) -> Crosswalk:
    """Write `<HEALTH_HOME>/identity/`, each file whole or not at all, and log what a person has to see; gives it back.

    The files are made anew each time, from the loads alone: the same loads and overrides give the same rows, and links
    that were known before a load stay as they were.
    """
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
