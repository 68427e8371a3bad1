"""The queue: which cases wait for whom, in which order, and why each has its place. One query for a page of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, true

from health_pipeline.contract.case_states import AUDITS, DRAWN, ENDED, UNENDED, UNTOUCHED
from health_pipeline.review.cases import SEVERITY_RANK, Case, queue_reason
from health_pipeline.review.permissions import Person, scope_of
from health_pipeline.review.projection import find_cases
from health_pipeline.review.schema import CASE

When = Literal["waiting", "quiet", "open", "ended"]
PAGE = 50
RENEWAL_DAYS = (30, 60, 90, 180)
SOON_DAYS = 90
# An account drawn longer ago is not among what waits any more: it stays among all that are open.
DRAWN_DAYS = 28
GROUPS = ("overdue", "due_this_week", "waiting", "quiet", DRAWN)
SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class QueueFilter:
    """What the address says: which cases to show.

    Attributes
    ----------
    when : waiting for somebody now or this week; quiet ones, proposed for closing; all that are open; those that ended
    owner : an address, `nobody`, or empty for all that the person may see
    account : part of an account's name
    page : counts from 1
    """

    when: When = "waiting"
    owner: str = ""
    severity: str = ""
    category: str = ""
    state: str = ""
    renewal: int = 0
    account: str = ""
    page: int = 1

    def query(self, **changes: Any) -> str:
        """The filter as the query of an address, with changes; what is not set is left out."""
        plain = asdict(QueueFilter())
        values = asdict(replace(self, **changes))
        return urlencode({name: value for name, value in values.items() if value != plain[name]})

    @property
    def is_plain(self) -> bool:
        """Whether nothing is filtered out."""
        return replace(self, page=1) == QueueFilter()


def read_filter(query: Mapping[str, str]) -> QueueFilter:
    """Read the filter of an address; a value that does not exist counts as not given."""

    def chosen(name: str, choices: Iterable[str], plain: str = "") -> str:
        return query[name] if query.get(name, "") in set(choices) else plain

    def number(name: str, plain: int, largest: int) -> int:
        given = query.get(name, "")
        return min(int(given), largest) if given.isdecimal() and len(given) < 7 and int(given) > 0 else plain

    return QueueFilter(
        when=chosen("when", get_args(When), "waiting"),  # type: ignore[arg-type]
        owner=query.get("owner", "").strip().lower()[:320],
        severity=chosen("severity", SEVERITIES),
        category=query.get("category", "").strip()[:40],
        state=chosen("state", UNENDED),
        renewal=number("renewal", 0, 730),
        account=query.get("account", "").strip()[:100],
        page=number("page", 1, 100_000),
    )


@dataclass(frozen=True)
class QueueRow:
    """One case in the queue, with the group it stands in and why."""

    case: Case
    group: str
    reason: str
    renewal_on: date | None


@dataclass(frozen=True)
class QueuePage:
    """A page of the queue.

    Attributes
    ----------
    counts : cases of each group over all pages
    severities : cases of each severity over all pages
    """

    rows: tuple[QueueRow, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    severities: Mapping[str | None, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Cases over all pages."""
        return sum(self.counts.values())


def visible_to(person: Person, people: Iterable[Person]) -> ColumnElement[bool]:
    """The condition on a case's owner under which the person may see it; the same rule as `permissions.covers`."""
    scope = scope_of(person, "view")
    if scope == "all" or (scope == "team" and person.team is None):
        return true()
    if scope is None:
        return ~true()
    mine = {person.email}
    if scope == "team":
        mine |= {one.email for one in people if one.team == person.team}
    return or_(CASE.c.owner_email.in_(sorted(mine)), CASE.c.owner_email.is_(None))


def read_queue(
    connection: Connection,
    wanted: QueueFilter,
    person: Person,
    people: Sequence[Person],
    names: Mapping[str, str],
    now: datetime,
    size: int | None = PAGE,
) -> QueuePage:
    """Read a page of the queue, in its order: overdue, due this week, then severity, value and renewal date.

    Parameters
    ----------
    names : of the accounts, for the part of a name in the filter
    size : rows of a page; None for all of them, from the first
    """
    group = _group(now)
    where = and_(visible_to(person, people), *_conditions(wanted, names, now))
    by_group = (
        select(group.label("place"), CASE.c.severity, func.count().label("cases"))
        .where(where)
        .group_by(group, CASE.c.severity)
    )
    counts: Counter[str] = Counter()
    severities: Counter[str | None] = Counter()
    for found in connection.execute(by_group).mappings():
        counts[GROUPS[found["place"]]] += found["cases"]
        if GROUPS[found["place"]] != DRAWN:
            severities[found["severity"]] += found["cases"]
    query = select(CASE.c.case_id, CASE.c.renewal_on, group.label("place")).where(where).order_by(*_order(group))
    if size is not None:
        query = query.offset((wanted.page - 1) * size).limit(size)
    # Whole cases are read for this page alone: the order is found in the index that holds its columns.
    page = connection.execute(query).all()
    documents = find_cases(connection, [found.case_id for found in page])
    rows = [_row(documents[found.case_id], found.renewal_on, GROUPS[found.place], now) for found in page]
    return QueuePage(tuple(rows), counts, severities)


def count_queue(
    connection: Connection,
    wanted: QueueFilter,
    person: Person,
    people: Sequence[Person],
    names: Mapping[str, str],
    now: datetime,
) -> int:
    """How many cases a filter has for that person."""
    where = and_(visible_to(person, people), *_conditions(wanted, names, now))
    return int(connection.execute(select(func.count()).select_from(CASE).where(where)).scalar_one())


def neighbours(
    connection: Connection,
    case_id: str,
    wanted: QueueFilter,
    person: Person,
    people: Sequence[Person],
    names: Mapping[str, str],
    now: datetime,
) -> tuple[str | None, str | None]:
    """The cases before and after one in the queue; None at its ends, or where it is not in it."""
    where = and_(visible_to(person, people), *_conditions(wanted, names, now))
    order = _order(_group(now))
    inner = (
        select(
            CASE.c.case_id,
            func.lag(CASE.c.case_id).over(order_by=order).label("before"),
            func.lead(CASE.c.case_id).over(order_by=order).label("after"),
        )
        .where(where)
        .subquery()
    )
    found = connection.execute(select(inner.c.before, inner.c.after).where(inner.c.case_id == case_id)).first()
    return (found.before, found.after) if found else (None, None)


def end_of_week(today: date) -> date:
    """The Sunday of the week that holds the day."""
    return today + timedelta(days=6 - today.weekday())


# As `Case.is_set_aside` has it.
_SET_ASIDE = and_(CASE.c.is_quiet, CASE.c.state == UNTOUCHED)


def _group(now: datetime) -> ColumnElement[int]:
    today = now.astimezone(UTC).date()
    due = (CASE.c.follow_up_on < today, 0), (CASE.c.follow_up_on <= end_of_week(today), 1)
    return case(*due, (_SET_ASIDE, 3), (CASE.c.state.in_(AUDITS), 4), else_=2)


def _order(group: ColumnElement[int]) -> tuple[ColumnElement[Any], ...]:
    return (
        group,
        CASE.c.severity_rank.desc(),
        CASE.c.value_at_risk.desc().nulls_last(),
        CASE.c.renewal_on.asc().nulls_last(),
        CASE.c.case_id,
    )


def _conditions(wanted: QueueFilter, names: Mapping[str, str], now: datetime) -> list[ColumnElement[bool]]:
    today = now.astimezone(UTC).date()
    found: list[ColumnElement[bool]] = []
    # As one expression: SQLite would take an `or` apart over two indices, and read every document on the way.
    is_due = CASE.c.follow_up_on <= end_of_week(today)
    if wanted.when == "waiting":
        is_old_draw = and_(CASE.c.state == DRAWN, CASE.c.waits_from < today - timedelta(days=DRAWN_DAYS))
        found.append(
            case((is_due, 1), (_SET_ASIDE, 0), (is_old_draw, 0), (CASE.c.waits_from <= today, 1), else_=0) == 1
        )
    if wanted.when == "quiet":
        found.append(case((is_due, 0), (_SET_ASIDE, 1), else_=0) == 1)
    if wanted.when == "ended":
        found.append(CASE.c.state.in_(sorted(ENDED)))
    else:
        found.append(CASE.c.state.not_in(sorted(ENDED)))
    if wanted.owner:
        found.append(CASE.c.owner_email.is_(None) if wanted.owner == "nobody" else CASE.c.owner_email == wanted.owner)
    for column, value in (
        (CASE.c.severity, wanted.severity),
        (CASE.c.category, wanted.category),
        (CASE.c.state, wanted.state),
    ):
        if value:
            found.append(column == value)
    if wanted.renewal:
        found.append(CASE.c.renewal_on.between(today, today + timedelta(days=wanted.renewal)))
    if wanted.account:
        part = wanted.account.casefold()
        ids = [account for account, name in names.items() if part in name.casefold()] + [wanted.account]
        found.append(CASE.c.account_id.in_(ids))
    return found


def _row(one: Case, renewal_on: date | None, group: str, now: datetime) -> QueueRow:
    return QueueRow(one, group, place_reason(one, group, now, renewal_on), renewal_on)


def place_reason(one: Case, group: str, now: datetime, renewal_on: date | None = None) -> str:
    """Why a case stands where it stands, in words."""
    today = now.astimezone(UTC).date()
    if group == "overdue" and one.follow_up_on is not None:
        days = (today - one.follow_up_on).days
        return f"follow-up {days} day{'' if days == 1 else 's'} overdue"
    if group == "due_this_week" and one.follow_up_on is not None:
        return "follow-up is due today" if one.follow_up_on == today else f"follow-up due {one.follow_up_on:%A}"
    said = queue_reason(one, now)
    if said is None:
        how = one.audit.finding if one.audit else one.outcome
        return "nothing is awaited now" if not one.has_ended else f"ended: {how or one.state}".replace("_", " ")
    if one.audit is not None:
        return said
    rank = SEVERITY_RANK[one.severity]
    parts = [said, "severity not assessed" if rank == 0 else f"{one.severity} severity"]
    if renewal_on is not None and not one.has_ended:
        days = (renewal_on - today).days
        if days < 0:
            parts.append("the renewal date has passed")
        elif days <= SOON_DAYS:
            parts.append(f"renews in {days} day{'' if days == 1 else 's'}")
    return "; ".join(parts)
