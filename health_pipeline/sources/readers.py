"""Reads a user's files into DuckDB, one table per input; after that the connection sees no file any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa

from health_pipeline.contract.closest import closest
from health_pipeline.sources.casts import quote, text_literal
from health_pipeline.sources.delivered import ROW_ORIGIN
from health_pipeline.sources.integrity import CHECKSUM_SUFFIX, BrokenFileError, check_whole, format_of, open_bytes
from health_pipeline.sources.mapping import InputFiles, MappingError
from health_pipeline.sources.sentences import first_line

_DELIMITERS = (",", ";", "\t", "|")
_HEADER_BYTES = 1 << 20


def find_files(files: InputFiles, data: Path) -> list[Path]:
    """The files of an input, by name.

    Raises
    ------
    MappingError
        If the folder is not there, or holds no such file.
    """
    if not data.is_dir():
        raise MappingError(f"{data} is not a folder; name the folder of your files (--data).")
    found = sorted(path for path in data.glob(files.files) if path.is_file() and path.suffix != CHECKSUM_SUFFIX)
    if not found:
        there = sorted(path.name for path in data.iterdir() if path.is_file())
        near = closest(files.files, there)
        hint = f"the closest name there is {near!r}" if near else f"it holds {', '.join(there[:5]) or 'no files'}"
        raise MappingError(f"{data} holds no file {files.files!r}; {hint}.")
    return found


def read_input(
    con: duckdb.DuckDBPyConnection, name: str, files: InputFiles, paths: Sequence[Path], most_rows: int | None = None
) -> None:
    """Create table `name` of the files' rows; columns of CSV and Excel are text, columns are brought together by name.

    A last column says where each row comes from ("orders.csv row 17"; the header is row 1). With `most_rows` only so
    many of them are read.

    Raises
    ------
    BrokenFileError
        If a file is not whole, or not what its format says.
    """
    selects = []
    for number, path in enumerate(paths):
        check_whole(path, files)
        origin = (
            f"{text_literal(path.name + ' row ')} || cast(row_number() over () + 1 as varchar) as {quote(ROW_ORIGIN)}"
        )
        reader = _reader(con, f"{name}_{number}", path, files)
        selects.append(f"select *, {origin} from {reader}")
        _check_readable(con, path, f"select * from {reader} limit 0")
    rows_read = f"{' union all by name '.join(selects)}{f' limit {most_rows}' if most_rows is not None else ''}"
    _check_readable(con, paths[0], f"create table {quote(name)} as {rows_read}")
    rows = con.execute(f"select count(*) from {quote(name)}").fetchall()[0][0]
    if rows == 0 and not files.may_be_empty:
        raise BrokenFileError(
            paths[0], "has no rows; deliver it again, or say may_be_empty: true in the mapping if that is right."
        )


def _check_readable(con: duckdb.DuckDBPyConnection, path: Path, statement: str) -> None:
    try:
        con.execute(statement)
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        raise BrokenFileError(path, f"can't be read ({_reason(error)}); mend it or deliver it again.") from error


def _reason(error: duckdb.Error) -> str:
    """What DuckDB says of a file, without its advice about options that a mapping does not have.

    And without the line it stumbled over: that is whole rows of customers' words, and what is said here is logged.
    """
    lines = [line.strip().removeprefix("Invalid Input Error: ") for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("CSV Error", "Expected Number"))]
    return "; ".join(line.rstrip(".") for line in told[:2]) if told else first_line(error)


def _reader(con: duckdb.DuckDBPyConnection, name: str, path: Path, files: InputFiles) -> str:
    kind, file = format_of(path, files), text_literal(str(path))
    if kind == "parquet":
        return f"read_parquet({file})"
    if kind == "json":
        return f"read_json({file}, sample_size = -1)"
    if kind == "excel":
        con.register(f"excel_{name}", _excel_table(path, files.sheet))
        return quote(f"excel_{name}")
    delimiter = files.delimiter or delimiter_of(path, files.encoding)
    options = (
        "header = true, all_varchar = true, sample_size = -1, strict_mode = true, null_padding = false, skip = 0, "
        f"quote = '\"', escape = '\"', delim = {text_literal(delimiter)}, encoding = {text_literal(files.encoding)}"
    )
    return f"read_csv({file}, {options})"


def delimiter_of(path: Path, encoding: str) -> str:
    """The delimiter of a CSV file, told from its header alone: a broken line further down must not sway it."""
    with open_bytes(path) as stream:
        header = stream.readline(_HEADER_BYTES).decode(encoding, errors="replace")
    outside_quotes = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside_quotes.count)


def _excel_table(path: Path, sheet: str | None) -> pa.Table:
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        if sheet is not None and sheet not in book.sheetnames:
            near = closest(sheet, book.sheetnames)
            hint = f"; the closest is {near!r}" if near else f"; it has {', '.join(book.sheetnames)}"
            raise BrokenFileError(path, f"has no sheet {sheet!r}{hint}.")
        rows = [list(row) for row in (book[sheet] if sheet else book.worksheets[0]).iter_rows(values_only=True)]
    finally:
        book.close()
    header = [str(cell).strip() for cell in rows[0] if cell is not None] if rows else []
    if not header or len(set(header)) < len(header):
        raise BrokenFileError(path, "needs column names in its first row, each once.")
    cells = [row[: len(header)] for row in rows[1:] if any(cell is not None for cell in row)]
    columns = [[_cell_text(row[place]) for row in cells] for place in range(len(header))]
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(header, columns, strict=True)})


def _cell_text(cell: Any) -> str | None:
    """A cell as a CSV file would hold it."""
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime | date):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
