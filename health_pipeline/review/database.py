"""The ledger's database: one engine, transactions that read or that write, tables brought up to date on opening."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url

from health_pipeline.review.schema import VERSION_TABLE

MIGRATIONS = Path(__file__).with_name("migrations")
SCHEMA_REVISION = "0005"
# 5 s lost writes under eight writers when it was tried.
BUSY_SECONDS = 30
# As many values as a statement names at once; SQLite had a limit of 999 for long.
VALUES_AT_ONCE = 500
# The lock round "read head, append" in PostgreSQL: without it two writers follow the same head and the chain forks.
ADVISORY_LOCK = 0x1ED6E7


class LedgerError(RuntimeError):
    """The ledger can't be used so; the message says why and what to do."""


class LedgerTooNewError(LedgerError):
    """The ledger was written by a newer version of the code."""


def open_engine(ledger_url: str) -> Engine:
    """An engine on the ledger; the folder of a SQLite file is made. Nothing is read or written yet.

    SQLite: write-ahead log, `synchronous=FULL` (an acknowledged decision survives a power cut), 30 s of patience.
    """
    url = make_url(ledger_url)
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    # The driver would begin by itself, and only before the first write: begin is ours to say, see below.
    connection.isolation_level = None
    connection.execute(f"pragma busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later can't be made to wait, only refused: writers say so at once.
    is_writing = connection.get_execution_options().get("ledger_writes", False)
    connection.exec_driver_sql("begin immediate" if is_writing else "begin")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: it waits for nobody, and sees one state of the ledger."""
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, one at a time over all processes: what it reads stays true until it commits."""
    with engine.connect().execution_options(ledger_writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        yield connection


def in_parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values in their order, as many at a time as a statement may name."""
    for start in range(0, len(values), VALUES_AT_ONCE):
        yield values[start : start + VALUES_AT_ONCE]


def upgrade(engine: Engine) -> None:
    """Make the ledger's tables, or bring them up to what this code needs; nothing where they are.

    Raises
    ------
    LedgerTooNewError
        If a newer version of the code has written there.
    """
    with reading(engine) as connection:
        found = _revision(connection)
    if found == SCHEMA_REVISION:
        return
    with writing(engine) as connection:
        # Another process may have been first.
        found = _revision(connection)
        if found == SCHEMA_REVISION:
            return
        if found is not None and found not in _known_revisions():
            shown = engine.url.render_as_string(hide_password=True)
            raise LedgerTooNewError(
                f"The ledger {shown} has tables of version {found}, this code knows up to {SCHEMA_REVISION}: install "
                "the newer code; the ledger was left as it is."
            )
        _migrate(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"select version_num from {VERSION_TABLE}")).scalar_one_or_none()
    return None if found is None else str(found)


def _known_revisions() -> set[str]:
    names = (re.match(r"v(\d{4})_", path.name) for path in (MIGRATIONS / "versions").glob("v*.py"))
    return {match[1] for match in names if match}


def _migrate(connection: Connection) -> None:
    # Imported here: opening a ledger that is up to date needs none of it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
