"""What a folder's files hold, file by file and column by column, as far as a draft has to know it."""

from __future__ import annotations

import codecs
import glob
import re
from dataclasses import dataclass
from pathlib import Path

import duckdb

from health_pipeline.sources.casts import quote
from health_pipeline.sources.delivered import ROW_ORIGIN
from health_pipeline.sources.drafting.headers import Header, read_header
from health_pipeline.sources.drafting.moments import MomentForm, NumberForm, moment_form, number_form
from health_pipeline.sources.integrity import CHECKSUM_SUFFIX, BrokenFileError, format_of, open_bytes
from health_pipeline.sources.mapping import InputFiles, MappingError
from health_pipeline.sources.readers import read_input
from health_pipeline.sources.sentences import first_line

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".json", ".jsonl", ".ndjson", ".xlsx")
# A draft looks at so many rows of a file; its check reads them all.
MOST_ROWS = 200_000
MOST_WORDS = 40
_SERIAL = re.compile(r"[\d_. -]+$")


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a file.

    Attributes
    ----------
    type : its DuckDB type (all columns of CSV and Excel files are text)
    rows, filled, distinct : counts; blank text is not filled
    emails, booleans, domains : shares of the filled values that look like one
    words : its distinct values in lower case, where there are at most 40; else none
    """

    name: str
    header: Header
    type: str
    rows: int
    filled: int
    distinct: int
    emails: float
    booleans: float
    domains: float
    has_lower_case: bool
    words: tuple[str, ...]
    moment: MomentForm | None
    number: NumberForm | None


@dataclass(frozen=True)
class FileProfile:
    """One file, or several that share name and columns.

    Attributes
    ----------
    name : how the draft calls it: a plain name, used once
    files : the pattern and the options that read it
    paths : relative to the folder
    is_sampled : only the first rows were looked at
    """

    name: str
    files: InputFiles
    paths: tuple[str, ...]
    rows: int
    columns: tuple[ColumnProfile, ...]
    is_sampled: bool = False

    def column(self, name: str) -> ColumnProfile:
        """The column of that name; KeyError where there is none."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class Folder:
    """The files of a folder that can be read, and why the others can't."""

    files: tuple[FileProfile, ...]
    unreadable: tuple[str, ...]


def profile_folder(con: duckdb.DuckDBPyConnection, folder: Path) -> Folder:
    """Read every file of a folder (and of folders in it) into tables of the connection, and look at them.

    Raises
    ------
    MappingError
        If the folder is not there or holds no file of a known format.
    """
    if not folder.is_dir():
        raise MappingError(f"{folder} is not a folder; name the folder that holds your files.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((".", "~$")))
    known = [path for path in paths if _is_known(path)]
    if not known:
        there = ", ".join(path.name for path in paths[:5]) or "no files"
        raise MappingError(f"{folder} holds no CSV, Parquet, JSON or Excel file; it holds {there}.")
    unreadable = [
        f"{path.relative_to(folder).as_posix()}: its name ends in none of {', '.join(SUFFIXES)} (or .gz of one)"
        for path in paths
        if path not in known and path.suffix.lower() not in (".yaml", ".yml", ".md", CHECKSUM_SUFFIX)
    ]
    profiles: list[FileProfile] = []
    for group in _alike(known):
        try:
            profiles.append(_profile(con, folder, group, {profile.name.lower() for profile in profiles}))
        except (BrokenFileError, MappingError) as error:
            unreadable.append(first_line(error))
        except (duckdb.Error, UnicodeError, ValueError, KeyError) as error:
            unreadable.append(f"{group[0].name} can't be read ({first_line(error)})")
    return Folder(tuple(profiles), tuple(unreadable))


def _is_known(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES


def _alike(paths: list[Path]) -> list[list[Path]]:
    """Files of one folder with the same first line, whose names differ in a number or a date at their end only."""
    groups: dict[tuple[object, ...], list[Path]] = {}
    for path in paths:
        stem = path.name.split(".")[0]
        base = _SERIAL.sub("", stem)
        key = (path.parent, base if base and base != stem else stem, "".join(path.suffixes).lower(), _first_line(path))
        groups.setdefault(key, []).append(path)
    return list(groups.values())


def _first_line(path: Path) -> bytes:
    if path.suffix.lower() in (".parquet", ".xlsx", ".json"):
        return str(path).encode()
    try:
        with open_bytes(path) as stream:
            return stream.readline(1 << 16).strip()
    except (OSError, EOFError):
        return str(path).encode()


def _profile(con: duckdb.DuckDBPyConnection, folder: Path, group: list[Path], taken: set[str]) -> FileProfile:
    stem = group[0].name.split(".")[0]
    base = _SERIAL.sub("", stem) if len(group) > 1 else stem
    name = _plain_name(base or stem, taken)
    files = InputFiles.model_validate({"files": _pattern(folder, group, base), **_options(group)})
    read_input(con, name, files, group, most_rows=MOST_ROWS + 1)
    rows = con.execute(f"select count(*) from {quote(name)}").fetchall()[0][0]
    described = con.execute(f"describe {quote(name)}").fetchall()
    columns = tuple(_column(con, quote(name), row[0], row[1]) for row in described if row[0] != ROW_ORIGIN)
    paths = tuple(path.relative_to(folder).as_posix() for path in group)
    return FileProfile(name, files, paths, rows, columns, rows > MOST_ROWS)


def _plain_name(stem: str, taken: set[str]) -> str:
    name = re.sub(r"\W+", "_", stem.lower(), flags=re.ASCII).strip("_") or "file"
    name = name if name.isidentifier() else f"file_{name}"
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def _pattern(folder: Path, group: list[Path], base: str) -> str:
    relative = group[0].relative_to(folder)
    if len(group) == 1:
        return glob.escape(relative.as_posix())
    ending = "".join(relative.suffixes)
    pattern = glob.escape((relative.parent / base).as_posix()) + "*" + glob.escape(ending)
    if sorted(folder.glob(pattern)) == sorted(group):
        return pattern
    raise MappingError(
        f"{', '.join(path.name for path in group)}: their names have no pattern of their own; rename them, or put them "
        "into a folder of their own"
    )


def _options(group: list[Path]) -> dict[str, object]:
    """What a mapping has to allow for these files: seen in them, and said in the draft."""
    options: dict[str, object] = {}
    for path in group:
        if format_of(path, InputFiles(files="any")) != "csv":
            continue
        with open_bytes(path) as stream:
            content = stream.read(1 << 22)
            last = content[-4:]
            while more := stream.read(1 << 22):
                last = more[-4:]
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            options["encoding"] = "utf-16"
        elif not _is_utf8(content):
            options["encoding"] = "latin-1"
        if last and not last.rstrip(b"\x00").endswith((b"\n", b"\r")):
            options["may_lack_last_newline"] = True
        if content.strip() and len(content.strip().splitlines()) < 2:
            options["may_be_empty"] = True
    return options


def _is_utf8(content: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return True


def _column(con: duckdb.DuckDBPyConnection, relation: str, name: str, kind: str) -> ColumnProfile:
    given = f"nullif(trim(cast({quote(name)} as varchar)), '')"
    patterns = {
        "emails": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        "booleans": r"(?i)^(true|false|t|f|yes|no|y|n|1|0)$",
        "domains": r"(?i)^(https?://)?([a-z0-9-]+\.)+[a-z]{2,}(/.*)?$",
    }
    shares = ", ".join(f"count(*) filter (where regexp_matches({given}, '{it}'))" for it in patterns.values())
    rows, filled, distinct, has_lower, *found = con.execute(
        f"select count(*), count({given}), count(distinct {given}), "
        f"coalesce(bool_or(lower({given}) = {given} and upper({given}) <> {given}), false), {shares} from {relation}"
    ).fetchall()[0]
    words: tuple[str, ...] = ()
    if 0 < distinct <= MOST_WORDS:
        read = con.execute(f"select distinct lower({given}) as v from {relation} where {given} is not null order by v")
        words = tuple(row[0] for row in read.fetchall())
    emails, booleans, domains = (count / filled if filled else 0.0 for count in found)
    return ColumnProfile(
        name, read_header(name), kind, rows, filled, distinct, emails, booleans, domains, has_lower, words,
        moment_form(con, relation, name, kind), number_form(con, relation, name, kind),
    )  # fmt: skip
