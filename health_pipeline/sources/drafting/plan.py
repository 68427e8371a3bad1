"""Puts a draft together: which files are which tables of which source, and how their rows find their accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from health_pipeline.contract.landing import Column, ColumnType, SourceKind, landing_tables
from health_pipeline.sources.drafting.expressions import Line, filled_in, line_of
from health_pipeline.sources.drafting.headers import read_header
from health_pipeline.sources.drafting.knowledge import helper_type, table_words, vendors
from health_pipeline.sources.drafting.matching import TableMatch, is_sure, rank_tables
from health_pipeline.sources.drafting.profile import FileProfile, Folder

_KIND_WORDS: dict[str, SourceKind] = {
    "crm": "crm", "sales": "crm", "billing": "billing", "finance": "billing", "support": "support",
    "helpdesk": "support", "desk": "support",
    "survey": "survey", "usage": "usage", "product": "usage", "cs": "cs", "success": "cs",
    "projects": "projects", "delivery": "projects", "risk": "risk", "calendar": "engagement", "email": "engagement",
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What the user said beside the files: the currency of amounts and the zone of times that name none."""

    currency: str | None = None
    time_zone: str | None = None
    reporting_currency: str = "USD"


@dataclass(frozen=True)
class DraftTable:
    """One landing table of the draft, from one file (or a view over it).

    Attributes
    ----------
    says : comments about the table as a whole
    is_doubtful : the file may be something else: the table stands in the draft as a comment
    """

    table: str
    relation: str
    lines: tuple[Line, ...]
    says: tuple[str, ...] = ()
    is_doubtful: bool = False
    file: FileProfile | None = None
    match: TableMatch | None = None

    def line(self, column: str) -> Line | None:
        """The line of a contract column, None where the draft has none."""
        return next((line for line in self.lines if line.column == column), None)

    @property
    def open_columns(self) -> tuple[str, ...]:
        """Required columns that no line gives: a person has to say them."""
        given = {line.column for line in self.lines if not line.is_open}
        return tuple(name for name in landing_tables()[self.table].required if name not in given)


@dataclass(frozen=True)
class Placed:
    """A file with the table it is taken for, the source it belongs to, and how that was told."""

    file: FileProfile
    ranked: tuple[TableMatch, ...]
    kind: SourceKind
    system: str
    is_doubtful: bool
    says: tuple[str, ...]

    @property
    def table(self) -> str:
        """The landing table it is taken for."""
        return self.ranked[0].table.name


def place_files(folder: Folder) -> list[Placed]:
    """Say of each file which table it is and which source it comes from; one file per source and table is sure."""
    placed = []
    for file in folder.files:
        ranked = rank_tables(file)
        best, second = ranked[0], ranked[1]
        says = [f"taken for {best.table.name} ({best.score:.2f}); next best {second.table.name} ({second.score:.2f})"]
        vendor = vendor_of(file)
        kind, told = _kind(file, best, vendor)
        says.append(told)
        placed.append(Placed(file, tuple(ranked[:2]), kind, vendor or kind, not is_sure(ranked), tuple(says)))
    return _once_each(placed)


def _once_each(placed: list[Placed]) -> list[Placed]:
    """Of several files for one table of one source the best stays; the others are left to a person."""
    best: dict[tuple[str, str, str], Placed] = {}
    for one in placed:
        key = (one.kind, one.system, one.table)
        if not one.is_doubtful and (key not in best or one.ranked[0].score > best[key].ranked[0].score):
            best[key] = one
    done = []
    for one in placed:
        winner = best.get((one.kind, one.system, one.table))
        if winner is not None and winner is not one and not one.is_doubtful:
            said = (
                f"{winner.file.paths[0]} is that table of {one.system} already: give this one a system of its own, or "
                "bring both together in a view"
            )
            done.append(replace(one, is_doubtful=True, says=(*one.says, said)))
        else:
            done.append(one)
    return done


def vendor_of(file: FileProfile) -> str | None:
    """The vendor a file's name or at least two of its headers tell, None where nothing does."""
    words = read_header(" ".join(file.paths[0].replace("/", " ").split("."))).words
    for name, vendor in vendors().items():
        if any(word in words for word in vendor.names):
            return name
    headers = {column.header.compact for column in file.columns}
    counted = {
        name: sum(1 for header in vendor.headers if header.replace(" ", "") in headers)
        for name, vendor in vendors().items()
    }
    best = max(counted, key=lambda name: counted[name])
    return best if counted[best] >= 2 else None


def _kind(file: FileProfile, match: TableMatch, vendor: str | None) -> tuple[SourceKind, str]:
    kinds = match.table.kinds
    if len(kinds) == 1:
        return kinds[0], f"source {vendor}, told by its name or headers" if vendor else "no vendor could be told"
    if vendor is not None and vendors()[vendor].kind in kinds:
        return vendors()[vendor].kind, f"{vendor}, told by its name or headers, is a {vendors()[vendor].kind} system"
    for word in read_header(" ".join(file.paths[0].replace("/", " ").split("."))).words:
        if word in _KIND_WORDS and _KIND_WORDS[word] in kinds:
            return _KIND_WORDS[word], f"its name says {word!r}"
    return kinds[0], f"nothing tells which system it comes from; {kinds[0]} is assumed"


def table_lines(placed: Placed, options: Options) -> list[Line]:
    """The lines of a file's table: matched columns, what follows from them, what usually holds, what is open."""
    match = placed.ranked[0]
    table, words = match.table, table_words()[match.table.name]
    contract = {column.name: column for column in table.columns}
    lines: dict[str, Line] = {}
    for name, found in match.columns.items():
        wanted = contract.get(name) or Column(name, _source_type(name) or helper_type(name))
        lines[name] = line_of(found, wanted, words, options.time_zone)
    for name in contract:
        if name in lines and not lines[name].is_open:
            continue
        stated = _stated(name, placed, lines, options)
        if stated is not None:
            lines[name] = stated
    return [
        lines[name] for name in (*contract, "source_created_at", "source_updated_at", "is_deleted") if name in lines
    ]


def _source_type(name: str) -> ColumnType | None:
    types: dict[str, ColumnType] = {
        "source_created_at": "timestamp",
        "source_updated_at": "timestamp",
        "is_deleted": "boolean",
    }
    return types.get(name)


def _stated(name: str, placed: Placed, lines: dict[str, Line], options: Options) -> Line | None:
    words = table_words()[placed.table]
    for stated in words.derived.get(name, []):
        expression = filled_in(stated.expression, {key: line for key, line in lines.items() if key != name})
        if expression is not None:
            return Line(name, expression, (stated.why,), typed=expression)
    if name in words.unsure and name not in lines:
        expression = filled_in(words.unsure[name].expression, lines)
        if expression is not None:
            return Line(name, expression, decide=words.unsure[name].why)
    if name in words.stand_ins:
        stated = words.stand_ins[name]
        expression = filled_in(stated.expression, lines) or (
            stated.expression if "{" not in stated.expression else None
        )
        if expression is None and name == "status":
            expression = "'active'"
        if expression is not None:
            return Line(name, expression, (stated.why,), typed=expression)
    if name == "currency":
        return _currency(placed, lines, options)
    if name in ("scale_min", "scale_max", "survey_type"):
        return _scale(name, placed)
    return None


def _currency(placed: Placed, lines: dict[str, Line], options: Options) -> Line | None:
    for line in placed.ranked[0].columns.values():
        code = line.column.header.currency or (line.column.number.currency if line.column.number else None)
        if code:
            return Line("currency", f"'{code}'", (f"column {line.column.name!r} says {code}",))
    if options.currency:
        said = "no column says it; it is that of --currency, or of the only currency in this system's other files"
        return Line("currency", f"'{options.currency}'", (said,))
    required = landing_tables()[placed.table].column("currency").is_required
    if not required and "amount" not in lines:
        return None
    return Line(
        "currency",
        f"'{options.reporting_currency}'",
        decide="no column says it; take the # away if every amount is in this currency, or write another ISO 4217 code",
    )


def currencies(placed: Sequence[Placed]) -> set[str]:
    """The currencies that files of one source name: in a column, a header in brackets, or a sign."""
    found = set()
    for one in placed:
        for name, match in one.ranked[0].columns.items():
            code = match.column.header.currency or (match.column.number.currency if match.column.number else None)
            if code:
                found.add(code)
            if name == "currency":
                found |= {word.upper() for word in match.column.words}
    return found


def _scale(name: str, placed: Placed) -> Line | None:
    """The scale of a survey, told by its answers: nothing else in an export says it."""
    match = placed.ranked[0].columns.get("score")
    if match is None or match.column.number is None or not match.column.words:
        return None
    try:
        values = [float(word) for word in match.column.words]
    except ValueError:
        return None
    low, high = min(values), max(values)
    if low >= 0 and 5 < high <= 10:
        found: dict[str, str] = {"scale_min": "0", "scale_max": "10", "survey_type": "'nps'"}
    elif low >= 1 and high <= 5:
        found = {"scale_min": "1", "scale_max": "5", "survey_type": "'csat'"}
    else:
        return None
    return Line(name, found[name], (f"the answers go from {low:g} to {high:g}",))


def account_kind(placed: list[Placed]) -> list[Placed]:
    """Give a kind to account files that nothing told it of: the CRM's, or billing's where there is another one."""
    accounts = [one for one in placed if one.table == "source_account" and not one.is_doubtful]
    assumed = [one for one in accounts if one.says[-1].startswith("nothing tells")]
    if len(accounts) < 2 or not assumed:
        return placed
    others = {one.kind for one in placed if one.table != "source_account" and not one.is_doubtful}
    done = []
    for one in placed:
        if one not in assumed:
            done.append(one)
            continue
        name = read_header(one.file.paths[0].split("/")[-1].split(".")[0]).words
        is_customer = any(word in name for word in ("customer", "customers", "client", "clients"))
        if is_customer and "billing" in others and any(it is not one and it.kind == "crm" for it in accounts):
            told = one.says[-1].split(";")[0]
            said = f"{told}; there are other accounts, and invoices or subscriptions: billing is assumed"
            done.append(replace(one, kind="billing", system="billing", says=(*one.says[:-1], said)))
        else:
            done.append(one)
    return done
