"""Makes what the review's tests share importable, and opens ledgers for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from health_pipeline.review import Ledger
from health_pipeline.settings import Settings

if TYPE_CHECKING:
    from desk_house import House
    from reviewing import SetClock

sys.path.insert(0, str(Path(__file__).parent))
# The desk shows packets, built as the risk room's tests build them, opened as the reports' are; and it tells a server.
sys.path += [str(Path(__file__).parent.parent / room) for room in ("risk", "reporting", "observability")]


@pytest.fixture
def clock() -> SetClock:
    from reviewing import SetClock

    return SetClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def ledger(settings: Settings, clock: SetClock) -> Iterator[Ledger]:
    """A SQLite ledger with people and one detected case, `p-1`."""
    from reviewing import add_people, packet

    with Ledger.open(settings, clock) as opened:
        add_people(opened)
        opened.take_in("r1", [packet()])
        yield opened


@pytest.fixture
def house(settings: Settings, clock: SetClock) -> Iterator[House]:
    """A desk with six people and three cases: the CSM's, the other CSM's, nobody's."""
    from desk_house import build_house, packet_of
    from reviewing import CSM, OTHER_CSM

    with Ledger.open(settings, clock) as opened:
        packets = [packet_of(1, CSM), packet_of(2, OTHER_CSM, 9_000), packet_of(3, None)]
        yield build_house(settings, opened, clock, packets)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a private PostgreSQL server."""
    from postgresql_server import postgresql_server

    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of an empty ledger on each database."""
    home = tmp_path / "home"
    if request.param == "sqlite":
        yield Settings(home=home)
        return
    from sqlalchemy import create_engine, text

    server = request.getfixturevalue("postgresql")
    name = f"ledger_{abs(hash(str(tmp_path)))}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    yield Settings(home=home, ledger_database=server.replace("/postgres?", f"/{name}?"))
    with engine.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))
    engine.dispose()
