"""The record of publication events, `published/history.jsonl`: written and flushed before `current` moves."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from health_pipeline.publication.files import sync
from health_pipeline.settings import Settings

EventKind = Literal["published", "rollback"]


@dataclass(frozen=True)
class PublicationEvent:
    """One act that decides what is current.

    Attributes
    ----------
    sequence : int
        Grows with every event, rollbacks included; never used twice.
    event : str
        `published` or `rollback`.
    release : str
        What is current after it.
    replaced : str or None
        What was current before it.
    at : str
        ISO time, UTC.
    reason, by : str
        Why and who, of a rollback; empty of a publication.
    """

    sequence: int
    event: EventKind
    release: str
    replaced: str | None
    at: str
    reason: str = ""
    by: str = ""

    @property
    def moment(self) -> datetime:
        """When it happened, naive UTC."""
        return datetime.fromisoformat(self.at)


def history_path(settings: Settings) -> Path:
    """Where the events lie."""
    return settings.published / "history.jsonl"


def read_history(settings: Settings) -> list[PublicationEvent]:
    """Every event in order. A last line that a power cut left unfinished never took effect and is left out."""
    path = history_path(settings)
    if not path.exists():
        return []
    # Only what ends with a newline was written whole.
    complete = path.read_bytes().rpartition(b"\n")[0]
    return [PublicationEvent(**json.loads(line)) for line in complete.splitlines() if line]


def append_event(settings: Settings, event: PublicationEvent) -> None:
    """Add an event and flush it. The caller holds the publish lock."""
    path = history_path(settings)
    content = path.read_bytes() if path.exists() else b""
    kept = content.rpartition(b"\n")[0] + b"\n" if b"\n" in content else b""
    is_new = not path.exists()
    with path.open("r+b" if not is_new else "w+b") as stream:
        # An unfinished last line is cut off before the new one is written behind the last whole one.
        stream.truncate(len(kept))
        stream.seek(len(kept))
        stream.write(json.dumps(asdict(event), sort_keys=True).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        sync(path.parent)


def last_sequence(settings: Settings, release_sequences: list[int]) -> int:
    """The highest sequence number ever given, over events and release folders; 0 before the first."""
    return max([event.sequence for event in read_history(settings)] + release_sequences, default=0)
