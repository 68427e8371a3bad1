"""`health-pipeline mapping init`: from a folder of files to the text of a mapping, and what was found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import available_timezones

from health_pipeline.sources.drafting.assembly import assemble
from health_pipeline.sources.drafting.document import Decision, document, open_decisions
from health_pipeline.sources.drafting.plan import Options, account_kind, place_files
from health_pipeline.sources.drafting.profile import profile_folder
from health_pipeline.sources.examination import in_memory_duckdb
from health_pipeline.sources.mapping import MappingError


@dataclass(frozen=True)
class DraftedMapping:
    """A drafted mapping: its text, a line per file, what it asks, and what could not be read."""

    text: str
    files: tuple[str, ...]
    decisions: tuple[Decision, ...]
    unreadable: tuple[str, ...]

    def told(self, output: Path) -> list[str]:
        """What a person is told: each file, what could not be read, what is asked and where."""
        lines = [f"  {line}" for line in self.files] + [f"  not read: {line}" for line in self.unreadable]
        needed = [one for one in self.decisions if one.is_required]
        offered = [one for one in self.decisions if not one.is_required]
        if needed:
            lines.append("You have to decide before it can be loaded:")
            lines += [f"  {output}:{one.line}: {one.text}" for one in needed]
        if offered:
            lines.append("You may decide; left alone, the draft does without:")
            lines += [f"  {output}:{one.line}: {one.text}" for one in offered]
        return [f"{output} is written. Read it: each line says why it is so.", *lines]


def draft_mapping(folder: Path, options: Options | None = None, memory_limit: str = "4GB") -> DraftedMapping:
    """Draft a mapping over a folder of CSV, Parquet, JSON and Excel files.

    Parameters
    ----------
    folder : where the files are; folders in it are looked into
    options : what the user knows that no file says

    Raises
    ------
    MappingError
        If the folder is not there, holds no such file, or the zone or currency is none.
    """
    options = options or Options()
    if options.time_zone is not None and options.time_zone not in available_timezones():
        raise MappingError(
            f"--time-zone {options.time_zone!r} is no name of the IANA database; write one such as Europe/Berlin."
        )
    if options.currency is not None and not (
        len(options.currency) == 3 and options.currency.isalpha() and options.currency.isupper()
    ):
        raise MappingError(f"--currency {options.currency!r} is no ISO 4217 code; write three capitals such as EUR.")
    with TemporaryDirectory(prefix="drafting-") as spill, in_memory_duckdb(memory_limit, Path(spill)) as con:
        found = profile_folder(con, folder)
        placed = account_kind(place_files(found))
        draft = assemble(con, placed, options)
        text = document(draft, found, str(folder))
    files = tuple(
        f"{', '.join(one.file.paths)}: {'perhaps ' if one.is_doubtful else ''}{one.table} of {one.system} "
        f"({one.kind}), {one.file.rows:,} rows"
        for one in placed
    )
    return DraftedMapping(text, files, tuple(open_decisions(text)), found.unreadable)


def write_mapping(drafted: DraftedMapping, output: Path) -> None:
    """Write a draft to a new file.

    Raises
    ------
    MappingError
        If the file is there already: a draft never takes the place of somebody's work.
    """
    try:
        with output.open("x", encoding="utf-8") as stream:
            stream.write(drafted.text)
    except FileExistsError:
        raise MappingError(
            f"{output} is there already and is left as it is; name another file with --output."
        ) from None
