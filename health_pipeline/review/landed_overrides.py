"""Lands the overrides people approved, like any source: what was decided by a week's `known_at` counts in that week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.contract.landing import landing_tables, schema_of
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.quality.ledger_chain import ledger_head
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.overrides import Override
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing, LoadResult

SYSTEM_NAME = "review_desk"
ERASED = "the reason was erased"


def land_overrides(settings: Settings, company: CompanyPolicy, known_at: datetime) -> LoadResult | None:
    """Land every override that was approved by `known_at`, as the ledger knew it then.

    The ledger is append only, so its extract of an earlier instant is exact: a review that runs late sees what one in
    time would have seen. None where nothing was ever approved, or a later extract is landed already.

    Parameters
    ----------
    known_at : of the newest week of the run, UTC
    """
    if ledger_head(settings.ledger_url) is None:
        return None
    with Ledger.open(settings) as ledger:
        known = ledger.overrides(until=known_at)
        reasons = ledger.texts([override.reason for override in known])
    approved = [override for override in known if override.approved_at is not None]
    landing = Landing(settings.landing, settings.quarantine, settings.duckdb_memory_limit)
    last = max((load.loaded_at for load in landing.loads() if load.source_system == SYSTEM_NAME), default=None)
    moment = naive_utc(known_at)
    if not approved or (last is not None and last >= moment):
        return None
    table = TableExtract("tier_override", override_rows(approved, reasons), is_complete=True)
    # A person decided on each row: an unusual number of them is no accident of a source.
    return landing.load(Extract("review", SYSTEM_NAME, "incremental", (table,)), company, known_at, accept=True)


def override_rows(overrides: Sequence[Override], reasons: Mapping[str, str | None]) -> pa.Table:
    """Approved overrides in the columns of the landing's `tier_override`.

    Parameters
    ----------
    reasons : what people wrote, by text id; None where it was erased
    """
    rows = [
        {
            "override_id": one.override_id,
            "source_account_id": one.account_id,
            "tier": one.tier,
            "reason": reasons.get(one.reason.text_id) or ERASED,
            "requested_by": one.requested_by,
            "approved_by": one.approved_by,
            "approved_at": naive_utc(one.approved_at) if one.approved_at else None,
            "expires_at": naive_utc(one.expires_at),
            "withdrawn_at": naive_utc(one.withdrawn_at) if one.withdrawn_at else None,
        }
        for one in overrides
    ]
    return pa.Table.from_pylist(rows, schema=schema_of(landing_tables()["tier_override"].columns))
