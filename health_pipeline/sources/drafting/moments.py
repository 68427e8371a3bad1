"""Times, days and numbers as exports write them: which form all values of a column have, and the SQL that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb

from health_pipeline.sources.casts import quote, text_literal

_DAYS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y",
         "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%d/%b/%y", "%d/%b/%Y", "%Y/%m/%d",
         "%Y%m%d")  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %I:%M %p", ", %H:%M", " at %I:%M %p")
_ZONED = ("%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S.%f %z", "%a %b %d %H:%M:%S %Z %Y")
_ENOUGH = 0.98
# 2001 and 2065 as seconds since 1970: a number outside is no time
_EPOCH = (1_000_000_000, 3_000_000_000)


@dataclass(frozen=True)
class MomentForm:
    """How a column writes times.

    Attributes
    ----------
    kind : `iso` (read as it is), `format` (needs strptime), `seconds` or `milliseconds` since 1970
    formats : of `format`: all that fit every value; more than one where day and month can't be told apart
    has_zone : the values carry their zone or offset
    is_day : the values are days, without a time
    first, last : the earliest and the latest value, as read by the first format
    """

    kind: str
    formats: tuple[str, ...] = ()
    has_zone: bool = False
    is_day: bool = False
    first: str = ""
    last: str = ""

    @property
    def is_ambiguous(self) -> bool:
        """Two readings give different days, and the values fit both."""
        return len(self.formats) > 1

    def expression(self, column: str, chosen: str | None = None) -> str:
        """SQL that reads the column, which is text where a format is needed; empty texts become null."""
        given = (
            f"nullif(trim({quote(column)}), '')" if self.kind == "format" else f"nullif({quote(column)}::varchar, '')"
        )
        if self.kind == "seconds":
            return f"to_timestamp(cast({given} as double))"
        if self.kind == "milliseconds":
            return f"to_timestamp(cast({given} as double) / 1000)"
        if self.kind == "format":
            return f"strptime({given}, {text_literal(chosen or self.formats[0])})"
        return quote(column)


def moment_form(con: duckdb.DuckDBPyConnection, relation: str, column: str, kind: str) -> MomentForm | None:
    """The form nearly all values of a column have, None where they are no times.

    Parameters
    ----------
    relation : a quoted table
    kind : the column's DuckDB type
    """
    name = quote(column)
    if kind.startswith(("TIMESTAMP", "DATE")):
        first, last = _range(con, relation, f"cast({name} as varchar)")
        return MomentForm("iso", has_zone="TIME ZONE" in kind, is_day=kind == "DATE", first=first, last=last)
    given = f"nullif(trim(cast({name} as varchar)), '')"
    filled = _one(con, f"select count({given}) from {relation}")
    if not filled or kind not in ("VARCHAR", "BIGINT", "DOUBLE", "INTEGER", "HUGEINT"):
        return None
    epoch = f"try_cast({given} as double)"
    for unit, factor in (("seconds", 1), ("milliseconds", 1000)):
        if _share(con, relation, f"{epoch} between {_EPOCH[0] * factor} and {_EPOCH[1] * factor}", filled) >= _ENOUGH:
            form = MomentForm(unit, has_zone=True)
            first, last = _range(con, relation, f"cast({form.expression(column)} as varchar)")
            return MomentForm(unit, has_zone=True, first=first, last=last)
    if kind != "VARCHAR":
        return None
    if _share(con, relation, f"try_cast({given} as timestamptz) is not null", filled) >= _ENOUGH:
        ending = r"(?i)(z|utc|gmt|[+-]\d\d(:?\d\d)?|[a-z]+/[a-z_]+)$"
        zoned = f"regexp_matches({given}, {text_literal(ending)}) and length({given}) > 10"
        clock = rf"regexp_matches({given}, '\d\d?:\d\d')"
        first, last = _range(con, relation, f"cast(try_cast({given} as timestamptz) as varchar)")
        has_zone = _share(con, relation, zoned, filled) >= _ENOUGH
        is_day = _share(con, relation, clock, filled) == 0
        return MomentForm("iso", has_zone=has_zone, is_day=is_day, first=first, last=last)
    return _by_format(con, relation, given, filled)


def _by_format(con: duckdb.DuckDBPyConnection, relation: str, given: str, filled: int) -> MomentForm | None:
    sample = [
        value
        for (value,) in con.execute(
            f"select distinct {given} as v from {relation} where {given} is not null order by hash(v), v limit 20"
        ).fetchall()
    ]
    candidates = [*_ZONED, *(day + clock for day in _DAYS for clock in _CLOCKS)]
    # a cheap look at a few values first; DuckDB, which will read them, has the last word on all
    likely = [form for form in candidates if sum(not _can_be(value, form) for value in sample) <= len(sample) // 20]
    fits = [form for form in likely if _share(con, relation, _read_by(given, form), filled) >= _ENOUGH]
    if not fits:
        return None
    first, last = _range(con, relation, f"cast(try_strptime({given}, {text_literal(fits[0])}) as varchar)")
    distinct = [fits[0]]
    for form in fits[1:]:
        differs = _one(
            con,
            f"select count(*) from {relation} where try_strptime({given}, {text_literal(form)}) "
            f"is distinct from try_strptime({given}, {text_literal(fits[0])})",
        )
        if differs:
            distinct.append(form)
    is_day = not any(mark in fits[0] for mark in ("%H", "%I"))
    return MomentForm("format", tuple(distinct), "%z" in fits[0] or "%Z" in fits[0], is_day, first, last)


def _can_be(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)  # noqa: DTZ007 - only its form is asked
    except ValueError:
        return False
    return True


def _read_by(value: str, form: str) -> str:
    # %Y reads the two digits of 26 as the year 26
    return f"year(try_strptime({value}, {text_literal(form)})) between 1970 and 2100"


@dataclass(frozen=True)
class NumberForm:
    """How a column writes numbers: in words, with which currency sign, and whether anything but the number is there."""

    kind: str
    currency: str | None = None
    has_sign: bool = False

    def expression(self, column: str) -> str:
        """SQL that reads the column as a number's text; empty texts become null."""
        if self.kind == "plain":
            return quote(column)
        given = quote(column)
        if self.has_sign:
            given = f"regexp_replace({given}, '[^0-9,.-]', '', 'g')"
        if self.kind == "decimal comma":
            return f"replace(replace({given}, '.', ''), ',', '.')"
        return f"replace({given}, ',', '')" if self.kind == "thousands comma" else given


_NUMERIC = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
)
_SIGNS = {"€": "EUR", "£": "GBP"}


def number_form(con: duckdb.DuckDBPyConnection, relation: str, column: str, kind: str) -> NumberForm | None:
    """The form nearly all values of a column have, None where they are no numbers."""
    if kind in _NUMERIC or kind.startswith("DECIMAL"):
        return NumberForm("plain")
    if kind != "VARCHAR":
        return None
    given = f"nullif(trim({quote(column)}), '')"
    sign = r"(?:[$€£¥]|[A-Z]{3}|[A-Z]{2}[$])?"
    forms = {
        "thousands comma": rf"^-?{sign} ?-?\d{{1,3}}(,\d{{3}})*(\.\d+)? ?{sign}$",
        "decimal comma": rf"^-?{sign} ?-?\d{{1,3}}(\.\d{{3}})*(,\d+)? ?{sign}$",
        "with a sign": rf"^-?{sign} ?-?\d+(\.\d+)? ?{sign}$",
        "decimal comma, no thousands": rf"^-?{sign} ?-?\d+(,\d{{1,2}})? ?{sign}$",
    }
    tests = [
        f"isfinite(try_cast({given} as double))",
        *(f"regexp_matches({given}, {text_literal(pattern)})" for pattern in forms.values()),
        f"regexp_matches({given}, '^[0-9,.-]+$')",
        *(f"contains({given}, '{mark}')" for mark in _SIGNS),
    ]
    counted = ", ".join(f"count(*) filter (where {test})" for test in tests)
    filled, plain, *found = con.execute(f"select count({given}), {counted} from {relation}").fetchall()[0]
    if not filled:
        return None
    if plain >= _ENOUGH * filled:
        return NumberForm("plain")
    bare, *signed = found[len(forms) :]
    currency = next(
        (code for code, count in zip(_SIGNS.values(), signed, strict=True) if count >= _ENOUGH * filled), None
    )
    for name, count in zip(forms, found, strict=False):
        if count >= _ENOUGH * filled:
            return NumberForm(name.split(", ")[0], currency, bare < filled)
    return None


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0] or 0)


def _share(con: duckdb.DuckDBPyConnection, relation: str, predicate: str, filled: int) -> float:
    return _one(con, f"select count(*) from {relation} where {predicate}") / filled


def _range(con: duckdb.DuckDBPyConnection, relation: str, text: str) -> tuple[str, str]:
    first, last = con.execute(f"select min({text}), max({text}) from {relation}").fetchall()[0]
    return (first or "", last or "")
