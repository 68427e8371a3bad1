"""Which deliveries are dealt with: what a pull need not fetch again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from health_pipeline.sources.examination import Examined
from health_pipeline.sources.quarantine import QuarantinedLoad
from health_pipeline.sources.records import LoadRecord, flush_to_disk

# Kind, system, instance and load time (naive UTC).
Delivery = tuple[str, str, str, datetime]


def note_duplicate(folder: Path, examined: Examined, earlier: LoadRecord) -> None:
    """Remember that a duplicate came. No fact depends on it, and it takes no sequence number."""
    extract = examined.extract
    folder.mkdir(parents=True, exist_ok=True)
    note = {
        "source_kind": extract.source_kind,
        "source_system": extract.source_system,
        "source_instance": extract.source_instance,
        "loaded_at": examined.loaded_at.isoformat(),
        "duplicate_of": earlier.load_id,
    }
    temporary = folder / f".{examined.load_id}"
    temporary.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    flush_to_disk(temporary)
    temporary.replace(folder / f"{examined.load_id}.json")


def dealt_with(folder: Path, committed: Iterable[LoadRecord], quarantined: Iterable[QuarantinedLoad]) -> set[Delivery]:
    """Every delivery that is committed, was a duplicate, or was rejected by a person."""
    known: set[Delivery] = {
        (load.source_kind, load.source_system, load.source_instance, load.loaded_at) for load in committed
    }
    known |= {
        (load.source_kind, load.source_system, load.source_instance, load.loaded_at)
        for load in quarantined
        if load.status == "rejected"
    }
    for path in folder.glob("[!.]*.json"):
        note = json.loads(path.read_text(encoding="utf-8"))
        moment = datetime.fromisoformat(note["loaded_at"])
        known.add((note["source_kind"], note["source_system"], note["source_instance"], moment))
    return known
