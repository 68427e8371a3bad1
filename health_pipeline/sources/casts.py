"""How a delivered value becomes one of the contract's type: DuckDB expressions that give null where it can't."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from health_pipeline.contract.landing import DUCKDB_TYPES, Column


@dataclass(frozen=True)
class Cast:
    """A SQL expression over the column; where `can_fail`, a null from a value that was there is a bad value."""

    expression: str
    can_fail: bool


def quote(name: str) -> str:
    """An identifier for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def given_expression(column: Column, kind: pa.DataType) -> str:
    """The delivered value, null where nothing was given: empty text is nothing."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return _trimmed(quote(column.name), _family(kind) or "other")


def text_literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def cast_expression(column: Column, kind: pa.DataType) -> Cast | None:
    """The cast of a delivered Arrow type to the contract's type; None where there is no sensible one.

    Empty text counts as missing for everything but free text that is optional. An enum is compared in lower case.
    A whole number never comes from rounding, a timestamp with an offset is converted to UTC and not cut.
    """
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    name = quote(column.name)
    if pa.types.is_null(kind):
        return Cast(f"cast({name} as {DUCKDB_TYPES[column.type]})", False)
    family = _family(kind)
    if family is None and column.type not in ("text", "json"):
        return None
    cast = _CASTS[column.type](name, family or "other", kind)
    if cast is None:
        return None
    if column.vocabulary:
        word = f"nullif(lower(trim({cast.expression})), '')"
        words = ", ".join(text_literal(known) for known in column.vocabulary)
        fallback = "'other'" if column.is_required or "other" in column.vocabulary else "null"
        return Cast(f"case when {word} in ({words}) then {word} when {word} is not null then {fallback} end", False)
    if column.type == "text" and column.is_required:
        return Cast(f"nullif({cast.expression}, '')", False)
    return cast


def cast_can_fail(column: Column, kind: pa.DataType) -> bool:
    """Whether a value of that type may be none of the contract's."""
    cast = cast_expression(column, kind)
    return cast is not None and cast.can_fail


def _family(kind: pa.DataType) -> str | None:
    tests = (
        ("text", pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)),
        ("integer", pa.types.is_integer(kind)),
        ("float", pa.types.is_floating(kind)),
        ("decimal", pa.types.is_decimal(kind)),
        ("date", pa.types.is_date(kind)),
        ("timestamp", pa.types.is_timestamp(kind)),
        ("boolean", pa.types.is_boolean(kind)),
    )
    return next((name for name, holds in tests if holds), None)


def _to_text(name: str, family: str, kind: pa.DataType) -> Cast:
    if family == "text":
        return Cast(f"cast({name} as varchar)", False)
    if family == "float":
        # ids that pandas turned into floats because some are missing: 17850.0 is 17850
        whole = f"{name} = trunc({name}) and abs({name}) < 9007199254740992"
        return Cast(
            f"case when {whole} then cast(cast({name} as bigint) as varchar) else cast({name} as varchar) end",
            False,
        )
    return Cast(f"cast({name} as varchar)", False)


def _to_integer(name: str, family: str, kind: pa.DataType) -> Cast | None:
    if family == "integer":
        return Cast(f"try_cast({name} as bigint)", kind == pa.uint64())
    if family in ("text", "float", "decimal"):
        value = f"try_cast({_trimmed(name, family)} as decimal(38,6))"
        return Cast(f"case when {value} = trunc({value}) then try_cast({value} as bigint) end", True)
    return None


def _to_number(name: str, family: str, kind: pa.DataType) -> Cast | None:
    if family in ("integer", "decimal"):
        return Cast(f"cast({name} as double)", False)
    if family in ("text", "float"):
        value = f"try_cast({_trimmed(name, family)} as double)"
        return Cast(f"case when isfinite({value}) then {value} end", True)
    return None


def _to_decimal(name: str, family: str, kind: pa.DataType) -> Cast | None:
    if family in ("text", "float", "integer", "decimal"):
        exact = family == "decimal" and kind.precision - kind.scale <= 16
        return Cast(f"try_cast({_trimmed(name, family)} as decimal(18,2))", not exact)
    return None


def _to_date(name: str, family: str, kind: pa.DataType) -> Cast | None:
    if family in ("date", "timestamp"):
        utc = f"{name} at time zone 'UTC'" if family == "timestamp" and kind.tz else name
        return Cast(f"cast({utc} as date)", False)
    if family == "text":
        return Cast(f"try_cast({_trimmed(name, family)} as date)", True)
    return None


def _to_timestamp(name: str, family: str, kind: pa.DataType) -> Cast | None:
    if family == "timestamp":
        utc = f"{name} at time zone 'UTC'" if kind.tz else name
        return Cast(f"cast({utc} as timestamp)", False)
    if family == "date":
        return Cast(f"cast({name} as timestamp)", False)
    if family == "text":
        # a plain cast to timestamp would cut the offset off
        moment = f"try_cast({_trimmed(name, family)} as timestamptz)"
        return Cast(f"case when isfinite({moment}) then {moment} at time zone 'UTC' end", True)
    return None


def _to_boolean(name: str, family: str, kind: pa.DataType) -> Cast | None:
    if family == "boolean":
        return Cast(name, False)
    if family == "integer":
        return Cast(f"case {name} when 1 then true when 0 then false end", True)
    if family == "text":
        word = f"lower(trim({name}))"
        return Cast(
            f"case when {word} in ('true', 't', 'yes', 'y', '1') then true "
            f"when {word} in ('false', 'f', 'no', 'n', '0') then false end",
            True,
        )
    return None


def _trimmed(name: str, family: str) -> str:
    return f"nullif(trim({name}), '')" if family == "text" else name


_CASTS = {
    "text": _to_text,
    "json": _to_text,
    "integer": _to_integer,
    "number": _to_number,
    "decimal": _to_decimal,
    "date": _to_date,
    "timestamp": _to_timestamp,
    "boolean": _to_boolean,
}
