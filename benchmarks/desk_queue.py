"""How long the review desk's server takes for a page of the queue: `python -m benchmarks.desk_queue --cases 10000`."""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from starlette.testclient import TestClient

from benchmarks.machine import describe_machine
from benchmarks.page import put_section
from benchmarks.scales import SCALES
from health_pipeline.contract.clocks import SystemClock
from health_pipeline.review import IncomingPacket, Ledger, Person
from health_pipeline.review.database import writing
from health_pipeline.review.desk.app import build_desk
from health_pipeline.review.desk.desk_settings import DeskSettings
from health_pipeline.review.desk.serving import desk_of
from health_pipeline.review.desk.sessions import start_session
from health_pipeline.settings import REPOSITORY, Settings

SECTION = "desk queue"
NOW = datetime(2026, 11, 18, 9, tzinfo=UTC)
OWNERS = 40
ADDRESSES = (
    "/queue",
    "/queue?page=20",
    "/queue?when=open&severity=high",
    "/queue?owner=csm7@example.com&renewal=90",
    "/queue?account=acc_77",
)


class _Noon(SystemClock):
    def now(self) -> datetime:
        """The benchmark's instant."""
        return NOW


@dataclass(frozen=True)
class Timed:
    """Milliseconds of an address for a person: by the clock the median and the 95th percentile, of CPU the latter."""

    who: str
    address: str
    median: float
    high: float
    high_cpu: float


def packets(cases: int, rng: random.Random) -> list[IncomingPacket]:
    """Open cases over all severities, owners, values and renewal dates."""
    return [
        IncomingPacket(
            packet_id=f"pkt_{number:06d}",
            packet_hash=f"{number:064x}",
            account_id=f"acc_{number:06d}",
            week=date(2026, 11, 9),
            as_of_at=datetime(2026, 11, 16, tzinfo=UTC),
            category=rng.choice(("adoption", "support", "sponsor_stakeholder", "value_outcome")),
            side="risk",
            severity=rng.choice(("low", "medium", "medium", "high", "critical", None)),
            owner_email=None if number % 50 == 0 else f"csm{number % OWNERS}@example.com",
            value_at_risk=None if number % 20 == 0 else Decimal(rng.randrange(1_000, 200_000)),
            days_to_renewal=None if number % 30 == 0 else rng.randrange(1, 400),
            is_quiet=False,
            evidence=tuple((f"ev-{number}-{place}", "measured") for place in range(4)),
            supporting_evidence=4,
            assumptions=("value_whole",),
        )
        for number in range(cases)
    ]


def measure(cases: int, requests: int, folder: Path) -> list[Timed]:
    """Take the cases in, give every seventh a follow-up date, and ask for each address as a lead and as a CSM."""
    settings = Settings(home=folder)
    rng = random.Random(7)  # noqa: S311 - cases, not secrets
    with Ledger.open(settings, _Noon()) as ledger:
        admin = Person("admin@example.com", "Admin", "admin")
        people = [admin, Person("lead@example.com", "Lead", "lead", "north")]
        people += [Person(f"csm{one}@example.com", f"Csm {one}", "csm", "north") for one in range(OWNERS)]
        for person in people:
            ledger.set_person(person, admin.email)
        ledger.take_in("benchmark", packets(cases, rng))
        for number in range(0, cases, 70):
            case = ledger.case(f"pkt_{number:06d}")
            day = (NOW + timedelta(days=rng.randrange(-10, 20))).date().isoformat()
            form = {"follow_up_on": day}
            ledger.decide(case.case_id, "set_follow_up", "lead@example.com", case.version, f"f{number}", form)
        desk = desk_of(ledger, settings, DeskSettings(sign_in="demo"))
        timed = []
        for who in ("lead@example.com", "csm7@example.com"):
            with writing(ledger.engine) as connection:
                token = start_session(connection, who, "demo", "benchmark", NOW)
            client = TestClient(build_desk(desk), base_url="http://127.0.0.1:8600", client=("127.0.0.1", 1))
            client.cookies.set(desk.cookie, token)
            timed += [_timed(client, who, address, requests) for address in ADDRESSES]
    return timed


def _timed(client: TestClient, who: str, address: str, requests: int) -> Timed:
    taken, cpu = [], []
    for _ in range(requests):
        started, started_cpu = time.perf_counter(), time.process_time()
        answer = client.get(address)
        taken.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - started_cpu) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}.")
    return Timed(who.partition("@")[0], address, statistics.median(taken), _high(taken), _high(cpu))


def _high(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def section(cases: int, requests: int, timed: list[Timed]) -> str:
    """The figures as Markdown."""
    machine = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in describe_machine(REPOSITORY).items())
    worst, worst_cpu = max(one.high for one in timed), max(one.high_cpu for one in timed)
    load = os.getloadavg()[0]
    lines = [
        f"## {SECTION}",
        "",
        f"Written by `python -m benchmarks.desk_queue`. {cases:,} open cases in a SQLite ledger, one server process, "
        f"{requests} requests of each address, admission and rendering included. Machine: {machine}; "
        f"load average at the end {load:.1f}: where it is above "
        "the number of cores, the clock measures the neighbours too, and CPU time is what the desk itself took.",
        "",
        "| asked | target | measured |",
        "|---|---|---|",
        f"| a page of the queue, 95th percentile, the slowest of the addresses below | 100 ms "
        f"| {worst:.0f} ms by the clock, {worst_cpu:.0f} ms of CPU |",
        "",
        "| who | address | median, ms | 95th percentile, ms | 95th percentile of CPU, ms |",
        "|---|---|--:|--:|--:|",
        *(f"| {one.who} | `{one.address}` | {one.median:.1f} | {one.high:.1f} | {one.high_cpu:.1f} |" for one in timed),
        "",
    ]
    return "\n".join(lines)


def main(
    cases: Annotated[int, typer.Option(help="Open cases.")] = 10_000,
    requests: Annotated[int, typer.Option(help="Requests of each address.")] = 100,
    page: Annotated[Path, typer.Option(help="The page whose section is written anew.")] = REPOSITORY
    / "docs"
    / "benchmarks.md",
) -> None:
    """Measure the queue's server time and write it to docs/benchmarks.md."""
    out = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="desk-queue-") as folder:
        text = section(cases, requests, measure(cases, requests, Path(folder)))
    put_section(page, SECTION, text, list(SCALES))
    out.print(text)


if __name__ == "__main__":
    typer.run(main)
