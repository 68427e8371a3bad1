"""The ledger's hash chain as a format: which columns are chained, how an event is hashed, what a broken chain is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.contract.content import json_text

EVENT_TABLE = "ledger_event"
CHAINED_COLUMNS = (
    "seq",
    "event_id",
    "case_id",
    "case_version",
    "type",
    "actor",
    "at",
    "payload",
    "packet_hash",
    "idempotency_key",
)
EVENT_COLUMNS = (*CHAINED_COLUMNS, "prev_hash", "hash")
GENESIS = "0" * 64
# The event by which an admin goes on after rows were lost for good; its payload names the anchor that is gone.
LOSS_ACCEPTED = "chain_loss_accepted"
# How a landed event that the ledger has lost for good is told: a row of its own, its id the lost one's behind a prefix.
LOST, LOST_PREFIX = "event_lost", "lost-"
MAX_PROBLEMS = 20


@dataclass(frozen=True)
class ChainHead:
    """The newest event of a chain: its number, its hash, and how many events there are."""

    seq: int
    hash: str
    count: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a release's manifest holds them."""
        return asdict(self)


@dataclass(frozen=True)
class ChainReport:
    """What reading a whole chain found; `problems` are sentences that name the event."""

    head: ChainHead | None
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Nothing was found."""
        return not self.problems


def event_hash(prev_hash: str, row: Mapping[str, Any]) -> str:
    """SHA-256 over the hash before and every chained column, as 64 hexadecimal digits.

    Parameters
    ----------
    prev_hash : hash of the event before, `GENESIS` for the first
    row : mapping with the chained columns; `payload` as the stored text, `at` a UTC datetime
    """
    chained = {name: row[name] for name in CHAINED_COLUMNS}
    at: datetime = row["at"]
    naive = naive_utc(at)
    chained["at"] = naive.isoformat(timespec="microseconds")
    return hashlib.sha256(json_text({**chained, "prev_hash": prev_hash}).encode()).hexdigest()


def verify_events(rows: Iterable[Mapping[str, Any]], anchors: Iterable[ChainHead] = ()) -> ChainReport:
    """Follow a chain from its first event and say where it breaks.

    Parameters
    ----------
    rows : every event with `EVENT_COLUMNS`, ordered by seq
    anchors : heads written down elsewhere, such as in a release's manifest: each must still be an event of the chain.
        The chain alone can't tell that its newest rows were cut off; an anchor does.

    Returns
    -------
    ChainReport
        With the first 20 problems.
    """
    problems: list[str] = []
    wanted = {anchor.seq: anchor for anchor in anchors}
    met: dict[int, str] = {}
    before, expected, count = GENESIS, 1, 0
    for row in rows:
        count += 1
        if row["seq"] != expected:
            problems.append(f"Event {expected} is missing: event {row['seq']} follows event {expected - 1}.")
        if row["prev_hash"] != before:
            problems.append(f"Event {row['seq']} does not follow the event before it: its prev_hash is another one.")
        if row["hash"] != event_hash(row["prev_hash"], row):
            problems.append(f"Event {row['seq']} was changed: its content does not give its hash.")
        if row["seq"] in wanted:
            met[row["seq"]] = row["hash"]
        before, expected = row["hash"], row["seq"] + 1
    for seq, anchor in sorted(wanted.items()):
        if seq not in met:
            problems.append(f"Event {seq}, anchored in a release, is gone: the chain ends at event {expected - 1}.")
        elif met[seq] != anchor.hash or count < anchor.count:
            problems.append(f"Event {seq} is not the one that was anchored in a release: the chain was rewritten.")
    head = ChainHead(expected - 1, before, count) if count else None
    return ChainReport(head, tuple(problems[:MAX_PROBLEMS]))
