"""What belongs to no account: why, and which account its name resembles: a suggestion, never a link."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

import pyarrow as pa

from health_pipeline.identity.names import most_alike, normalise_name
from health_pipeline.identity.records import Known, Record
from health_pipeline.identity.rules import MOST_RECORDS_OF_A_DOMAIN

SUGGESTION_SCHEMA = pa.schema(
    [
        ("source_kind", pa.string()),
        ("source_system", pa.string()),
        ("source_instance", pa.string()),
        ("source_account_id", pa.string()),
        ("first_seen_at", pa.timestamp("us")),
        ("suggested_account_id", pa.string()),
        ("suggestion_confidence", pa.float64()),
        ("reason", pa.string()),
    ]
)
DUPLICATE_SCHEMA = pa.schema([("account_id", pa.string()), ("other_account_id", pa.string())])

# below this likeness two names have no more in common than any two companies of one trade
LEAST_LIKENESS = 0.5
# the same name is no proof: it stays below every rule's confidence
CONFIDENCE_OF_SAME_NAME = 0.9


def unmatched_table(known: Known, ignored: Collection[str], minting_kind: str | None) -> pa.Table:
    """Return the queue of records that are there now and belong to no account, in the order of their ids."""
    records = [
        record
        for node in known.nodes.values()
        if node.decision is None or node.decision.account_id is None
        for record in node.alive()
    ]
    records.sort(key=lambda record: (record.kind_rank, *record.node.sort_key))
    suggested = _suggestions(known, records)
    rows = []
    for record, (account_id, confidence) in zip(records, suggested, strict=True):
        rows.append(
            {
                "source_kind": record.kind,
                "source_system": record.node.system,
                "source_instance": record.node.instance,
                "source_account_id": record.node.record_id,
                "first_seen_at": record.first_seen_at,
                "suggested_account_id": account_id,
                "suggestion_confidence": confidence,
                "reason": reason(known, record, ignored, minting_kind),
            }
        )
    return pa.Table.from_pylist(rows, schema=SUGGESTION_SCHEMA)


def reason(known: Known, record: Record, ignored: Collection[str], minting_kind: str | None) -> str:
    """Say in words why nothing matched; names no domain and no person."""
    if record.node.decision is not None:
        return "a person decided that it belongs to no account"
    if record.node.override is not None:
        return "the override file names an account that does not exist"
    if minting_kind is None and not known.accounts:
        return "no source that accounts are made from (crm, billing, cs, support) is connected"
    parts = []
    if record.external_id is not None:
        parts.append("its external id names no account, or more than one")
    if record.domain is None:
        parts.append("it has no domain" if parts else "it has neither an external id nor a domain")
    elif record.domain in ignored:
        parts.append("its domain is shared by many companies")
    elif len(known.by_domain[record.domain][record.source]) > 1:
        parts.append("several records of its own source have its domain")
    else:
        owners = {account for account, _ in known.owners(record.domain)}
        parts.append("no account has its domain" if not owners else "several accounts have its domain")
    return "; ".join(parts)


def _suggestions(known: Known, records: list[Record]) -> list[tuple[str | None, float | None]]:
    accounts = [
        account
        for account in sorted(known.accounts.values(), key=lambda account: account.account_id)
        if account.merge is None
    ]
    best, likeness = most_alike(
        [normalise_name(record.name) for record in records],
        [normalise_name(account.anchor.name) for account in accounts],
    )
    return [
        (accounts[place].account_id, round(alike * CONFIDENCE_OF_SAME_NAME, 4))
        if place >= 0 and alike >= LEAST_LIKENESS
        else (None, None)
        for place, alike in zip(best.tolist(), likeness.tolist(), strict=True)
    ]


def possible_duplicates(known: Known, ignored: Collection[str]) -> pa.Table:
    """Return pairs of accounts that own one domain: for a person to see, and to merge by override."""
    pairs: set[tuple[str, str]] = set()
    for domain in known.by_domain:
        if domain in ignored:
            continue
        owners = {account for account, _ in known.owners(domain)}
        if 1 < len(owners) <= MOST_RECORDS_OF_A_DOMAIN:
            pairs |= set(combinations(sorted(owners), 2))
    ordered = sorted(pairs)
    return pa.table(
        {
            "account_id": pa.array([one for one, _ in ordered], pa.string()),
            "other_account_id": pa.array([other for _, other in ordered], pa.string()),
        },
        schema=DUPLICATE_SCHEMA,
    )
