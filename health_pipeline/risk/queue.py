"""The weekly exception queue: packets, green accounts that are weak inside, a random audit; its order and its line."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.case_states import ENDED
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.capacity import CapacityPolicy
from health_pipeline.policy.exception_queue import RANDOM_AUDIT, ExceptionQueuePolicy
from health_pipeline.policy.wording import WATERMELON_WORDS, counted, readable

WATERMELON = "watermelon"
# Not assessed is neither the worst nor the best: between medium and low.
SEVERITY_ORDER: tuple[str | None, ...] = ("critical", "high", "medium", None, "low")
_NOT_ASSESSED_RATING = 3


@dataclass(frozen=True)
class Entry:
    """One entry of a week's queue.

    Attributes
    ----------
    subject : risk, expansion, watermelon or random_audit: an account has at most one entry of each
    packet_id : None for a watermelon without a risk, and for an account drawn at random
    rank : place in the week's queue, from 1; None for an account drawn at random, which is outside the order
    is_above_line : None where no capacity is stated
    inclusion_share : with which an account was drawn at random, 0 to 1; None for the others
    """

    account_id: str
    subject: str
    queue: str
    reason: str
    packet_id: str | None = None
    severity: str | None = None
    watermelon_reasons: str | None = None
    owner_email: str | None = None
    rank: int | None = None
    is_above_line: bool | None = None
    would_enter_at_plus_10_percent: bool | None = None
    inclusion_share: float | None = None


def queue_of_week(
    packets: Sequence[Mapping[str, Any]],
    watermelons: Mapping[str, Sequence[str]],
    accounts: Mapping[str, str | None],
    week: date,
    policy: ExceptionQueuePolicy,
    capacity: CapacityPolicy,
) -> list[Entry]:
    """One week's queue, in its order; the accounts drawn at random come last.

    Parameters
    ----------
    packets : rows of risk_packets of the week; those a person ended have no place, and quiet ones have left it
    watermelons : accounts that are healthy by score and weak inside, with the reasons
    accounts : every live account of the week, with its owner
    week : the Monday
    policy, capacity : where categories are looked at, and how many reviews fit

    Returns
    -------
    list of Entry
        The same inputs in any order give the same queue.
    """
    open_packets = [row for row in packets if row["state"] not in ENDED and not row["is_quiet"]]
    at_risk = {row["account_id"] for row in open_packets if row["side"] == "risk"}
    values = [row["value_at_risk"] for row in open_packets if row["value_at_risk"] is not None]
    typical = median(values) if values else 0
    ranked = [(_place(row, typical, policy), _of_packet(row, watermelons, accounts, policy)) for row in open_packets]
    ranked += [
        (_place({}, typical, policy), _of_watermelon(account, reasons, accounts.get(account), policy))
        for account, reasons in watermelons.items()
        if account not in at_risk
    ]
    ordered = [entry for _, entry in sorted(ranked, key=lambda one: (one[0], one[1].account_id, one[1].subject))]
    flagged = {entry.account_id for entry in ordered}
    drawn = random_audit({name: owner for name, owner in accounts.items() if name not in flagged}, week, policy)
    return draw_review_line(ordered, drawn, policy, capacity)


def _place(row: Mapping[str, Any], typical_value: Any, policy: ExceptionQueuePolicy) -> tuple[Any, ...]:
    """What the order goes by: whether it fires, severity, likelihood, a near renewal, value, age.

    Unknown is not zero: a value that is not known counts as the week's typical one.
    """
    likelihood = row.get("likelihood") or _NOT_ASSESSED_RATING
    days, value = row.get("days_to_renewal"), row.get("value_at_risk")
    is_near = days is not None and 0 <= days <= policy.renewal_near_days
    opened = row.get("opened_week")
    silent = "last_fired_week" in row and row["last_fired_week"] < row["week"]
    return (
        silent,
        row.get("side") == "expansion",
        SEVERITY_ORDER.index(row.get("severity")),
        -likelihood,
        not is_near,
        -(typical_value if value is None else value),
        opened.toordinal() if opened else date.max.toordinal(),
    )


def _of_packet(
    row: Mapping[str, Any],
    watermelons: Mapping[str, Sequence[str]],
    owners: Mapping[str, str | None],
    policy: ExceptionQueuePolicy,
) -> Entry:
    weak = tuple(watermelons.get(row["account_id"], ())) if row["side"] == "risk" else ()
    return Entry(
        account_id=row["account_id"],
        subject=row["side"],
        queue=policy.queue_of(row["category"]),
        reason=packet_reason(row, weak, policy),
        packet_id=row["packet_id"],
        severity=row["severity"],
        watermelon_reasons=",".join(weak) or None,
        owner_email=row["owner_email"] or owners.get(row["account_id"]) or None,
    )


def packet_reason(row: Mapping[str, Any], weak: Sequence[str], policy: ExceptionQueuePolicy) -> str:
    """Why a packet has its place, in words: what the order goes by, in that order."""
    parts = [_severity_words(row)]
    if row["category"]:
        parts.append(readable(row["category"]))
    if row["runner_up_category"]:
        parts.append(f"together with {readable(row['runner_up_category'])}")
    days = row["days_to_renewal"]
    if days is not None and 0 <= days <= policy.renewal_near_days:
        parts.append(f"{counted(days, 'day')} to the end of the period")
    if row["side"] == "risk":
        parts.append(_stake(row["value_at_risk"], row["currency"]))
    if weak:
        parts.append("green by score, and weak inside: " + ", ".join(_weak_words(weak)))
    if row["last_fired_week"] < row["week"]:
        parts.append(f"nothing fired since the week of {row['last_fired_week'].isoformat()}")
    weeks = (row["week"] - row["opened_week"]).days // 7
    parts.append("new this week" if weeks == 0 else f"open for {counted(weeks + 1, 'week')}")
    text = "; ".join(parts)
    return text[0].upper() + text[1:]


def _severity_words(row: Mapping[str, Any]) -> str:
    """The severity; where it can't be suggested, why."""
    if row["severity"]:
        return f"severity {row['severity']} ({row['severity_status']})"
    if not row["signals"]:
        return "severity not assessed, as nothing fires"
    return "severity not assessed, as " + ("the value is not known" if row["likelihood"] else "nothing supports it")


def quiet_reason(row: Mapping[str, Any]) -> str:
    """Why a packet has left the queue, in words."""
    return (
        f"Left the queue: nothing that opens a risk fired since the week of {row['last_fired_week'].isoformat()}; "
        "closing it is proposed to a person"
    )


def _stake(value: Any, currency: str | None) -> str:
    return "value not known" if value is None else " ".join(filter(None, (f"{value:,.0f}", currency, "at stake")))


def _weak_words(reasons: Iterable[str]) -> list[str]:
    return [WATERMELON_WORDS.get(reason, reason.replace("_", " ")) for reason in reasons]


def _of_watermelon(account: str, reasons: Sequence[str], owner: str | None, policy: ExceptionQueuePolicy) -> Entry:
    return Entry(
        account_id=account,
        subject=WATERMELON,
        queue=policy.queue_of_watermelon(tuple(reasons)),
        reason="Green by score, and weak inside: " + ", ".join(_weak_words(reasons)),
        watermelon_reasons=",".join(reasons) or None,
        owner_email=owner or None,
    )


def keyed_hash(seed: str, week: date, account_id: str) -> str:
    """HMAC-SHA256 of week and account under the seed, in hexadecimal."""
    return hmac.new(seed.encode(), f"{week.isoformat()}\x1f{account_id}".encode(), hashlib.sha256).hexdigest()


def random_audit(unflagged: Mapping[str, str | None], week: date, policy: ExceptionQueuePolicy) -> list[Entry]:
    """Draw accounts that nothing flagged: those with the smallest keyed hashes.

    Each unflagged account has the same chance, `drawn / unflagged`, which is stored: what is missed among all of them
    is estimated from what is found among the drawn (Horvitz and Thompson, 1952).

    Parameters
    ----------
    unflagged : accounts without an entry in the queue, with their owners
    """
    wanted = min(policy.random_audit.accounts_per_week, len(unflagged))
    drawn = sorted(unflagged, key=lambda name: keyed_hash(policy.random_audit.seed, week, name))[:wanted]
    return [
        Entry(
            account_id=name,
            subject=RANDOM_AUDIT,
            queue=RANDOM_AUDIT,
            reason=f"Drawn at random: {wanted:,} of {counted(len(unflagged), 'account')} that nothing flagged",
            owner_email=unflagged[name] or None,
            inclusion_share=wanted / len(unflagged),
        )
        for name in drawn
    ]


def draw_review_line(
    ordered: Sequence[Entry], drawn: Sequence[Entry], policy: ExceptionQueuePolicy, capacity: CapacityPolicy
) -> list[Entry]:
    """Rank the entries and draw each owner's line where his or her hours for reviews end.

    The accounts drawn at random are reviewed whatever comes: their minutes are taken first, else misses would be
    counted only in weeks with little to do. Minutes are whole numbers.
    """
    hours = policy.review_capacity
    minutes = round(hours.hours_per_review * 60)
    used: dict[str | None, int] = {}
    for entry in drawn:
        owner = _owner_key(entry)
        used[owner] = used.get(owner, 0) + minutes
    placed = []
    for rank, entry in enumerate(ordered, start=1):
        owner = _owner_key(entry)
        used[owner] = used.get(owner, 0) + minutes
        available = _minutes_of(owner, policy, capacity)
        if available is None:
            placed.append(replace(entry, rank=rank))
            continue
        fits = used[owner] <= available
        enters = used[owner] * 10 <= available * 11
        placed.append(replace(entry, rank=rank, is_above_line=fits, would_enter_at_plus_10_percent=enters and not fits))
    if hours.hours_per_owner_week is None:
        return [*placed, *drawn]
    return placed + [replace(one, is_above_line=True, would_enter_at_plus_10_percent=False) for one in drawn]


def _owner_key(entry: Entry) -> str | None:
    return entry.owner_email.strip().lower() if entry.owner_email and entry.owner_email.strip() else None


def _minutes_of(owner: str | None, policy: ExceptionQueuePolicy, capacity: CapacityPolicy) -> int | None:
    hours = policy.review_capacity
    if hours.hours_per_owner_week is None:
        return None
    given = hours.unowned_hours_per_week if owner is None else hours.hours_per_owner_week
    return round(min(given, capacity.hours_of(owner)) * 60)


@dataclass(frozen=True)
class Queued:
    """What the queue adds: its own rows, and the packets with their place in it."""

    packets: pa.Table
    queue: pa.Table


def queue_packets(
    packets: pa.Table,
    watermelons: pa.Table,
    features: pa.Table,
    policy: ExceptionQueuePolicy,
    capacity: CapacityPolicy,
) -> Queued:
    """The queue of each week of the packets and features given.

    Parameters
    ----------
    packets, watermelons : rows of risk_packets and watermelon_accounts_weekly
    features : rows of account_features_weekly: who is a live account in a week, its owner and the week's clocks

    Returns
    -------
    Queued
        In the mart contract's schemas; packets in their order, with queue, queue_rank, queue_reason, is_above_line.
    """
    contract = mart_tables()
    by_week: dict[date, list[dict[str, Any]]] = {}
    rows = packets.to_pylist()
    for row in rows:
        by_week.setdefault(row["week"], []).append(row)
    queued: list[dict[str, Any]] = []
    entry_of: dict[tuple[str, date], Entry] = {}
    live = features.select(["account_id", "week", "owner_email", "as_of_at", "known_at"])
    for week in sorted(set(live["week"].to_pylist())):
        of_week = live.filter(pc.equal(live["week"], pa.scalar(week, pa.date32()))).to_pylist()
        weak = {
            row["account_id"]: tuple(part.strip() for part in (row["reasons"] or "").split(",") if part.strip())
            for row in watermelons.filter(pc.equal(watermelons["week"], pa.scalar(week, pa.date32()))).to_pylist()
        }
        accounts = {row["account_id"]: row["owner_email"] for row in of_week}
        clock = {name: of_week[0][name] for name in ("week", "as_of_at", "known_at")}
        for entry in queue_of_week(by_week.get(week, []), weak, accounts, week, policy, capacity):
            queued.append({**clock, **_queue_row(entry)})
            if entry.packet_id is not None:
                entry_of[(entry.packet_id, week)] = entry
    for row in rows:
        row.update(_packet_columns(entry_of.get((row["packet_id"], row["week"]))))
        if row["is_quiet"] and row["state"] != "closed":
            row["queue_reason"] = quiet_reason(row)
    return Queued(
        pa.Table.from_pylist(rows, schema=contract["risk_packets"].arrow_schema),
        pa.Table.from_pylist(queued, schema=contract["exception_queue_weekly"].arrow_schema),
    )


def _queue_row(entry: Entry) -> dict[str, Any]:
    return {
        **{name: value for name, value in vars(entry).items() if name not in ("rank", "reason")},
        "queue_rank": entry.rank,
        "queue_reason": entry.reason,
    }


def _packet_columns(entry: Entry | None) -> dict[str, Any]:
    if entry is None:
        return dict.fromkeys(("queue", "queue_rank", "queue_reason", "is_above_line"))
    return {
        "queue": entry.queue,
        "queue_rank": entry.rank,
        "queue_reason": entry.reason,
        "is_above_line": entry.is_above_line,
    }
