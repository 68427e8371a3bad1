"""The crosswalk: records of many systems become accounts. Rules are in `rules.py`, the order in `fold.py`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from health_pipeline.contract.mart import mart_tables
from health_pipeline.identity.changes import read_changes
from health_pipeline.identity.fold import Fold
from health_pipeline.identity.names import free_mail_domains
from health_pipeline.identity.overrides import Overrides
from health_pipeline.identity.unmatched import possible_duplicates, unmatched_table

ACCOUNT_SCHEMA = pa.schema(
    [
        ("account_id", pa.string()),
        ("anchor_source_kind", pa.string()),
        ("anchor_source_system", pa.string()),
        ("anchor_source_instance", pa.string()),
        ("anchor_source_account_id", pa.string()),
        ("first_seen_at", pa.timestamp("us")),
        ("merged_into_account_id", pa.string()),
        ("merged_at", pa.timestamp("us")),
    ]
)
LINK_SCHEMA: pa.Schema = mart_tables()["account_links"].arrow_schema


@dataclass(frozen=True)
class Crosswalk:
    """Accounts, the links of records to them, and what is left over.

    Attributes
    ----------
    accounts : one row per account ever minted (`ACCOUNT_SCHEMA`); a merged one names the one that stays
    links : one row per record, account and validity (`LINK_SCHEMA`). Read as known at a time: `valid_from <=
        known_at and (valid_to is null or known_at < valid_to)`; at any time a record has at most one.
    unmatched : one row per record that is there now and has no link (`SUGGESTION_SCHEMA`)
    possible_duplicates : pairs of accounts that own the same domain
    unknown_accounts : accounts that the override file names and that do not exist
    """

    accounts: pa.Table
    links: pa.Table
    unmatched: pa.Table
    possible_duplicates: pa.Table
    unknown_accounts: tuple[str, ...] = ()


def build_crosswalk(
    source_accounts: pa.Table,
    loads: pa.Table,
    overrides: Overrides | None = None,
    shared_domains: Collection[str] | None = None,
    first_known_at: datetime | None = None,
) -> Crosswalk:
    """`crosswalk_of` the fold of these; see `fold_landed` for the parameters."""
    return crosswalk_of(fold_landed(source_accounts, loads, overrides, shared_domains, first_known_at))


def fold_landed(
    source_accounts: pa.Table,
    loads: pa.Table,
    overrides: Overrides | None = None,
    shared_domains: Collection[str] | None = None,
    first_known_at: datetime | None = None,
    begun: Fold | None = None,
) -> Fold:
    """Make accounts out of landed `source_account` rows.

    The rows are taken in the order in which they could be known, whatever the order they are given in: an
    account is minted from the first record of the strongest connected anchor kind (crm, billing, cs, support)
    and keeps its id for good. A record is linked by a person's override first, then by an external id, then
    by a unique domain; a name is only a suggestion. A link starts when it could first be known, and ends when
    a stronger method or the record's own evidence gives another answer, when the record is gone, by an
    override or by a merge. What becomes known later never changes what was known before.

    Parameters
    ----------
    source_accounts : landed rows of `source_account`, at least `changes.ROW_COLUMNS`; times are naive UTC
    loads : the landing's manifest, at least the columns `changes.LOAD_COLUMNS`
    overrides : a person's decisions; each counts from its `effective_from`
    shared_domains : domains that are no evidence; by default the free-mail providers
    first_known_at : `known_at` of the first week after the first load, naive UTC: until then the order of the
        loads decides nothing
    begun : the fold of fewer loads. Where what is new comes later than all of it, it is gone on with, and given back;
        the links are the same with it and without
    """
    overrides = overrides or Overrides()
    shared = free_mail_domains() if shared_domains is None else frozenset(shared_domains)
    ignored = shared | frozenset(overrides.ignored_domains)
    changes = read_changes(source_accounts, loads, first_known_at)
    if begun is not None and begun.go_on(changes, overrides, ignored):
        fold = begun
    else:
        fold = Fold(changes, overrides, ignored)
    fold.run()
    return fold


def crosswalk_of(fold: Fold) -> Crosswalk:
    """What a fold came to, as tables: rows sorted by their keys; the same input gives the same tables."""
    return Crosswalk(
        accounts=_account_table(fold),
        links=_link_table(fold),
        unmatched=unmatched_table(fold.known, fold.ignored, fold.minting_kind(None)),
        possible_duplicates=possible_duplicates(fold.known, fold.ignored),
        unknown_accounts=tuple(fold.waiting()),
    )


def _account_table(fold: Fold) -> pa.Table:
    rows = []
    for account in sorted(fold.known.accounts.values(), key=lambda account: account.account_id):
        merge = account.merge
        rows.append(
            {
                "account_id": account.account_id,
                "anchor_source_kind": account.anchor.kind,
                "anchor_source_system": account.anchor.node.system,
                "anchor_source_instance": account.anchor.node.instance,
                "anchor_source_account_id": account.anchor.node.record_id,
                "first_seen_at": account.first_seen_at,
                "merged_into_account_id": fold.known.survivor(account.account_id) if merge else None,
                "merged_at": max(merge.effective_from, account.first_seen_at) if merge else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=ACCOUNT_SCHEMA)


def _link_table(fold: Fold) -> pa.Table:
    links = sorted(fold.links, key=lambda link: (link.record.kind_rank, *link.record.node.sort_key, link.valid_from))
    columns = {
        "account_id": [link.account_id for link in links],
        "source_kind": [link.record.kind for link in links],
        "source_system": [link.record.node.system for link in links],
        "source_instance": [link.record.node.instance for link in links],
        "source_account_id": [link.record.node.record_id for link in links],
        "method": [link.method for link in links],
        "confidence": [link.confidence for link in links],
        "evidence": [link.evidence for link in links],
        "valid_from": [link.valid_from for link in links],
        "valid_to": [link.valid_to for link in links],
        "decided_by": [link.decided_by for link in links],
    }
    return pa.table(
        {name: pa.array(values, LINK_SCHEMA.field(name).type) for name, values in columns.items()},
        schema=LINK_SCHEMA,
    )
