"""A random company: each record is a few bytes, read digit by digit as choices; what shrinks is simpler and smaller.

Facts are put on window edges, on as_of_at and on known_at on purpose: the palettes hold little else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.landing import SourceKind, landing_tables
from health_pipeline.policy.company import CompanyPolicy, SourcePolicy

Row = dict[str, Any]
WEEKS = [Week(date(2026, 3, 2)).shift(n) for n in range(3)]
AS_OF = [week.as_of_at.replace(tzinfo=None) for week in WEEKS]
KNOWN = [moment + timedelta(hours=6) for moment in AS_OF]
INSTANT = timedelta(microseconds=1)
LONG_AGO = datetime(2020, 1, 2)
POLICY = CompanyPolicy(
    company_name="Random",
    sources={"support": SourcePolicy(latency_hours=6), "usage": SourcePolicy(latency_hours=6)},
    # a rate that starts exactly where a week ends
    rates={"EUR": {"2020-01-01": 1.1, "2026-03-09": 1.25}},
)
# The historical load comes after the first week, so that that week is imputed; then late, in time, exactly in time.
LOADED_AT = [
    KNOWN[0] + timedelta(days=1),
    KNOWN[1] - timedelta(hours=1),
    KNOWN[1],
    KNOWN[1] + INSTANT,
    KNOWN[2] - timedelta(days=2),
    KNOWN[2],
    KNOWN[2] + timedelta(days=1),
]
ACCOUNTS = ("a0", "a1", "a2")
BACKGROUND = "far"
UNLINKED = "nobody"
KIND_OF_TABLE: dict[str, SourceKind] = {
    "crm_contact": "crm",
    "billing_subscription": "billing",
    "billing_invoice": "billing",
    "billing_payment": "billing",
    "support_ticket": "support",
    "survey_response": "survey",
    "usage_event": "usage",
    "usage_daily": "usage",
    "cs_note": "engagement",
    "cs_goal": "cs",
    "pm_project": "projects",
    "pm_milestone": "projects",
    "risk": "risk",
}
KINDS: tuple[SourceKind, ...] = tuple(dict.fromkeys(KIND_OF_TABLE.values()))
WINDOWS = (0, 28, 56, 90, 91, 180, 365)
MOMENTS = [
    as_of - timedelta(days=days) + delta
    for as_of in reversed(AS_OF)
    for days in WINDOWS
    for delta in (timedelta(), -INSTANT, timedelta(hours=7))
] + [AS_OF[2] - timedelta(days=days, hours=5) for days in range(0, 60, 3)]
# facts on the end of a week weigh more: they are the ones that must not count yet
MOMENTS += AS_OF[1:] * 8
OFFSETS = [
    timedelta(days=d, minutes=m) for d, m in ((0, 0), (0, 40), (1, 0), (7, 0), (20, 0), (31, 0), (32, 0), (100, 0))
]


# One is a customer all the time, one since 40 days before; the third only while a random subscription runs.
BASES = {"a0": LONG_AGO, "a1": AS_OF[0] - timedelta(days=40)}
GAPS = [BASES["a1"] - gap for gap in (timedelta(days=31), timedelta(days=31) + INSTANT, timedelta(days=30, hours=3))]


class Digits:
    """Bytes read as choices, one after the other."""

    def __init__(self, text: bytes) -> None:
        self.left = list(text)

    def of(self, options: Sequence[Any]) -> Any:
        """One of the options; the first where the bytes have come to an end."""
        first, second, *self.left = [*self.left, 0, 0]
        return options[(first + 256 * second) % len(options)]


@dataclass(repr=False)
class Company:
    """What was landed, and who it belongs to.

    Attributes
    ----------
    landed : rows by table, as the landing holds them
    loads : rows of source_load, one per load and table
    accounts, links : rows of the identity tables
    """

    landed: dict[str, list[Row]] = field(default_factory=dict)
    loads: list[Row] = field(default_factory=list)
    accounts: list[Row] = field(default_factory=list)
    links: list[Row] = field(default_factory=list)

    def __repr__(self) -> str:
        rows = [(table, row) for table, rows in self.landed.items() for row in rows if "far" not in str(row)]
        links = [link for link in self.links if link["valid_to"] or link["valid_from"] > LONG_AGO]
        return f"Company({rows[:40]}, {links})"

    @property
    def identity(self) -> dict[str, list[Row]]:
        return {"identity_account": self.accounts, "identity_link": self.links, "identity_suggestion": []}


def records(most: int) -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.binary(min_size=48, max_size=48), max_size=most)


def companies(most: int = 10) -> st.SearchStrategy[Company]:
    """Companies of three accounts with up to `most` records in each of the tables, and more usage events."""
    tables = {table: records(3 * most if table == "usage_event" else most) for table in KIND_OF_TABLE}
    return st.builds(
        company_of,
        st.fixed_dictionaries(tables),
        links=st.dictionaries(st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(KINDS)), st.sampled_from(LINKS)),
        complete=st.sets(st.tuples(st.sampled_from(MUTABLE), st.integers(1, len(LOADED_AT) - 1)), max_size=2),
        unsent=st.sets(st.sampled_from(("billing_payment", "crm_contact", "risk", "cs_goal")), max_size=1),
    )


def random_company(seed: int, most: int = 12) -> Company:
    """The same company for the same seed; about half of `most` records in each table."""
    drawn = random.Random(seed)
    tables = {
        table: [drawn.randbytes(48) for _ in range(drawn.randint(0, 3 * most if table == "usage_event" else most))]
        for table in KIND_OF_TABLE
    }
    links = {(account, kind): drawn.choice(LINKS) for account in ACCOUNTS for kind in KINDS if drawn.random() < 0.1}
    return company_of(tables, links, {(drawn.choice(MUTABLE), drawn.randint(1, len(LOADED_AT) - 1))}, set())


def edge_company(seed: int) -> Company:
    """A record of each table on every edge there is, known just in time or just too late; the rest is drawn."""
    drawn = random.Random(seed)
    tables: dict[str, list[bytes]] = {}
    for table in KIND_OF_TABLE:
        tables[table] = []
        for edge in range(len(WINDOWS) * len(AS_OF) * 3):
            place, account = drawn.choice((3, 4, 5, 6, 8)), drawn.choice((0, 1))
            tables[table].append(bytes((place, 0, account, 0, edge, 0)) + drawn.randbytes(42))
    return company_of(tables, {}, set(), set())


MUTABLE = tuple(table for table in KIND_OF_TABLE if landing_tables()[table].is_mutable)
# from when and until when a link holds; None: there is none
LINKS: tuple[tuple[datetime, datetime | None] | None, ...] = (
    None,
    (KNOWN[1], None),
    (KNOWN[1] + INSTANT, None),
    (LONG_AGO, KNOWN[1]),
    (LONG_AGO, KNOWN[2] - timedelta(days=3)),
)


def company_of(
    written: Mapping[str, Sequence[bytes]],
    links: Mapping[tuple[str, SourceKind], tuple[datetime, datetime | None] | None],
    complete: set[tuple[str, int]],
    unsent: set[str],
) -> Company:
    """The company that those bytes spell."""
    company = Company()
    for account in (*ACCOUNTS, BACKGROUND):
        _known(company, account, links)
    deliveries: dict[str, list[list[Row]]] = {table: [[] for _ in LOADED_AT] for table in KIND_OF_TABLE}
    for table, texts in written.items():
        if table not in unsent:
            deliveries[table][0].append(_background(table))
            for number, text in enumerate(texts):
                _deliver(table, f"{table}-{number}", Digits(text), deliveries[table])
    for account, started_at in BASES.items():
        base = {"subscription_id": f"base-{account}", "source_account_id": account, "status": "active"}
        base |= {"currency": "USD", "started_at": started_at, "source_updated_at": started_at, "quantity": 4}
        for place in range(len(LOADED_AT)):
            if not place or ("billing_subscription", place) in complete:
                deliveries["billing_subscription"][place].append(base | {"arr": Decimal("1200.00")})
    for place, loaded_at in enumerate(LOADED_AT):
        for table, kind in KIND_OF_TABLE.items():
            _load(company, table, kind, place, loaded_at, deliveries[table][place], unsent, complete)
    return company


def _known(
    company: Company,
    account: str,
    links: Mapping[tuple[str, SourceKind], tuple[datetime, datetime | None] | None],
) -> None:
    anchor = {"anchor_source_kind": "crm", "anchor_source_system": "crm_system", "anchor_source_instance": "default"}
    company.accounts.append(
        {"account_id": account, **anchor, "anchor_source_account_id": account, "first_seen_at": LONG_AGO}
    )
    for kind in KINDS:
        span = links.get((account, kind), (LONG_AGO, None))
        if kind == "billing":
            span = (LONG_AGO, None)
        if span is not None:
            company.links.append(
                {
                    "account_id": account,
                    "source_kind": kind,
                    "source_system": f"{kind}_system",
                    "source_instance": "default",
                    "source_account_id": account,
                    "method": "anchor",
                    "confidence": 1.0,
                    "evidence": "",
                    "valid_from": span[0],
                    "valid_to": span[1],
                    "decided_by": "rule",
                }
            )


def _load(
    company: Company,
    table: str,
    kind: SourceKind,
    place: int,
    loaded_at: datetime,
    rows: Sequence[Row],
    unsent: set[str],
    complete: set[tuple[str, int]],
) -> None:
    """One table of one load; a load is one kind's delivery at one time."""
    sequence = 1 + place * len(KINDS) + KINDS.index(kind)
    load = {
        "load_id": f"load-{sequence:03d}",
        "load_sequence": sequence,
        "loaded_at": loaded_at,
        "source_system": f"{kind}_system",
        "source_instance": "default",
    }
    mode = "incremental" if place else "historical"
    company.loads.append(
        {
            **load,
            "source_kind": kind,
            "mode": mode,
            "table_name": table,
            "path": "",
            "rows": len(rows),
            "is_complete": (table, place) in complete,
            "is_delivered": table not in unsent,
            "content_sha256": "",
        }
    )
    for row in rows:
        available, attributes = clocks(table, row, mode, loaded_at, POLICY.source(kind).latency_hours)
        company.landed.setdefault(table, []).append(
            {
                "is_deleted": False,
                **row,
                **load,
                "available_at": available,
                "attributes_available_at": attributes,
                "is_available_at_imputed": mode == "historical",
            }
        )


def clocks(table: str, row: Row, mode: str, loaded_at: datetime, latency_hours: int) -> tuple[datetime, datetime]:
    """When a row's facts and its attributes could first be known (LANDING.md, ARCHITECTURE.md)."""
    if mode == "incremental":
        return loaded_at, loaded_at
    contract, latency = landing_tables()[table], timedelta(hours=latency_hours)
    happened = row.get(contract.event_time) if contract.event_time else None
    if isinstance(happened, date) and not isinstance(happened, datetime):
        happened = datetime.combine(happened, datetime.min.time()) + timedelta(days=1)
    known = [moment for moment in (happened, row.get("source_created_at")) if moment is not None]
    updated = row.get("source_updated_at")
    first = min(known) if known else updated if updated is not None else loaded_at
    available = min(first + latency, loaded_at)
    if not contract.is_mutable:
        changed = available if updated is None else max(available, updated + latency)
    else:
        changed = loaded_at if updated is None else max(available, updated + latency)
    return available, min(changed, loaded_at)


def _deliver(table: str, record: str, digits: Digits, loads: list[list[Row]]) -> None:
    """A record in the first load that has it, and in later ones: the same again, changed, or gone."""
    contract = landing_tables()[table]
    place = digits.of((0, 0, 0, 1, 2, 2, 3, 4, 5, 5, 6))
    account = digits.of((*ACCOUNTS, *ACCOUNTS, UNLINKED))
    row = _WRITERS[table](digits, account, LOADED_AT[place]) | {contract.key[0]: record}
    if table == "usage_daily":
        row["source_account_id"] = account
        if any(
            other.get("usage_date") == row["usage_date"] and other["source_account_id"] == account
            for load in loads
            for other in load
        ):
            return
    if contract.is_mutable:
        row["source_updated_at"] = digits.of((None, LOADED_AT[place] - timedelta(days=30), *AS_OF))
        if row["source_updated_at"] is not None:
            row["source_updated_at"] = min(row["source_updated_at"], LOADED_AT[place])
        row["source_created_at"] = digits.of((None, LONG_AGO, LOADED_AT[place] - timedelta(days=60)))
    loads[place].append(row)
    for later in sorted({digits.of((0, 2, 3, 5)), digits.of((0, 1, 4, 6))}):
        if later <= place:
            continue
        if not contract.is_mutable:
            loads[later].append(dict(row))
            continue
        again = row | _CHANGES[table](digits, row, LOADED_AT[later])
        again["is_deleted"] = digits.of((False, False, False, False, True))
        again["source_updated_at"] = LOADED_AT[later] - digits.of((timedelta(), timedelta(days=3)))
        loads[later].append(again)


def _past(digits: Digits, loaded_at: datetime) -> datetime:
    return min(digits.of(MOMENTS), loaded_at)


def _after(digits: Digits, start: datetime, loaded_at: datetime) -> datetime:
    """Some time after `start`, or on an edge after it; not after it could be known."""
    moment = digits.of((*(start + offset for offset in OFFSETS), *MOMENTS[:24]))
    return min(max(moment, start), loaded_at)


def _money(digits: Digits) -> Decimal:
    return Decimal(digits.of((0, 100, 1200, 2500, 99_998))) / 4


def _subscription(digits: Digits, account: str, loaded_at: datetime) -> Row:
    started = _past(digits, loaded_at)
    row = {"source_account_id": account, "started_at": started, "status": "active"}
    row |= {"currency": digits.of(("USD", "USD", "EUR", "XXX")), "arr": digits.of((_money(digits), None))}
    row |= {"quantity": digits.of((None, 0, 3, 10)), "current_period_end": digits.of((None, *MOMENTS[:9], AS_OF[2]))}
    return row | _end(digits, row, loaded_at)


def _end(digits: Digits, row: Row, loaded_at: datetime) -> Row:
    how = digits.of(("goes on", "goes on", "ended", "said only by status", "notice"))
    if how == "ended":
        before_base = max(digits.of(GAPS), row["started_at"])
        ended = digits.of((before_base, _after(digits, row["started_at"], loaded_at)))
        return {"canceled_at": ended, "status": "canceled"}
    if how == "said only by status":
        return {"status": "canceled"}
    if how == "notice":
        return {"cancel_at": loaded_at + timedelta(days=20), "status": "active"}
    return {"arr": digits.of((row["arr"], _money(digits))), "cancel_at": None}


def _invoice(digits: Digits, account: str, loaded_at: datetime) -> Row:
    issued = _past(digits, loaded_at)
    total = _money(digits)
    due = digits.of((*(issued + offset for offset in OFFSETS), *AS_OF * 4, AS_OF[2] - timedelta(days=365))).date()
    row = {"source_account_id": account, "issued_at": issued, "status": "open", "total": total, "amount_due": total}
    row |= {"currency": digits.of(("USD", "USD", "EUR", "XXX")), "due_date": digits.of((due, due, issued.date(), None))}
    return row | _paid(digits, row, loaded_at)


def _paid(digits: Digits, row: Row, loaded_at: datetime) -> Row:
    how = digits.of(("open", "open", "part", "paid", "paid", "paid some time", "void", "draft", "uncollectible"))
    if how == "paid":
        return {"status": "paid", "paid_at": _after(digits, row["issued_at"], loaded_at), "amount_paid": row["total"]}
    if how == "part":
        return {"status": "open", "amount_paid": row["total"] / 2}
    return {"status": {"paid some time": "paid"}.get(how, how)}


def _payment(digits: Digits, account: str, loaded_at: datetime) -> Row:
    row = {"source_account_id": account, "occurred_at": _past(digits, loaded_at), "currency": "USD"}
    return row | {"amount": _money(digits), "status": digits.of(("failed", "failed", "succeeded", "pending"))}


def _ticket(digits: Digits, account: str, loaded_at: datetime) -> Row:
    row = {"source_account_id": account, "created_at": _past(digits, loaded_at), "status": "open"}
    row |= {"priority": digits.of(("low", "high", "urgent", "normal"))}
    return row | _handled(digits, row, loaded_at)


def _handled(digits: Digits, row: Row, loaded_at: datetime) -> Row:
    how = digits.of(("new", "replied", "solved", "solved", "closed", "said only by status"))
    changed = {"priority": digits.of((row["priority"], "low", "urgent"))}
    if how == "new":
        return changed
    if how == "said only by status":
        return changed | {"status": "solved"}
    replied = _after(digits, row["created_at"], loaded_at)
    changed["first_response_at"] = replied
    if how == "solved":
        changed |= {"solved_at": _after(digits, replied, loaded_at), "status": "solved"}
    if how == "closed":
        changed |= {"closed_at": _after(digits, replied, loaded_at), "status": "closed"}
    return changed


def _answer(digits: Digits, account: str, loaded_at: datetime) -> Row:
    row = {"source_account_id": account, "responded_at": _past(digits, loaded_at)}
    kind = digits.of(("nps", "nps", "csat", "csat", "ces"))
    low, high = digits.of(((0, 10), (1, 5), (0, 1)))
    row |= {"survey_type": kind, "scale_min": float(low), "scale_max": float(high)}
    return row | {"score": float(low + round((high - low) * digits.of(range(11)) / 10, 1))}


def _event(digits: Digits, account: str, loaded_at: datetime) -> Row:
    happened = _past(digits, loaded_at)
    row = {"group_id": account, "occurred_at": happened, "received_at": happened, "event_name": "opened"}
    row |= {"user_id": digits.of((None, "u1", "u2", "u3")), "feature_key": digits.of((None, "f1", "f2", "f3"))}
    return row | {"anonymous_id": digits.of((None, "u1", "v1"))}


def _day(digits: Digits, account: str, loaded_at: datetime) -> Row:
    # a day is over before it can be delivered
    day = min(digits.of(MOMENTS), loaded_at - timedelta(days=1)).date()
    row = {"usage_date": day, "active_users": digits.of((1, 2, 5)), "events": digits.of((0, 1, 9))}
    return row | {"features_used": digits.of((None, 1, 4))}


def _note(digits: Digits, account: str, loaded_at: datetime) -> Row:
    row = {"source_account_id": account, "occurred_at": _past(digits, loaded_at)}
    row |= {"activity_type": digits.of(("meeting", "Call", "email", "qbr", "note", "pulse"))}
    row |= {"direction": digits.of((None, "two_way", "two_way", "inbound", "internal"))}
    row |= {"author_email": digits.of((None, "csm@us.example", "csm@us.example"))}
    attendees = (None, "ann@a.example", "Ann@a.example;bob@a.example", "csm2@us.example, ann@a.example", "none")
    row |= {"attendee_emails": digits.of(attendees)}
    pulse = digits.of((None, None, 1, 3.5, 5, 9, "good"))
    return row | {"custom": None if pulse is None else json.dumps({"csm_sentiment": pulse})}


def _contact(digits: Digits, account: str, loaded_at: datetime) -> Row:
    row = {"source_account_id": account, "full_name": "Somebody"}
    row |= {"role": digits.of(("champion", "champion", "decision_maker", "economic_buyer", "user", None))}
    return row | _stays(digits, row, loaded_at)


def _stays(digits: Digits, row: Row, loaded_at: datetime) -> Row:
    left = digits.of((None, None, min(digits.of(MOMENTS), loaded_at)))
    return {"left_at": left, "is_active": digits.of((True, True, False)) if left is None else False}


def _goal(digits: Digits, account: str, loaded_at: datetime) -> Row:
    row = {"source_account_id": account, "name": "A goal", "status": "on_track"}
    row |= {"start_date": digits.of((None, *(moment.date() for moment in MOMENTS[:21])))}
    row |= {"due_date": digits.of((None, *(as_of.date() + timedelta(days=n) for as_of in AS_OF for n in (-1, 0, 1))))}
    return row | _pursued(digits, row, loaded_at)


def _pursued(digits: Digits, row: Row, loaded_at: datetime) -> Row:
    status = digits.of(("not_started", "on_track", "at_risk", "achieved", "achieved", "missed", "cancelled"))
    validated = digits.of((None, min(digits.of(MOMENTS), loaded_at)))
    achieved = digits.of((None, min(digits.of(MOMENTS), loaded_at))) if status == "achieved" else None
    return {"status": status, "last_validated_at": validated, "achieved_at": achieved}


def _project(digits: Digits, account: str, loaded_at: datetime) -> Row:
    return {"source_account_id": account, "name": "A project", "status": "active"}


def _milestone(digits: Digits, account: str, loaded_at: datetime) -> Row:
    row = {"project_id": f"pm_project-{digits.of(range(4))}", "name": "A milestone", "status": "open"}
    due = digits.of([as_of.date() + timedelta(days=n) for as_of in AS_OF for n in (-30, -1, 0, 1)])
    row |= {"due_date": due, "is_go_live": digits.of((None, False, True))}
    return row | _completed(digits, row, loaded_at)


def _completed(digits: Digits, row: Row, loaded_at: datetime) -> Row:
    return {"completed_at": digits.of((None, min(digits.of(MOMENTS), loaded_at)))}


def _risk(digits: Digits, account: str, loaded_at: datetime) -> Row:
    row = {
        "source_account_id": account,
        "title": "A risk",
        "category": "other",
        "identified_at": _past(digits, loaded_at),
    }
    row |= {"likelihood": digits.of((None, 1, 3, 5)), "impact": digits.of((None, 2, 5)), "status": "open"}
    return row | _treated(digits, row, loaded_at)


def _treated(digits: Digits, row: Row, loaded_at: datetime) -> Row:
    how = digits.of(("open", "mitigating", "closed", "said only by status"))
    if how == "closed":
        return {"status": "closed", "closed_at": _after(digits, row["identified_at"], loaded_at)}
    return {"status": "closed" if how == "said only by status" else how}


def _same(digits: Digits, row: Row, loaded_at: datetime) -> Row:
    return {}


_WRITERS = {
    "crm_contact": _contact,
    "billing_subscription": _subscription,
    "billing_invoice": _invoice,
    "billing_payment": _payment,
    "support_ticket": _ticket,
    "survey_response": _answer,
    "usage_event": _event,
    "usage_daily": _day,
    "cs_note": _note,
    "cs_goal": _goal,
    "pm_project": _project,
    "pm_milestone": _milestone,
    "risk": _risk,
}
_CHANGES = {
    "crm_contact": _stays,
    "billing_subscription": _end,
    "billing_invoice": _paid,
    "support_ticket": _handled,
    "cs_goal": _pursued,
    "pm_project": _same,
    "pm_milestone": _completed,
    "risk": _treated,
}


def _background(table: str) -> Row:
    """A record of long ago, so that every source is connected from then on."""
    row = _WRITERS[table](Digits(bytes(96)), BACKGROUND, LOADED_AT[0]) | {"source_account_id": BACKGROUND}
    contract = landing_tables()[table]
    row[contract.key[0]] = BACKGROUND if table == "usage_daily" else f"far-{table}"
    for column in contract.columns:
        if column.name == contract.event_time and row.get(column.name) is not None:
            row[column.name] = LONG_AGO.date() if column.type == "date" else LONG_AGO
    row["source_updated_at"] = LONG_AGO
    if table == "usage_event":
        row["group_id"] = BACKGROUND
    if table == "pm_milestone":
        row["project_id"] = "far-pm_project"
    return {name: value for name, value in row.items() if name in _columns(table)}


def _columns(table: str) -> set[str]:
    return {column.name for column in landing_tables()[table].columns} | {"source_updated_at", "custom"}
