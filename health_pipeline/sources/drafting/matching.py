"""Which landing table a file is, and which of its columns gives which contract column, each with a score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from health_pipeline.contract.landing import SOURCE_COLUMNS, Column, LandingTable, landing_tables
from health_pipeline.sources.drafting.headers import likeness, read_header
from health_pipeline.sources.drafting.knowledge import TableWords, helper_type, table_words
from health_pipeline.sources.drafting.profile import ColumnProfile, FileProfile

# A column whose score is below the first is not thought of; below the second the draft asks.
POSSIBLE = 0.3
SURE = 0.6
# A file whose best table scores below the first, or leads by less than the second, is left to a person.
TABLE_SURE = 0.55
TABLE_LEAD = 0.04
_REQUIRED_WEIGHT = 3.0
_SHARED = ("source_created_at", "source_updated_at", "is_deleted")


@dataclass(frozen=True)
class Match:
    """A file's column for a contract column or helper; `score` is 0 to 1, `doubt` says what speaks against it."""

    column: ColumnProfile
    score: float
    doubt: str = ""


@dataclass(frozen=True)
class TableMatch:
    """How well a file is one landing table.

    Attributes
    ----------
    score : 0 to 1
    columns : contract columns and helpers with the column that gives them
    open_columns : required columns that neither a column nor a stated expression gives
    """

    table: LandingTable
    score: float
    columns: dict[str, Match]
    open_columns: tuple[str, ...]


def rank_tables(file: FileProfile) -> list[TableMatch]:
    """Every landing table with its score for a file, the best first."""
    found = [match_table(file, landing_tables()[name]) for name in table_words()]
    return sorted(found, key=lambda match: (-match.score, match.table.name))


def is_sure(ranked: list[TableMatch]) -> bool:
    """Whether the best table is good enough, and far enough ahead, to be drafted as it is."""
    return ranked[0].score >= TABLE_SURE and ranked[0].score - ranked[1].score >= TABLE_LEAD


def match_table(file: FileProfile, table: LandingTable) -> TableMatch:
    """Fit a file's columns to one landing table: the assignment with the highest sum of scores, each column once."""
    words = table_words()[table.name]
    own = {column.name: column for column in table.columns if column.name in words.columns}
    wanted = {**own, **{name: Column(name, helper_type(name)) for name in words.also}}
    headers = {name: [*(words.columns.get(name) or words.also[name]), name] for name in wanted}
    scores = np.array(
        [[_score(file, one, wanted[name], headers[name], words, table)[0] for one in file.columns] for name in wanted]
    ).reshape(len(wanted), len(file.columns))
    weights = np.array([_REQUIRED_WEIGHT if column.is_required else 1.0 for column in wanted.values()])
    rows, places = linear_sum_assignment(np.where(scores >= POSSIBLE, scores, 0) * weights[:, None], maximize=True)
    names = list(wanted)
    columns = {}
    for row, place in zip(rows, places, strict=True):
        if scores[row, place] >= POSSIBLE:
            name, one = names[row], file.columns[place]
            score, doubt = _score(file, one, wanted[name], headers[name], words, table)
            columns[name] = Match(one, score, doubt)
    columns |= _shared(file, words, table)
    missing = tuple(name for name in table.required if not _is_given(name, columns, words))
    return TableMatch(table, _table_score(file, table, words, columns), columns, missing)


def candidates(file: FileProfile, table: LandingTable, name: str) -> list[Match]:
    """All columns that may give a contract column, the best first."""
    words = table_words()[table.name]
    found = []
    for one in file.columns:
        score, doubt = _score(file, one, table.column(name), [*words.columns[name], name], words, table)
        if score >= POSSIBLE:
            found.append(Match(one, score, doubt))
    return sorted(found, key=lambda match: -match.score)


def _shared(file: FileProfile, words: TableWords, table: LandingTable) -> dict[str, Match]:
    """The source columns, which may use a column that is used already: a ticket's creation is its record's creation."""
    found = {}
    for column in SOURCE_COLUMNS:
        if column.name not in _SHARED:
            continue
        scored = [(_score(file, one, column, words.columns[column.name], words, table), one) for one in file.columns]
        best = max(scored, key=lambda entry: entry[0][0], default=None)
        if best is not None and best[0][0] >= SURE:
            found[column.name] = Match(best[1], *best[0])
    return found


def _is_given(name: str, columns: dict[str, Match], words: TableWords) -> bool:
    if name in columns and columns[name].score >= SURE:
        return True
    return name in words.stand_ins or name in words.derived or name in ("currency", "scale_min", "scale_max")


def _table_score(file: FileProfile, table: LandingTable, words: TableWords, columns: dict[str, Match]) -> float:
    """Half for the required columns, a fifth for how much of the file is explained, the rest for the file's name."""
    parts = []
    for name in table.required:
        match = columns.get(name)
        fallback = 0.35 if _is_given(name, {}, words) else 0.0
        parts.append(max(match.score if match else 0.0, fallback))
    required = float(np.mean(parts))
    breadth = min(sum(1 for name in table.required if name in columns), 6) / 6
    explained = {match.column.name: match.score for match in columns.values()}
    share = sum(explained.values()) / len(file.columns) if file.columns else 0.0
    named = _named(file, words)
    return 0.45 * required + 0.1 * breadth + 0.2 * min(share, 1.0) + 0.25 * named


def _named(file: FileProfile, words: TableWords) -> float:
    """1 where the file's name ends in a word for the table, .8 where it holds one."""
    stem = read_header(file.paths[0].split("/")[-1].split(".")[0]).words if file.paths else ()
    text = f" {' '.join(stem)} "
    best = 0.0
    for name in words.files:
        if f" {name} " in text:
            # "support tickets" says more than "tickets", and "subscription invoices" are invoices
            last = text.rstrip().endswith(f" {name}")
            best = max(best, 1.0 if last else 0.8)
    return best


def _score(
    file: FileProfile, one: ColumnProfile, wanted: Column, headers: list[str], words: TableWords, table: LandingTable
) -> tuple[float, str]:
    header = likeness(one.header, headers)
    if not header:
        return 0.0, ""
    fit, doubt = _value_fit(one, wanted, words)
    if wanted.name in table.key and len(table.key) == 1 and one.filled and one.distinct < 0.98 * one.filled:
        fit, doubt = 0.4, f"it repeats: {one.distinct:,} different values on {one.filled:,} rows, and an id must not"
    if doubt == "" and header < SURE:
        doubt = "its header is only alike"
    return header * fit, doubt


def _value_fit(one: ColumnProfile, wanted: Column, words: TableWords) -> tuple[float, str]:
    """How well a column's values fit a type: a factor, and what speaks against it."""
    if not one.filled:
        return (0.97 if not wanted.is_required else 0.4), "the column is empty"
    if wanted.name.endswith("_email") or wanted.name == "email":
        return (
            (1.0, "")
            if one.emails >= 0.9
            else (0.45, "it holds no e-mail addresses (a person's name must not go there)")
        )
    if wanted.type in ("date", "timestamp"):
        return (1.0, "") if one.moment else (0.35, "its values are no times that are known here")
    if wanted.type in ("integer", "number", "decimal"):
        return (1.0, "") if one.number else (0.35, "its values are no numbers")
    if wanted.type == "boolean":
        return (1.0, "") if one.booleans >= 0.98 else (0.2, "its values are not true or false")
    if wanted.vocabulary:
        known = set(wanted.vocabulary) | {word for list_ in words.words.get(wanted.name, {}).values() for word in list_}
        hits = sum(1 for word in one.words if word in known)
        if one.words and hits:
            return 1.0, ""
        return (0.8, "") if one.words else (0.4, "it holds more different words than such a column has")
    if wanted.name == "domain":
        return (1.0, "") if one.domains >= 0.8 else (0.4, "its values are no domains")
    if wanted.name.endswith("_id"):
        return (0.3, "its values are times") if one.moment and not one.number else (1.0, "")
    is_plain_text = not (one.moment or (one.number and wanted.name in ("name", "full_name", "title")))
    return (1.0, "") if is_plain_text or one.number else (0.5, "its values look like times")
