"""A desk for tests: packets built by the real classes, published into a real file, taken in; pages opened as people."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import uvicorn
from packet_examples import by_place, facts, policy, risk, sponsor_risk
from reviewing import ADMIN, ANALYST, CSM, LEAD, OTHER_CSM, OTHER_LEAD, SetClock, add_people, does
from starlette.testclient import TestClient

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.review import Ledger
from health_pipeline.review.desk.app import build_desk
from health_pipeline.review.desk.desk_settings import DeskSettings
from health_pipeline.review.desk.serving import desk_of
from health_pipeline.review.desk.sessions import csrf_token
from health_pipeline.review.desk.visits import Desk
from health_pipeline.review.intake import read_packets
from health_pipeline.risk.packet import Packet
from health_pipeline.risk.packet_building import PacketPolicy, build_packets
from health_pipeline.risk.packet_rows import mart_row
from health_pipeline.risk.restricted import store_packets
from health_pipeline.settings import Settings

EVERYBODY = {
    "csm": CSM,
    "other_csm": OTHER_CSM,
    "lead": LEAD,
    "other_lead": OTHER_LEAD,
    "analyst": ANALYST,
    "admin": ADMIN,
}
WEEK = date(2026, 11, 9)
NAMES = (
    "Silvermill Logistics",
    "Northwind Analytics",
    "Harbour & Sons",
    "=HYPERLINK(1)",
    "Juniper Foods",
    "Oak Clinic",
)


@dataclass(frozen=True)
class TestRelease:
    """A release as the intake wants it."""

    __test__ = False
    name: str
    file: Path
    published_weeks: tuple[Week, ...]


@cache
def _policy() -> PacketPolicy:
    return policy()


def packet_of(number: int, owner: str | None, value: int = 60_000, **changes: Any) -> Packet:
    """A packet of the sponsor's story for an account of its own."""
    account = f"acc_{number:012d}"
    known = facts()
    features = {**known.features, "account_id": account, "arr_reporting": Decimal(value), "owner_email": owner}
    known = replace(
        known,
        account_id=account,
        account_name=NAMES[number % len(NAMES)],
        owner_email=owner,
        features=features,
        features_before={**known.features_before, "account_id": account},
    )
    story = sponsor_risk()
    pieces = tuple(
        replace(one, evidence_id=f"{one.evidence_id}-{number}", account_id=account) for one in story.evidence
    )

    def ids(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{name}-{number}" for name in names)

    signals = tuple(
        replace(
            one,
            evidence_ids=ids(one.evidence_ids),
            against_ids=ids(one.against_ids),
            benign=tuple(replace(check, evidence_ids=ids(check.evidence_ids)) for check in one.benign),
        )
        for one in story.signals
    )
    fields = {"packet_id": f"pkt_{number}", "account_id": account, **changes}
    built = risk(*signals, evidence=pieces, missing=story.missing, **fields)
    return build_packets([built], by_place(known), _policy())[0]


def settle(ledger: Ledger, case_id: str = "pkt_1", by: str = CSM) -> None:
    """Accept every assumption of a case by name, so that none of them holds an approval back."""
    for one in ledger.case(case_id).assumptions:
        does(ledger, "verify_assumption", by, case_id, assumption_id=one.assumption_id, assumption_state="accepted")


def publish(settings: Settings, packets: Sequence[Packet]) -> TestRelease:
    """Store the packets' bodies, write their rows and evidence as a release's file, and make it the current one."""
    stored = store_packets(settings, packets)
    assert not [one for one in stored.values() if one.problems]
    folder = settings.published / "releases" / "r000001-20261116T070000-00000000"
    folder.mkdir(parents=True)
    tables = mart_tables()
    rows: dict[str, list[dict[str, Any]]] = {
        "risk_packets": [
            {**row, "body_sha256": stored[(row["packet_id"], row["week"].isoformat())].body_sha256}
            for row in map(mart_row, packets)
        ],
        "risk_evidence": [{**asdict(piece), "packet_id": one.packet_id} for one in packets for piece in one.evidence],
        "accounts": [
            {"account_id": one.account_id, "account_name": one.account_name, "owner_email": one.owner_email}
            for one in packets
        ],
        "account_health_weekly": [
            {
                "account_id": one.account_id,
                "week": date(2026, 11, 2 + 7 * step),
                "score": score,
                "effective_tier": "healthy",
            }
            for one in packets
            for step, score in enumerate((81.0, 78.5))
        ],
    }
    rows["account_features_weekly"] = [
        {
            "account_id": one.account_id,
            "week": WEEK,
            "open_backlog": 3,
            "support_status": "measured",
            "usage_change_share_4w": -0.5,
            "usage_status": "stale",
        }
        for one in packets
    ]
    path = folder / "customer_health.duckdb"
    with duckdb.connect(str(path)) as connection:
        for name, own in rows.items():
            schema = tables[name].arrow_schema
            table = pa.Table.from_pylist([{column: row.get(column) for column in schema.names} for row in own], schema)
            connection.register("incoming", table)
            connection.execute(f"create table {name} as select * from incoming")
            connection.unregister("incoming")
    (settings.published / "current").symlink_to(folder)
    return TestRelease(folder.name, path, (Week(WEEK),))


@dataclass
class House:
    """A desk with people and cases, and how to visit it."""

    settings: Settings
    ledger: Ledger
    desk: Desk
    clock: SetClock
    app: Any = None
    clients: dict[str, TestClient] = field(default_factory=dict)

    def visitor(self, host: str = "127.0.0.1", base: str = "http://127.0.0.1:8600") -> TestClient:
        """A browser that nobody is signed in with."""
        return TestClient(self.app, base_url=base, client=(host, 50000), follow_redirects=False)

    def as_(self, email: str, base: str = "http://127.0.0.1:8600") -> TestClient:
        """A browser in which that person is signed in; the same one each time."""
        if email not in self.clients:
            client = self.visitor(base=base)
            page = client.get("/sign-in")
            answer = client.post("/sign-in/demo", data={"csrf": hidden(page.text, "csrf"), "email": email})
            assert answer.status_code == 303, answer.text
            self.clients[email] = client
        return self.clients[email]

    def csrf(self, email: str) -> str:
        """What the forms of that person's session must bring."""
        return csrf_token(str(self.as_(email).cookies.get(self.desk.cookie)))

    def post(self, email: str, path: str, /, **fields: Any) -> Any:
        """Send a form as that person."""
        return self.as_(email).post(path, data={"csrf": self.csrf(email), **fields})

    def decide(self, email: str, action: str, case_id: str = "pkt_1", /, **fields: Any) -> Any:
        """Send a decision's form, filled as the page fills it."""
        case = self.ledger.case(case_id)
        own = {"case_version": str(case.version), "packet_hash": case.packet_hash, "idempotency_key": next_key()}
        return self.post(email, f"/cases/{case_id}/{action}", **(own | fields))


_made = iter(range(1, 1_000_000))


def next_key() -> str:
    return f"test:{next(_made)}"


def hidden(html: str, name: str) -> str:
    """The value of the first hidden field of that name."""
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no hidden field {name}"
    return found[1]


def build_house(
    settings: Settings,
    ledger: Ledger,
    clock: SetClock,
    packets: Sequence[Packet],
    desk_settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> House:
    """People and cases in an open ledger, and the desk on it."""
    if not ledger.people():
        add_people(ledger)
    release = publish(settings, packets)
    ledger.take_in(release.name, read_packets(release, release.published_weeks))
    values: dict[str, Any] = {"sign_in": "demo", "posts_per_minute": 100_000, "sign_ins_per_minute": 100_000}
    checked = DeskSettings(**(values | dict(desk_settings or {}))).checked()
    desk = desk_of(ledger, settings, checked, **more)
    return House(settings, ledger, desk, clock, build_desk(desk))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(house: House) -> Iterator[str]:
    """The house's app behind a real server on this machine, at the address its settings name."""
    address = house.desk.settings.origin
    config = uvicorn.Config(
        house.app, host="127.0.0.1", port=int(address.rpartition(":")[2]), log_level="warning", proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(10)
