"""Whether a file arrived whole, told from its bytes: before anything in it is read as data."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.sources.mapping import FileFormat, InputFiles
from health_pipeline.sources.sentences import first_line

_SUFFIXES: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".xlsx": "excel",
}
_CHUNK = 1 << 20
# As `sha256sum FILE > FILE.sha256` writes it. A text file that was cut between two rows is told by nothing else.
CHECKSUM_SUFFIX = ".sha256"


class BrokenFileError(ValueError):
    """A file is not whole; the message is one sentence."""

    def __init__(self, path: Path, sentence: str):
        super().__init__(f"{path.name} {sentence}")
        self.path = path


def format_of(path: Path, files: InputFiles) -> FileFormat:
    """The format a mapping says, else the one the file's name says.

    Raises
    ------
    BrokenFileError
        If neither says one.
    """
    if files.format is not None:
        return files.format
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    raise BrokenFileError(
        path, f"has a name that says no format; say format: csv, parquet, json or excel ({files.files})."
    )


def check_whole(path: Path, files: InputFiles) -> None:
    """Read a file through once and refuse it where it was cut.

    Raises
    ------
    BrokenFileError
        For a file without bytes, another one than its checksum was made of, a cut gzip or Parquet file, a CSV file
        without rows or whose last line does not end.
    """
    if path.stat().st_size == 0:
        raise BrokenFileError(path, "has no bytes; deliver it again.")
    _check_sum(path, files)
    kind = format_of(path, files)
    if kind == "parquet":
        try:
            pq.ParquetFile(path).metadata  # noqa: B018 - reading the footer is the check
        except (pa.ArrowInvalid, OSError) as error:
            raise BrokenFileError(
                path, f"is not a whole Parquet file ({first_line(error)}); deliver it again."
            ) from error
    elif kind == "excel":
        if not zipfile.is_zipfile(path):
            raise BrokenFileError(path, "is not a whole Excel file (.xlsx); deliver it again.")
    else:
        _check_text(path, files, kind)


def _check_sum(path: Path, files: InputFiles) -> None:
    announced = path.with_name(f"{path.name}{CHECKSUM_SUFFIX}")
    if not announced.is_file():
        if files.needs_checksum:
            raise BrokenFileError(path, f"has no {announced.name} beside it, which the mapping wants; deliver both.")
        return
    told = re.match(r"\\?([0-9a-fA-F]{64})\b", announced.read_text(encoding="utf-8", errors="replace"))
    if told is None:
        raise BrokenFileError(
            path,
            f"has a checksum beside it that is none ({announced.name}); make it with `sha256sum`, deliver both.",
        )
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != told.group(1).lower():
        raise BrokenFileError(
            path, f"is not the file that {announced.name} was made of, so it was cut or changed; deliver both again."
        )


def _check_text(path: Path, files: InputFiles, kind: FileFormat) -> None:
    lines, last = 0, b""
    try:
        with open_bytes(path) as stream:
            while chunk := stream.read(_CHUNK):
                lines += chunk.count(b"\n")
                last = (last + chunk)[-4:]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BrokenFileError(path, f"is not a whole gzip file ({first_line(error)}); deliver it again.") from error
    if not last:
        raise BrokenFileError(path, "has no content; deliver it again.")
    if kind == "json":
        _check_json(path)
        return
    ends = last.rstrip(b"\x00").endswith((b"\n", b"\r"))
    if not ends and not files.may_lack_last_newline:
        raise BrokenFileError(
            path,
            "does not end with a line break, so its last line may be cut; deliver it again, or say "
            "may_lack_last_newline: true in the mapping if it is always like that.",
        )
    if lines + (not ends) < 2 and not files.may_be_empty:
        raise BrokenFileError(
            path,
            "has a header and no rows; deliver it again, or say may_be_empty: true in the mapping if that is right.",
        )


def _check_json(path: Path) -> None:
    """A file of one document must parse; in a file of lines, the last line must."""
    with open_bytes(path) as stream:
        text = stream.read().decode("utf-8", errors="replace").strip()
    last_line = text.rsplit("\n", 1)[-1]
    try:
        json.loads(text if text.startswith("[") else last_line)
    except json.JSONDecodeError as error:
        if text.startswith("{"):
            try:
                json.loads(text)
            except json.JSONDecodeError:
                pass
            else:
                return
        raise BrokenFileError(path, f"is not whole JSON ({error.msg}); deliver it again.") from error


def open_bytes(path: Path) -> IO[bytes]:
    """The bytes of a text file, unpacked where it is packed."""
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")
