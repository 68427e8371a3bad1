"""Makes Dagster's own SQLite history cheap to write: a run of this project stores about a thousand events.

Dagster opens and closes a connection for each of them. Closing the last connection folds the write-ahead log back
into the file, and each commit waits for the disk: seen, 61 of the 110 seconds of a run. With `synchronous=NORMAL` a
commit does not wait, and a connection kept open per file leaves the log alone. A power failure may lose the last
moments of the run *history*; it can't damage it, and nothing else lives there: the ledger keeps its own, stricter
setting.

For each of them it also makes a SQLAlchemy engine, which compiles every statement anew: seen, half of the 15 ms of
CPU that an event took. Here a file has one engine as long as the process runs, and the engine keeps its connection:
of what was left, opening and closing six thousand of them in a run was a third.

What is kept open is the file, not its name: where another file has come in its place, as after a backup was brought
back, the old one is let go.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool


@dataclass(frozen=True)
class _KeptFile:
    connection: sqlite3.Connection
    status: os.stat_result


_kept_open: dict[str, _KeptFile] = {}
_homes: set[str] = set()
_engines: dict[str, Engine] = {}


def ease_history_writes(dagster_home: Path) -> None:
    """Apply the settings to every SQLite file under that folder, from now on and in this process."""
    if not _homes:
        event.listen(Engine, "connect", _ease)
        # Dagster has no setting for it.
        vars(sqlite_event_log)["create_engine"] = _engine_of
    _homes.add(os.path.realpath(dagster_home) + os.sep)


def _engine_of(url: str, **arguments: Any) -> Engine:
    path = os.path.realpath(_named_in(url))
    if not _is_ours(path):
        return create_engine(url, **arguments)
    _let_go_of_another(path)
    if path not in _engines:
        _engines[path] = create_engine(url, **{**arguments, "poolclass": QueuePool, "pool_size": 1, "max_overflow": -1})
        # Dagster disposes of the engine it believes to be its own after each use.
        vars(_engines[path])["dispose"] = _keep
    return _engines[path]


@cache
def _named_in(url: str) -> str:
    return make_url(url).database or ""


def _keep(close: bool = True) -> None:
    """Close nothing."""


def _is_ours(path: str) -> bool:
    return path.startswith(tuple(_homes))


def _let_go_of_another(path: str) -> None:
    """Keep what is kept of a file as long as it is the one of that name."""
    if path not in _kept_open:
        return
    with suppress(FileNotFoundError):
        if os.path.samestat(Path(path).stat(), _kept_open[path].status):
            return
    _kept_open.pop(path).connection.close()
    if path in _engines:
        Engine.dispose(_engines.pop(path))


def _ease(connection: Any, _: object) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    path = connection.execute("pragma database_list").fetchone()[2]
    if not _is_ours(path):
        return
    connection.execute("pragma synchronous = normal")
    _let_go_of_another(path)
    if path not in _kept_open:
        kept = sqlite3.connect(path, check_same_thread=False)
        kept.execute("select count(*) from sqlite_master").fetchone()
        _kept_open[path] = _KeptFile(kept, Path(path).stat())
