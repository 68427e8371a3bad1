"""The rules: which account a node belongs to by what is known now, with method, confidence and evidence."""

from __future__ import annotations

from collections.abc import Collection

from health_pipeline.identity.overrides import NO_ACCOUNT
from health_pipeline.identity.records import Decision, Known, Node, Record

CONFIDENCE_DECIDED = 1.0
CONFIDENCE_EXTERNAL_ID = 0.99
# the other system carries the id, and says not of which system it is
CONFIDENCE_CARRIED_ID = 0.97
CONFIDENCE_DOMAIN = 0.95
# "1001" is a customer in many systems: a short number carried by another system is no evidence
SHORTEST_BARE_NUMBER = 6
# a reseller's or a holding's domain: many customers of one system have it
MOST_RECORDS_OF_A_DOMAIN = 25


def by_override(known: Known, node: Node) -> Decision | None:
    """A person's decision, where its account exists."""
    override = node.override
    if override is None:
        return None
    evidence = f"override of {node.reference}"
    if override.target == NO_ACCOUNT:
        return Decision(None, "override", CONFIDENCE_DECIDED, evidence, override.decided_by)
    if override.target not in known.accounts:
        return None
    return Decision(override.target, "override", CONFIDENCE_DECIDED, evidence, override.decided_by)


def by_anchor(known: Known, node: Node) -> Decision | None:
    """The account that was minted from this node."""
    account = known.accounts.get(node.account_id)
    if account is None:
        return None
    if account.anchor.node is not node:
        raise ValueError(
            f"{node.reference} and {account.anchor.node.reference} would have the same account id; give one of "
            "the two systems another source_system name or instance and load it again."
        )
    return Decision(account.account_id, "anchor", CONFIDENCE_DECIDED, account.anchor.reference, record=account.anchor)


def by_external_id(known: Known, node: Node) -> Decision | None:
    """The account of the record that this one names, that names it, or that it shares names with."""
    carriers = known.by_external_id.get(node.record_id)
    for record in node.alive():
        if record.external_id is None and not carriers:
            continue
        decision = _named_anchor(known, record) or _named_by_each_other(known, record) or _carried(known, record)
        if decision is not None:
            return decision
    return None


def _anchor_record(known: Known, node: Node) -> Record | None:
    account = known.accounts.get(node.account_id)
    return account.anchor if account is not None and account.anchor.is_alive else None


def _named_anchor(known: Known, record: Record) -> Decision | None:
    if record.external_id is None:
        return None
    anchors = [
        (anchor, node.decision.account_id)
        for node in known.by_id.get(record.external_id, ())
        if not node.is_of(record.node)
        and (anchor := _anchor_record(known, node)) is not None
        and node.decision is not None
        and node.decision.account_id is not None
    ]
    if not anchors:
        return None
    # of several systems that use the id, the strongest kind is meant; two of the same kind are no answer
    strongest = min(anchor.kind_rank for anchor, _ in anchors)
    meant = [(anchor, account) for anchor, account in anchors if anchor.kind_rank == strongest]
    if len({known.survivor(account) for _, account in meant}) > 1:
        return None
    anchor, account = min(meant, key=lambda pair: pair[0].reference)
    return Decision(
        account,
        "external_id",
        CONFIDENCE_EXTERNAL_ID,
        f"{record.reference} names {anchor.reference}",
        record=record,
    )


def _named_by_each_other(known: Known, record: Record) -> Decision | None:
    if record.external_id is None:
        return None
    pairs = [
        (other, node.decision.account_id)
        for node in known.by_id.get(record.external_id, ())
        if not node.is_of(record.node)
        and node.decision is not None
        and node.decision.account_id is not None
        and node.decision.method != "domain"
        # what follows from this very pair can't be its proof
        and node.decision.partner is not record.node
        for other in node.alive()
        if other.external_id == record.node.record_id
    ]
    if len({known.survivor(account) for _, account in pairs}) != 1:
        return None
    other, account = min(pairs, key=lambda pair: pair[0].reference)
    evidence = f"{record.reference} and {other.reference} name each other"
    return Decision(account, "external_id", CONFIDENCE_EXTERNAL_ID, evidence, record=record, partner=other.node)


def _carried(known: Known, record: Record) -> Decision | None:
    node = record.node
    if record.external_id is not None:
        return None
    if node.record_id.isdigit() and len(node.record_id) < SHORTEST_BARE_NUMBER:
        return None
    carriers = known.by_external_id.get(node.record_id)
    if not carriers or len(carriers) != 1:
        return None
    carrier = next(iter(carriers))
    anchor = _anchor_record(known, carrier)
    if anchor is None or carrier.is_of(node) or anchor.external_id != node.record_id:
        return None
    same_id = [one for one in known.by_id[node.record_id] if one.alive() and not one.is_of(carrier)]
    if same_id != [node] or carrier.decision is None or carrier.decision.account_id is None:
        return None
    return Decision(
        carrier.decision.account_id,
        "external_id",
        CONFIDENCE_CARRIED_ID,
        f"{anchor.reference} names {record.reference}",
        record=record,
    )


def by_domain(known: Known, node: Node, ignored: Collection[str], minting_kind: str | None) -> Decision | None:
    """The only account that owns the domain, where the record is the only one of its source that has it."""
    for record in node.alive():
        if record.domain is None or record.domain in ignored:
            continue
        if len(known.by_domain[record.domain][record.source]) != 1:
            continue
        owner = sole_owner(known, record.domain, ignored)
        if owner is None:
            continue
        account_id, proof = owner
        # two records of the kind that accounts are made from are two accounts
        if record.kind == minting_kind and _has_kind(known, account_id, record.kind):
            continue
        evidence = f"{record.reference} has the domain of {proof.reference}"
        return Decision(account_id, "domain", CONFIDENCE_DOMAIN, evidence, record=record)
    return None


def sole_owner(known: Known, domain: str, ignored: Collection[str]) -> tuple[str, Record] | None:
    """The one account that owns the domain, None where none or several do."""
    if domain in ignored or any(
        len(nodes) > MOST_RECORDS_OF_A_DOMAIN for nodes in known.by_domain.get(domain, {}).values()
    ):
        return None
    account: str | None = None
    proof: Record | None = None
    for owner, record in known.owners(domain):
        if account is not None and owner != account:
            return None
        account = owner
        proof = record if proof is None or record.reference < proof.reference else proof
    return (account, proof) if account is not None and proof is not None else None


def _has_kind(known: Known, account_id: str, kind: str) -> bool:
    return any(
        record.kind == kind
        for alias in known.aliases(account_id)
        for node in known.account_nodes[alias]
        for record in node.alive()
    )
