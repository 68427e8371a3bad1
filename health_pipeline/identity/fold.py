"""The fold: changes and decisions in time order become links that open and close and are never rewritten."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from health_pipeline.identity.changes import ANCHOR_KINDS, NEVER, Change, Changes
from health_pipeline.identity.overrides import NEW_ACCOUNT, NO_ACCOUNT, Merge, Override, Overrides
from health_pipeline.identity.records import STRENGTH, Account, Decision, Known, Node, Record
from health_pipeline.identity.rules import (
    CONFIDENCE_DECIDED,
    CONFIDENCE_EXTERNAL_ID,
    by_anchor,
    by_domain,
    by_external_id,
    by_override,
)


@dataclass(slots=True)
class Link:
    """A record counts for an account from `valid_from` until before `valid_to`."""

    account_id: str
    record: Record
    method: str
    confidence: float
    evidence: str
    valid_from: datetime
    decided_by: str
    valid_to: datetime | None = None


Moment = tuple[datetime, Change | Override | Merge]


class Fold:
    """Takes one moment after the other; all that happens at a moment is known before anything is decided."""

    def __init__(self, changes: Changes, overrides: Overrides, ignored_domains: Collection[str]) -> None:
        self.known = Known(changes.sources)
        self.links: list[Link] = []
        self._moments = _moments(changes, overrides)
        self._folded = 0
        self.ignored = frozenset(ignored_domains)
        self._waiting: dict[str, set[Node]] = {}
        self._merges_waiting: list[Merge] = []
        self._connected = [
            (source.connected_at, ANCHOR_KINDS.index(source.kind))
            for source in changes.sources
            if source.kind in ANCHOR_KINDS and source.connected_at < NEVER
        ]

    def run(self) -> None:
        """Fold every change, and every person's decision at the moment from which it counts."""
        for at, batch in groupby(self._moments[self._folded :], key=lambda moment: moment[0]):
            self._step(at, [item for _, item in batch])
        self._folded = len(self._moments)

    def go_on(self, changes: Changes, overrides: Overrides, ignored_domains: Collection[str]) -> bool:
        """Take what comes later than all that was folded; `run` folds it on top.

        False, and nothing is taken, where these do not begin as what was folded, something came to its last moment, or
        a source counts from another time: then only a new fold is right.
        """
        moments = _moments(changes, overrides)
        is_later = (
            changes.sources == self.known.sources
            and self.ignored == frozenset(ignored_domains)
            and moments[: self._folded] == self._moments[: self._folded]
            # what happens at one moment is known before anything of it is decided
            and (not 0 < self._folded < len(moments) or moments[self._folded][0] > moments[self._folded - 1][0])
        )
        if is_later:
            self._moments = moments
        return is_later

    def minting_kind(self, at: datetime | None) -> str | None:
        """The strongest kind connected at that time (None: by now) that makes accounts; no other does."""
        ranks = [rank for connected_at, rank in self._connected if at is None or connected_at <= at]
        return ANCHOR_KINDS[min(ranks)] if ranks else None

    def waiting(self) -> list[str]:
        """Accounts that a person's decision names and that do not exist."""
        return sorted({*self._waiting, *(merge.account_id for merge in self._merges_waiting)})

    def _step(self, at: datetime, batch: Sequence[Change | Override | Merge]) -> None:
        touched: set[Node] = set()
        domains: set[str] = set()
        merges: list[Merge] = []
        for item in batch:
            if isinstance(item, Override):
                touched.add(self._take_override(item))
            elif isinstance(item, Merge):
                merges.append(item)
            elif (applied := self.known.apply(item)) is not None:
                record, of_domain, of_external_id = applied
                touched.add(record.node)
                domains |= of_domain
                for external_id in of_external_id:
                    touched.update(self.known.by_id.get(external_id, ()))
        if not touched and not merges:
            return
        decided = self._settle(touched, domains)
        decided |= self._mint(at, touched | decided, domains)
        moved = self._merge([*self._merges_waiting, *merges], domains)
        decided |= self._settle_domains(touched | decided, domains)
        for node in sorted(touched | decided | moved, key=lambda node: node.sort_key):
            node.is_evidence_replaced = False
            for record in node.records:
                self._write(at, record)

    def _take_override(self, override: Override) -> Node:
        node = self.known.node(*override.record)
        node.override = override
        if override.target != NO_ACCOUNT and override.target not in self.known.accounts:
            self._waiting.setdefault(override.target, set()).add(node)
        return node

    def _settle(self, nodes: Iterable[Node], domains: set[str]) -> set[Node]:
        """Decide by every method but the domain until nothing changes; collects the domains touched."""
        settled: set[Node] = set()
        # rounds in a fixed order: the same batch gives the same answer on every run
        todo = set(nodes)
        while todo:
            following: set[Node] = set()
            for node in sorted(todo, key=lambda node: node.sort_key):
                before = node.decision
                after = self._decide(node)
                if _is_same(before, after):
                    continue
                self.known.decide(node, after)
                settled.add(node)
                following |= self._followers(node)
                domains |= {record.domain for record in node.alive() if record.domain is not None}
            todo = following
        return settled

    def _followers(self, node: Node) -> set[Node]:
        named = {record.external_id for record in node.alive() if record.external_id is not None}
        return self.known.by_external_id.get(node.record_id, set()) | {
            other for external_id in named for other in self.known.by_id.get(external_id, ())
        }

    def _decide(self, node: Node) -> Decision | None:
        """Decide anew; a rule's link stays while the record's own evidence does, whatever others do later."""
        if not node.alive():
            return None
        fresh = by_override(self.known, node) or by_anchor(self.known, node) or by_external_id(self.known, node)
        current = node.decision
        if current is None or current.method in ("override", "anchor") or node.is_evidence_replaced:
            return fresh
        if fresh is not None and STRENGTH[fresh.method] <= STRENGTH[current.method]:
            return fresh
        return current

    def _mint(self, at: datetime, nodes: Iterable[Node], domains: set[str]) -> set[Node]:
        kind = self.minting_kind(at)
        settled: set[Node] = set()
        # a record that names another one waits until that one had its turn
        candidates = sorted(
            (node for node in nodes if node.alive() and (node.decision is None or self._is_decided_new(node))),
            key=lambda node: (any(record.external_id for record in node.alive()), node.sort_key),
        )
        for node in candidates:
            is_decided_new = self._is_decided_new(node)
            if node.decision is not None and not is_decided_new:
                continue
            anchor = next((record for record in node.alive() if is_decided_new or record.kind == kind), None)
            if anchor is None:
                continue
            if not is_decided_new:
                match = (
                    by_anchor(self.known, node)
                    or by_external_id(self.known, node)
                    or by_domain(self.known, node, self.ignored, kind)
                )
                if match is not None:
                    self.known.decide(node, match)
                    settled |= {node} | self._settle(self._followers(node), domains)
                    continue
            self.known.accounts[node.account_id] = Account(node.account_id, anchor, at)
            settled |= {node} | self._settle({node, *self._waiting.pop(node.account_id, ())}, domains)
        return settled

    def _is_decided_new(self, node: Node) -> bool:
        override = node.override
        return (
            override is not None and override.account_id == NEW_ACCOUNT and node.account_id not in self.known.accounts
        )

    def _merge(self, merges: Iterable[Merge], domains: set[str]) -> set[Node]:
        moved: set[Node] = set()
        self._merges_waiting = []
        for merge in merges:
            if not {merge.account_id, merge.into_account_id} <= self.known.accounts.keys():
                self._merges_waiting.append(merge)
                continue
            aliases = self.known.aliases(merge.account_id)
            self.known.merge(merge)
            nodes = {node for alias in aliases for node in self.known.account_nodes[alias]}
            domains |= {record.domain for node in nodes for record in node.alive() if record.domain}
            moved |= nodes
        return moved

    def _settle_domains(self, nodes: Iterable[Node], domains: set[str]) -> set[Node]:
        """Decide by domain what nothing else decided; no owner is decided by domain, so no order matters."""
        candidates = {node for node in nodes if node.decision is None and node.alive()}
        for domain in domains:
            for of_source in self.known.by_domain.get(domain, {}).values():
                if len(of_source) == 1:
                    candidates |= {node for node in of_source if node.decision is None}
        settled: set[Node] = set()
        for node in candidates:
            # no account is minted here, so no kind is held back from a second record
            decision = by_domain(self.known, node, self.ignored, None)
            if decision is not None:
                self.known.decide(node, decision)
                settled.add(node)
        return settled

    def _write(self, at: datetime, record: Record) -> None:
        """Close the record's open link and open the next one where the answer changed."""
        link = self._link_of(at, record)
        current = None if record.open_link is None else self.links[record.open_link]
        if current is not None:
            if link is not None and current.account_id == link.account_id and current.method == link.method:
                return
            current.valid_to = at
            record.open_link = None
        if link is not None:
            record.open_link = len(self.links)
            self.links.append(link)

    def _link_of(self, at: datetime, record: Record) -> Link | None:
        decision = record.node.decision
        if decision is None or decision.account_id is None or not record.is_alive:
            return None
        account_id = self.known.survivor(decision.account_id)
        if account_id != decision.account_id:
            merge = self.known.accounts[decision.account_id].merge
            assert merge is not None
            decision = replace(
                decision,
                method="override",
                confidence=CONFIDENCE_DECIDED,
                evidence=f"{decision.account_id} merged into {account_id}",
                decided_by=merge.decided_by,
            )
        elif decision.method in ("anchor", "external_id", "domain") and decision.record is not record:
            assert decision.record is not None
            # the same system gives the same id to the same customer, whatever kind of record it is
            decision = replace(
                decision,
                method="external_id",
                confidence=min(decision.confidence, CONFIDENCE_EXTERNAL_ID),
                evidence=f"{record.reference} is of the same system and id as {decision.record.reference}",
            )
        return Link(
            account_id,
            record,
            decision.method,
            decision.confidence,
            decision.evidence,
            at,
            decision.decided_by,
        )


def _moments(changes: Changes, overrides: Overrides) -> list[Moment]:
    decisions: list[Override | Merge] = [*overrides.overrides, *overrides.merges]
    moments: list[Moment] = [
        *((decision.effective_from, decision) for decision in decisions),
        *((change.at, change) for change in changes.changes),
    ]
    # the sort is stable: decisions come first, changes keep their order
    moments.sort(key=lambda moment: moment[0])
    return moments


def _is_same(before: Decision | None, after: Decision | None) -> bool:
    if before is None or after is None:
        return before is after
    return before.account_id == after.account_id and before.method == after.method
