"""Loads that did not get in: refused ones with their reason, held ones until a person decides, rows set aside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.contract.landing import SourceKind
from health_pipeline.sources.extract import LoadMode
from health_pipeline.sources.records import flush_to_disk, folder_in_progress

# `set_aside` names rows of a load that was committed without them.
QuarantineStatus = Literal["held", "refused", "accepted", "rejected", "set_aside"]
NOTE = "load.json"


@dataclass(frozen=True)
class QuarantinedLoad:
    """One folder of the quarantine, as its `load.json` says it.

    Attributes
    ----------
    loaded_at, decided_at : naive UTC
    latency_hours : the source's latency when the load was made, kept for when it is accepted
    tables : table name to whether the extract of it is complete
    reason : sentences, why it is here
    decision_reason : why a person rejected it
    """

    load_id: str
    source_kind: SourceKind
    source_system: str
    source_instance: str
    mode: LoadMode
    loaded_at: datetime
    status: QuarantineStatus
    reason: str
    rows: int
    latency_hours: int
    tables: Mapping[str, bool]
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None


class Quarantine:
    """The quarantine folder. Writing the same load again replaces its folder, so retries take no more room."""

    def __init__(self, folder: Path):
        self.folder = folder

    def loads(self) -> list[QuarantinedLoad]:
        """What is in quarantine, oldest load first; committed and decided ones included."""
        found = [_read_note(note) for note in self.folder.glob(f"[!.]*/{NOTE}")]
        return sorted(found, key=lambda load: (load.loaded_at, load.load_id))

    def find(self, load_id: str) -> QuarantinedLoad | None:
        """The quarantined load of that id, or None."""
        note = self.folder / load_id / NOTE
        return _read_note(note) if note.is_file() else None

    def keep(self, load: QuarantinedLoad, fill: Callable[[Path], None]) -> None:
        """Keep a load: `fill` writes its data into the folder it is given."""
        target = self.folder / load.load_id
        with folder_in_progress(target, self.folder / f".{load.load_id}") as folder:
            fill(folder)
            _write_note(folder / NOTE, load)

    def decide(
        self, load: QuarantinedLoad, status: QuarantineStatus, by: str, at: datetime, reason: str | None
    ) -> QuarantinedLoad:
        """Record who decided what; an accepted load's data are in the landing, so they leave the quarantine."""
        decided = replace(load, status=status, decided_by=by, decided_at=at, decision_reason=reason)
        folder = self.folder / load.load_id
        temporary = folder / f".{NOTE}"
        _write_note(temporary, decided)
        flush_to_disk(temporary)
        temporary.replace(folder / NOTE)
        flush_to_disk(folder)
        if status == "accepted":
            for path in folder.glob("*.parquet"):
                path.unlink()
        return decided

    def table_file(self, load: QuarantinedLoad, table: str) -> Path:
        """Where a held load's table is kept."""
        return self.folder / load.load_id / f"{table}.parquet"


def copy_delivered(tables: Sequence[tuple[str, pa.Table | Path]], folder: Path) -> None:
    """Keep delivered tables as they came; a file that is not there leaves nothing to keep."""
    for number, (name, data) in enumerate(tables):
        if isinstance(data, pa.Table):
            pq.write_table(data, folder / f"{number:02d}-{name}.parquet")
        elif data.is_file():
            shutil.copyfile(data, folder / f"{number:02d}-{data.name}")


def _write_note(path: Path, load: QuarantinedLoad) -> None:
    content = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(replace(load, tables=dict(load.tables))).items()
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_note(path: Path) -> QuarantinedLoad:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name in ("loaded_at", "decided_at"):
        if content[name] is not None:
            content[name] = datetime.fromisoformat(content[name])
    return QuarantinedLoad(**content)
