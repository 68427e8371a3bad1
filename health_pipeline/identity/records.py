"""What is known at one moment of the fold: records, accounts, aliases, and indexes that the rules look up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from health_pipeline.identity.changes import ANCHOR_KINDS, KIND_RANK, Change, Source
from health_pipeline.identity.overrides import Merge, Override, account_id_of

Method = Literal["override", "anchor", "external_id", "domain"]
# the stronger method wins; a name is never a method
STRENGTH: dict[Method, int] = {"override": 0, "anchor": 1, "external_id": 2, "domain": 3}


@dataclass(frozen=True, slots=True)
class Decision:
    """Which account a node belongs to and why; `account_id` None is a person's decision for none."""

    account_id: str | None
    method: Method
    confidence: float
    evidence: str
    decided_by: str = "rule"
    record: Record | None = None
    partner: Node | None = None


@dataclass(eq=False, slots=True)
class Record:
    """One `source_account` record: an account as one system of one kind knows it."""

    source: int
    kind: str
    node: Node
    first_seen_at: datetime
    is_alive: bool = True
    external_id: str | None = None
    domain: str | None = None
    name: str | None = None
    open_link: int | None = None

    @property
    def kind_rank(self) -> int:
        """0 is the kind accounts are made from first."""
        return KIND_RANK[self.kind]

    @property
    def reference(self) -> str:
        """The record as evidence names it: ids only."""
        return f"{self.kind}:{self.node.reference}"


@dataclass(eq=False, slots=True)
class Node:
    """What one system gives one id: records of several kinds with system and id in common are one."""

    system: str
    instance: str
    record_id: str
    records: list[Record] = field(default_factory=list)
    decision: Decision | None = None
    override: Override | None = None
    is_evidence_replaced: bool = False
    # the account that is, or would be, minted from this node
    account_id: str = ""
    # a total order that does not depend on the run
    sort_key: tuple[str, str, str] = ("", "", "")

    def __post_init__(self) -> None:
        self.sort_key = (self.system, self.instance, self.record_id)
        self.account_id = account_id_of(*self.sort_key)

    @property
    def reference(self) -> str:
        """System, instance and id."""
        return f"{self.system}/{self.instance}/{self.record_id}"

    def alive(self) -> list[Record]:
        """Records that are there now, the strongest kind first."""
        return [record for record in self.records if record.is_alive]

    def is_of(self, other: Node) -> bool:
        """Whether both come from the same system."""
        return self.system == other.system and self.instance == other.instance


@dataclass(slots=True)
class Account:
    """An account and the record it was minted from."""

    account_id: str
    anchor: Record
    first_seen_at: datetime
    merge: Merge | None = None


class Known:
    """Everything known so far. Only the fold changes it."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self.sources = sources
        self._anchor_sources = frozenset(place for place, source in enumerate(sources) if source.kind in ANCHOR_KINDS)
        self.nodes: dict[tuple[str, str, str], Node] = {}
        self.by_id: dict[str, list[Node]] = defaultdict(list)
        self.by_external_id: dict[str, set[Node]] = defaultdict(set)
        self.by_domain: dict[str, dict[int, set[Node]]] = defaultdict(lambda: defaultdict(set))
        self.accounts: dict[str, Account] = {}
        self.account_nodes: dict[str, set[Node]] = defaultdict(set)
        self.merged_into: dict[str, set[str]] = defaultdict(set)
        self._records: dict[tuple[int, str], Record] = {}

    def node(self, system: str, instance: str, record_id: str) -> Node:
        """The node of that id; made when it is new."""
        key = (system, instance, record_id)
        node = self.nodes.get(key)
        if node is None:
            node = self.nodes[key] = Node(*key)
            self.by_id[record_id].append(node)
        return node

    def record(self, source: int, record_id: str) -> Record | None:
        """The record of that source and id, where it is known."""
        return self._records.get((source, record_id))

    def apply(self, change: Change) -> tuple[Record, set[str], set[str]] | None:
        """Take a change in; returns record, domains and external ids touched, None where nothing changed."""
        record = self._records.get((change.source, change.record_id))
        is_new = record is None
        if record is None:
            if change.is_gone:
                return None
            source = self.sources[change.source]
            node = self.node(source.system, source.instance, change.record_id)
            record = Record(change.source, source.kind, node, change.at)
            self._records[change.source, change.record_id] = record
            node.records.append(record)
            if len(node.records) > 1:
                node.records.sort(key=lambda one: one.source)
        before = (record.is_alive, record.external_id, record.domain)
        if not is_new:
            self._forget(record)
        record.is_alive = not change.is_gone
        if change.attributes is not None:
            record.is_alive = not change.attributes.is_deleted
            record.external_id, record.domain = change.attributes.external_id, change.attributes.domain
            record.name = change.attributes.name or record.name
        self._remember(record)
        after = (record.is_alive, record.external_id, record.domain)
        if after == before and not is_new:
            return None
        replaced = any(old is not None and old != new for old, new in zip(before[1:], after[1:], strict=True))
        record.node.is_evidence_replaced = record.node.is_evidence_replaced or replaced
        domains = {domain for domain in (before[2], after[2]) if domain is not None}
        return record, domains, {external for external in (before[1], after[1]) if external is not None}

    def _forget(self, record: Record) -> None:
        if record.domain is not None:
            self.by_domain[record.domain][record.source].discard(record.node)
        if record.external_id is not None:
            self.by_external_id[record.external_id].discard(record.node)

    def _remember(self, record: Record) -> None:
        if record.is_alive and record.domain is not None:
            self.by_domain[record.domain][record.source].add(record.node)
        # siblings may carry the same external id: whoever is left keeps the entry
        for one in record.node.records:
            if one.is_alive and one.external_id is not None:
                self.by_external_id[one.external_id].add(record.node)

    def decide(self, node: Node, decision: Decision | None) -> None:
        """Set a node's decision."""
        if node.decision is not None and node.decision.account_id is not None:
            self.account_nodes[node.decision.account_id].discard(node)
        node.decision = decision
        if decision is not None and decision.account_id is not None:
            self.account_nodes[decision.account_id].add(node)

    def survivor(self, account_id: str) -> str:
        """The account that stands for this one after the merges so far."""
        while (merge := self.accounts[account_id].merge) is not None:
            account_id = merge.into_account_id
        return account_id

    def aliases(self, account_id: str) -> set[str]:
        """The account and every one that was merged into it."""
        found = {account_id}
        waiting = [account_id]
        while waiting:
            merged = self.merged_into.get(waiting.pop(), set())
            waiting += merged - found
            found |= merged
        return found

    def merge(self, merge: Merge) -> None:
        """Make an account an alias of another one."""
        self.accounts[merge.account_id].merge = merge
        self.merged_into[merge.into_account_id].add(merge.account_id)

    def owners(self, domain: str) -> Iterator[tuple[str, Record]]:
        """Accounts (survivors) that own a domain, each with a record that says so.

        A record that was matched by its domain owns none: a guess is no evidence for the next one.
        """
        for source, nodes in self.by_domain.get(domain, {}).items():
            if source not in self._anchor_sources:
                continue
            for node in nodes:
                decision = node.decision
                if decision is not None and decision.account_id is not None and decision.method != "domain":
                    record = self._records[source, node.record_id]
                    yield self.survivor(decision.account_id), record
