"""Joins the tables of a draft: rows to the accounts of their source, and sources to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import duckdb

from health_pipeline.contract.landing import SOURCE_KINDS, SourceKind
from health_pipeline.sources.casts import quote
from health_pipeline.sources.drafting.expressions import Line
from health_pipeline.sources.drafting.matching import candidates
from health_pipeline.sources.drafting.plan import DraftTable, Options, Placed, currencies, table_lines
from health_pipeline.sources.drafting.references import (
    MOST_BY_CHANCE,
    OVERLAP,
    AccountFile,
    Reference,
    find_reference,
    overlap,
)

# A number of fewer digits names a customer in many systems: that two files share such numbers is no evidence.
_SHORT_NUMBER = 6
_ACCOUNT_COLUMN = {"usage_event": "group_id"}
# Records that hardly change but by these times of their own.
_KNOWN_BY_ITS_TIMES = ("billing_invoice", "support_ticket", "crm_opportunity", "pm_milestone", "risk", "cs_goal")
_ENDS = ("paid_at", "first_response_at", "solved_at", "closed_at", "completed_at", "achieved_at")
_EMAIL_COLUMNS = ("requester_email", "contact_email")


@dataclass
class DraftSource:
    """One source of the draft: a kind, a system, its tables, and what is said about it."""

    kind: SourceKind
    system: str
    tables: list[DraftTable] = field(default_factory=list)
    says: list[str] = field(default_factory=list)


@dataclass
class Draft:
    """All that the text of a mapping is written from."""

    sources: list[DraftSource]
    views: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class _Named:
    """A file that names accounts, and how: what accounts of a source are made from where no file lists them."""

    placed: Placed
    reference: Reference
    email: str | None
    moment: str | None


def assemble(con: duckdb.DuckDBPyConnection, placed: Sequence[Placed], options: Options) -> Draft:
    """Make a draft of placed files."""
    draft = Draft([], {})
    accounts = _account_files(placed)
    for kind in SOURCE_KINDS:
        systems = dict.fromkeys(one.system for one in placed if one.kind == kind)
        for system in systems:
            mine = [one for one in placed if (one.kind, one.system) == (kind, system)]
            draft.sources.append(_source(con, draft, kind, system, mine, accounts, options))
    return draft


def _account_files(placed: Sequence[Placed]) -> dict[tuple[str, str], AccountFile]:
    found: dict[tuple[str, str], AccountFile] = {}
    for one in placed:
        if one.table == "source_account" and not one.is_doubtful:
            columns = one.ranked[0].columns
            if "source_account_id" in columns:
                name = columns["name"].column.name if "name" in columns else None
                found[one.kind, one.system] = AccountFile(one.file.name, columns["source_account_id"].column.name, name)
    return found


def _source(
    con: duckdb.DuckDBPyConnection,
    draft: Draft,
    kind: SourceKind,
    system: str,
    mine: list[Placed],
    accounts: dict[tuple[str, str], AccountFile],
    options: Options,
) -> DraftSource:
    source = DraftSource(kind, system)
    own = accounts.get((kind, system))
    targets = [own] if own else []
    targets += [account for key, account in sorted(accounts.items(), key=_crm_first) if key != (kind, system)]
    named: list[_Named] = []
    known = currencies(mine)
    options = replace(options, currency=options.currency or (known.pop() if len(known) == 1 else None))
    for one in mine:
        lines = table_lines(one, options)
        says = list(one.says)
        relation = one.file.name
        if one.table == "source_account":
            lines += _account_lines(con, one, lines, own, accounts)
        elif _account_column(one) in _own_columns(one):
            relation, lines, reference = _referring(con, draft, one, lines, targets, own)
            if reference is not None and (own is None or reference.target is not own) and not one.is_doubtful:
                named.append(_Named(one, reference, _email(lines), _moment(one, lines)))
        lines += _history_lines(one, lines)
        source.tables.append(
            DraftTable(one.table, relation, tuple(lines), tuple(says), one.is_doubtful, one.file, one.ranked[0])
        )
    if own is None and named:
        source.tables.insert(0, _accounts_of_facts(draft, kind, system, named))
    return source


def _crm_first(entry: tuple[tuple[str, str], AccountFile]) -> tuple[int, str]:
    return (SOURCE_KINDS.index(entry[0][0]), entry[0][1])


def _account_column(one: Placed) -> str:
    return _ACCOUNT_COLUMN.get(one.table, "source_account_id")


def _own_columns(one: Placed) -> tuple[str, ...]:
    return one.ranked[0].table.column_names


def _referring(
    con: duckdb.DuckDBPyConnection,
    draft: Draft,
    one: Placed,
    lines: list[Line],
    targets: list[AccountFile],
    own: AccountFile | None,
) -> tuple[str, list[Line], Reference | None]:
    """The line that says which account a row belongs to, told by values where an account file has them."""
    column = _account_column(one)
    reference = find_reference(con, one.file.name, candidates(one.file, one.ranked[0].table, column), targets)
    lines = [line for line in lines if line.column != column]
    addresses = [line.column for line in lines if line.column in _EMAIL_COLUMNS and not line.is_open]
    if reference is None and addresses:
        said = "no column names the account; the domain of the person's address stands for it"
        reference = Reference(one.ranked[0].columns[addresses[0]].column, None, "domain", 0.0)
        return one.file.name, [Line(column, reference.expression, (said,)), *lines], reference
    if reference is None:
        lines.insert(
            0, Line(column, "null", decide="no column names the account; without one these rows count for nobody")
        )
        return one.file.name, lines, None
    relation, expression = one.file.name, reference.expression
    why = f"from {reference.column.name!r}"
    if reference.separator:
        why += f", the first of a list by {reference.separator!r}"
    if reference.target is None:
        why += "; its values are in no file of accounts here"
        if own is not None:
            said = f"{why}, so these rows would hang on accounts that {own.name} does not have"
            return relation, [Line(column, expression, decide=said), *lines], reference
    else:
        where = f"{reference.share:.0%} of its values are in {reference.target.name}"
        why += f"; {where}" + (" as names" if reference.by == "name" else "")
    if reference.target is not None and reference.target is own and reference.by == "name":
        relation = f"{one.file.name}_with_account"
        draft.views[relation] = (_named_account_view(one.file.name, reference, reference.target), "names become ids")
        expression = '"_account_id"'
        why += "; a name that two accounts have stays empty"
    return relation, [Line(column, expression, (why,)), *lines], reference


def _named_account_view(file: str, reference: Reference, target: AccountFile) -> str:
    return (
        f"select f.*, a._account_id from {quote(file)} f left join ({_unique_names(target)}) a "
        f"on a._account_name = {reference.expression}"
    )


def _unique_names(target: AccountFile) -> str:
    name, key = quote(target.name_column or target.id_column), quote(target.id_column)
    return (
        f"select trim({name}) as _account_name, min({key}) as _account_id from {quote(target.name)} "
        f"group by trim({name}) having count(*) = 1"
    )


def _domain_of(address: str) -> str:
    return f"lower(split_part({address}, '@', 2))"


def _email(lines: list[Line]) -> str | None:
    found = [line for line in lines if line.column in _EMAIL_COLUMNS and not line.is_open]
    return found[0].expression if found else None


def _moment(one: Placed, lines: list[Line]) -> str | None:
    wanted = (one.ranked[0].table.event_time, "source_created_at", "start_date")
    found = [line for line in lines if line.column in wanted and not line.is_open]
    return found[0].typed or None if found else None


def _accounts_of_facts(draft: Draft, kind: SourceKind, system: str, named: list[_Named]) -> DraftTable:
    """Accounts of a source that has no file of accounts: the ids that its rows name, each once."""
    view = f"{system}_accounts" if system == kind else f"{system}_{kind}_accounts"
    view = "".join(mark if mark.isalnum() else "_" for mark in view)
    parts = [
        f"select trim({one.reference.expression}::varchar) as account_id, "
        f"{_domain_of(one.email) if one.email else 'cast(null as varchar)'} as email_domain, "
        f"{f'{one.moment}::timestamptz' if one.moment else 'cast(null as timestamptz)'} as seen_at "
        f"from {quote(one.placed.file.name)}"
        for one in named
    ]
    by_name = [one.reference for one in named if one.reference.target and one.reference.by == "name"]
    lookup, extra = "", ""
    if by_name and by_name[0].target:
        lookup = f" left join ({_unique_names(by_name[0].target)}) a on a._account_name = account_id"
        extra = ", any_value(a._account_id) as id_by_name"
    draft.views[view] = (
        f"select account_id, mode(nullif(email_domain, '')) as email_domain, min(seen_at) as first_seen_at{extra} "
        f"from ({' union all '.join(parts)}){lookup} where nullif(account_id, '') is not null group by account_id",
        f"{system} has no file of accounts: those that its rows name, each once",
    )
    lines = [
        Line("source_account_id", "account_id"),
        Line("name", "account_id", ("no file says a name; the id stands for it",)),
        Line("source_created_at", "first_seen_at", ("the first row that names it",)),
        Line("source_updated_at", "first_seen_at", ("nothing here changes later",)),
    ]
    if any(one.email for one in named):
        lines.insert(
            2,
            Line(
                "domain",
                "email_domain",
                ("the most frequent domain of its people's addresses; links it to other systems",),
            ),
        )
    by_id = [one.reference for one in named if one.reference.target and one.reference.by == "id"]
    if by_id and by_id[0].target:
        said = f"{by_id[0].share:.0%} of these ids are ids in {by_id[0].target.name}: this links the two systems"
        lines.insert(2, Line("external_account_id", "account_id", (said,)))
    elif by_name and by_name[0].target:
        said = f"{by_name[0].share:.0%} are names of accounts in {by_name[0].target.name}; "
        said += "take the # away if a name means the same customer in both"
        lines.insert(2, Line("external_account_id", "id_by_name", decide=said))
    return DraftTable("source_account", view, tuple(lines))


def _account_lines(
    con: duckdb.DuckDBPyConnection,
    one: Placed,
    lines: list[Line],
    own: AccountFile | None,
    accounts: dict[tuple[str, str], AccountFile],
) -> list[Line]:
    """What an account file is still to be given: a domain, the other system's id, a time from which it counts."""
    given = {line.column: line for line in lines}
    added: list[Line] = []
    helper = one.ranked[0].columns.get("email")
    if "domain" not in given and "website" not in given and helper is not None and helper.score >= 0.6:
        added.append(Line("domain", f"lower(split_part({quote(helper.column.name)}, '@', 2))",
                          ("from the address; free-mail domains are no evidence and are left out later",)))  # fmt: skip
    if "external_account_id" not in given:
        added += _other_systems_id(con, one, own, accounts)
    if "source_created_at" not in given and "customer_since" in given and not given["customer_since"].is_open:
        since = given["customer_since"]
        added.append(
            Line("source_created_at", since.expression, ("no creation time in the file; when it became a customer",))
        )
    return added


def _other_systems_id(
    con: duckdb.DuckDBPyConnection, one: Placed, own: AccountFile | None, accounts: dict[tuple[str, str], AccountFile]
) -> list[Line]:
    others = [account for _, account in sorted(accounts.items(), key=_crm_first) if account is not own]
    for target in others:
        for column in one.file.columns:
            share, values = overlap(con, one.file.name, quote(column.name), target.name, target.id_column)
            if share < OVERLAP or values <= MOST_BY_CHANCE:
                continue
            is_own_id = own is not None and column.name == own.id_column
            if is_own_id and _crm_first_of(one, accounts, target):
                # one of the two naming the other is enough
                continue
            said = f"{share:.0%} of {column.name!r} are ids in {target.name}"
            if (
                is_own_id
                and max((len(word) for word in column.words), default=_SHORT_NUMBER) < _SHORT_NUMBER
                and column.number
            ):
                return [
                    Line(
                        "external_account_id",
                        quote(column.name),
                        decide=f"{said}, but short numbers meet by chance: do they mean the same customers?",
                    )
                ]
            return [Line("external_account_id", quote(column.name), (f"{said}: this links the two systems",))]
    return []


def _crm_first_of(one: Placed, accounts: dict[tuple[str, str], AccountFile], target: AccountFile) -> bool:
    kinds = {account: kind for (kind, _), account in accounts.items()}
    return SOURCE_KINDS.index(one.kind) < SOURCE_KINDS.index(kinds[target])


def _history_lines(one: Placed, lines: list[Line]) -> list[Line]:
    """Since when a record counts, and what it says now: what a file without these times leaves open."""
    table = one.ranked[0].table
    given = {line.column: line for line in lines if not line.is_open}
    if not table.is_mutable:
        return []
    added = []
    born = given.get(table.event_time or "") or given.get("source_created_at")
    if born is None and table.event_time is None:
        asked = (
            "no column says when a record was made, so in a historical load it counts from the day of the load; "
            "take the # away if all were there before the first week you review"
        )
        added.append(Line("source_created_at", "timestamp '2020-01-01'", decide=asked))
    if "source_updated_at" in given:
        return added
    ends = [given[name] for name in _ENDS if name in given]
    if ends and table.name in _KNOWN_BY_ITS_TIMES and born is not None:
        times = ", ".join(line.typed for line in (born, *ends))
        said = "no column says when a record last changed: the last of its own times stands for it"
        return [*added, Line("source_updated_at", f"greatest({times})", (said,))]
    asked = (
        "no column says when a record last changed, so what can change (owner, status, price) counts from the day of "
        "the load; take the # away if it has been the same since then"
    )
    told = born.expression if born is not None else "timestamp '2020-01-01'"
    return [*added, Line("source_updated_at", told, decide=asked)]
