"""What a table of the report is made of; the template draws it, the sections fill it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from health_pipeline.reporting.figures import HARD_SPACE, MINUS

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%)")
_NEGATIVE = re.compile(r"(?<![\w.:/-])-(?=\d)")
# Rows of a table in the report; the mart has them all.
ROWS_SHOWN = 60


def typeset(text: str) -> str:
    """Keep a figure and its unit on one line, and write a negative number with a minus sign."""
    return _NEGATIVE.sub(MINUS, _BEFORE_UNIT.sub(HARD_SPACE, text))


@dataclass(frozen=True)
class Cell:
    """One cell: text, a smaller line under it, and what may be drawn beside it.

    Attributes
    ----------
    tier : its sign and colour stand before the text
    change : a change against last week, smaller, beside the figure
    share : 0 to 1, drawn as a bar
    parts : (tier, share) drawn as one bar
    tone : `bad`, `warn` or `good` colours a state, beside its words
    """

    text: str
    detail: str = ""
    tier: str | None = None
    share: float | None = None
    parts: tuple[tuple[str, float], ...] = ()
    tone: str = ""
    change: str = ""

    def __post_init__(self) -> None:
        for name in ("text", "detail", "change"):
            object.__setattr__(self, name, typeset(getattr(self, name)))


@dataclass(frozen=True)
class Table:
    """A table with its caption.

    Attributes
    ----------
    columns : (heading, whether its cells are numbers); the first heads its rows
    rows : cells in the order of the columns
    empty : the sentence shown where there is no row
    note : a sentence under it, such as how many rows are not shown and where they are
    fold_after : rows shown at once; the others open on demand, and are left out on paper; 0 shows all
    """

    caption: str
    columns: tuple[tuple[str, bool], ...]
    rows: Sequence[tuple[Cell, ...]]
    empty: str = "Nothing to show."
    note: str = ""
    fold_after: int = 0
    labels: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(heading for heading, _ in self.columns))

    @property
    def shown(self) -> Sequence[tuple[Cell, ...]]:
        """The rows shown at once. Two or three more are not worth a fold."""
        is_folded = self.fold_after and len(self.rows) > self.fold_after + 3
        return self.rows[: self.fold_after] if is_folded else self.rows

    @property
    def folded(self) -> Sequence[tuple[Cell, ...]]:
        """The rows that open on demand."""
        return self.rows[len(self.shown) :]


def cut(
    caption: str,
    columns: tuple[tuple[str, bool], ...],
    rows: Sequence[tuple[Cell, ...]],
    source: str,
    order: str,
    empty: str,
    total: int | None = None,
    fold_after: int = 0,
) -> Table:
    """Build a table of the first rows, with a sentence that says how many there are and where the others are.

    Parameters
    ----------
    rows : in the order shown; those past `ROWS_SHOWN` are left out
    source : the mart's table that has them all
    order : by what the rows are ordered, in words
    total : rows there are, where `rows` was cut before
    fold_after : rows shown at once
    """
    count = len(rows) if total is None else total
    shown = rows[:ROWS_SHOWN]
    note = ""
    if count > len(shown):
        note = (
            f"The first {len(shown)} of {count:,}, {order}. All of them are in {source} of the published mart "
            "(customer_health.duckdb, and as Parquet)."
        )
    return Table(caption, columns, shown, empty, note, fold_after)
