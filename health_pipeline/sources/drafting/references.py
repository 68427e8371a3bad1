"""Which account a row means: told by comparing a column's values with the ids and names of the account files."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from health_pipeline.sources.casts import quote, text_literal
from health_pipeline.sources.drafting.matching import Match
from health_pipeline.sources.drafting.profile import ColumnProfile

# Of a column's different values, the share that must be there for the column to be taken as a reference.
OVERLAP = 0.8
# Fewer different values than these meet by chance.
MOST_BY_CHANCE = 2
SEPARATORS = (";", ",")


@dataclass(frozen=True)
class AccountFile:
    """A file of accounts: what it is called, and its columns with the id and the name."""

    name: str
    id_column: str
    name_column: str | None


@dataclass(frozen=True)
class Reference:
    """A column that names accounts.

    Attributes
    ----------
    column : of the file that refers
    target : the account file whose values it holds, None where it matches none
    by : `id` or `name` of the target; `domain` where the column holds addresses, whose domain is the account
    share : of the column's different values, those found there
    separator : it holds a list, of which the first entry is meant
    """

    column: ColumnProfile
    target: AccountFile | None
    by: str
    share: float
    separator: str | None = None

    @property
    def expression(self) -> str:
        """SQL of the value that names the account."""
        if self.by == "domain":
            return f"lower(split_part({quote(self.column.name)}, '@', 2))"
        if self.separator is None:
            return quote(self.column.name)
        return f"trim(split_part({quote(self.column.name)}, {text_literal(self.separator)}, 1))"


def find_reference(
    con: duckdb.DuckDBPyConnection, file: str, found: list[Match], targets: list[AccountFile]
) -> Reference | None:
    """The column of a file that names accounts; one that names those of the first targets is preferred.

    Parameters
    ----------
    found : the columns whose header fits, the best first
    targets : account files, those of the same source first
    """
    for target in targets:
        for by, column in (("id", target.id_column), ("name", target.name_column)):
            if column is None:
                continue
            for match in found:
                for separator in (None, *SEPARATORS):
                    reference = Reference(match.column, target, by, 0.0, separator)
                    share, values = overlap(con, file, reference.expression, target.name, column)
                    if (share >= OVERLAP and values > MOST_BY_CHANCE) or (share == 1.0 and values):
                        return Reference(match.column, target, by, share, separator)
    if not found:
        return None
    return Reference(found[0].column, None, "id", 0.0)


def overlap(con: duckdb.DuckDBPyConnection, file: str, expression: str, other: str, column: str) -> tuple[float, int]:
    """Share of an expression's different values that a column of another file has, and how many there are."""
    values, shared = con.execute(
        f"select count(*), count(*) filter (where v in (select trim({quote(column)}::varchar) from {quote(other)})) "
        f"from (select distinct nullif(trim({expression}::varchar), '') as v from {quote(file)}) where v is not null"
    ).fetchall()[0]
    return (shared / values if values else 0.0, values)
