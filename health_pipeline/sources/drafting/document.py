"""Writes a draft as YAML: what is sure as lines, what is unsure as comments that say what to decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from health_pipeline.contract.landing import landing_tables
from health_pipeline.sources.drafting.assembly import Draft, DraftSource
from health_pipeline.sources.drafting.expressions import Line
from health_pipeline.sources.drafting.plan import DraftTable
from health_pipeline.sources.drafting.profile import FileProfile, Folder
from health_pipeline.sources.sentences import wanted

_WIDTH = 130
DECIDE = "decide:"
REQUIRED = "is required"


@dataclass(frozen=True)
class Decision:
    """One thing that the draft leaves to a person: the line of the mapping, and what is asked."""

    line: int
    text: str

    @property
    def is_required(self) -> bool:
        """Whether nothing can be loaded before it is decided."""
        return REQUIRED in self.text


def open_decisions(text: str) -> list[Decision]:
    """What a mapping still asks of a person: its `# decide:` comments."""
    return [
        Decision(number, line.split(DECIDE, 1)[1].strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.replace("# ", "").strip().startswith(DECIDE)
    ]


def document(draft: Draft, folder: Folder, told: str) -> str:
    """The text of a mapping.

    Parameters
    ----------
    told : how the folder is named in commands
    """
    lines = [
        f"# Drafted by `health-pipeline mapping init {_flat(told)}` from {len(folder.files)} files; now yours.",
        f"# A comment with `{DECIDE}` asks you; the line below it counts once you take its # away, or write your own.",
        f"# Then: health-pipeline load --mapping THIS_FILE --data {_flat(told)} --historical --check",
    ]
    lines += [f"# not read: {_flat(one)}" for one in folder.unreadable]
    lines += ["", "inputs:" if folder.files else "inputs: {}"]
    for file in folder.files:
        lines += _input(file)
    if draft.views:
        lines += ["", "views:"]
        for name, (query, why) in draft.views.items():
            lines += [f"  # {why}", f"  {name}: {scalar(query)}"]
    lines += ["", *_sources(draft)]
    return "\n".join(lines) + "\n"


def _input(file: FileProfile) -> list[str]:
    lines = [f"  # {_flat(', '.join(file.paths[:3]))}{' ...' if len(file.paths) > 3 else ''}: "
             f"{'the first ' if file.is_sampled else ''}{file.rows:,} rows, {len(file.columns)} columns"]  # fmt: skip
    options = file.files.model_dump(exclude_defaults=True)
    if options.get("may_lack_last_newline"):
        lines.append("  # its last line does not end: take may_lack_last_newline away if that means it was cut")
    body = ", ".join(
        f"{key}: {'true' if value is True else scalar(str(value), is_flow=True)}" for key, value in options.items()
    )
    return [*lines, f"  {file.name}: {{{body}}}"]


def _sources(draft: Draft) -> list[str]:
    live = [source for source in draft.sources if any(not table.is_doubtful for table in source.tables)]
    lines = ["sources:" if live else "sources: []"]
    if not live:
        lines.append(f"# {DECIDE} no file is surely one of the tables; take the # away from what is right below")
    for source in draft.sources:
        is_live = source in live
        body = list(_source(source, is_live))
        lines += ["", *(body if is_live else [f"# {line}" if line.strip() else "#" for line in body])]
    return lines


def _source(source: DraftSource, is_live: bool) -> Iterator[str]:
    yield f"  - kind: {source.kind}"
    yield f"    system: {scalar(source.system)}  # keep this name from load to load: ids are looked up under it"
    yield "    tables:"
    for table in source.tables:
        body = list(_table(table))
        if table.is_doubtful and is_live:
            name = _flat(table.file.paths[0]) if table.file else ""
            yield f"      # {DECIDE} {name} may be something else; take the # away if it is a {table.table}"
            for line in body:
                yield f"      # {line[6:]}" if line.strip() else "      #"
        else:
            yield from body


def _table(table: DraftTable) -> Iterator[str]:
    for said in table.says:
        yield f"      # {_flat(said)}"
    yield f"      - table: {table.table}"
    yield f"        from: {table.relation}"
    yield "        select:"
    contract = landing_tables()[table.table]
    given = {line.column for line in table.lines if not line.is_open}
    if not given:
        yield "          {}"
    for line in table.lines:
        if line.is_open and line.column in given:
            continue
        yield from _line(line, line.column in contract.required)
    asked = {line.column for line in table.lines}
    for name in table.open_columns:
        if name not in asked:
            kind = wanted(contract.column(name))
            yield f"          # {DECIDE} {name} {REQUIRED} ({kind}) and no column seems to hold it"
            yield f"          # {name}: "
    yield from _unused(table)


def _line(line: Line, is_required: bool) -> Iterator[str]:
    text = f"          {line.column}: {scalar(line.expression)}"
    why = _flat("; ".join(line.why))
    if line.is_open:
        said = f"{line.column} {REQUIRED}: " if is_required else f"{line.column}: "
        yield f"          # {DECIDE} {said}{_flat(line.decide)}"
        yield f"          # {text.strip()}" + (f"  # {why}" if why else "")
        for other in line.others:
            yield f"          # {line.column}: {scalar(other)}"
    elif why and len(text) + len(why) > _WIDTH:
        yield f"          # {line.column}: {why}"
        yield text
    else:
        yield text + (f"  # {why}" if why else "")


def _unused(table: DraftTable) -> Iterator[str]:
    if table.file is None:
        return
    used = " ".join(line.expression for line in table.lines)
    spare = [column.name for column in table.file.columns if '"' + column.name.replace('"', '""') + '"' not in used]
    if spare:
        yield f"          # not used: {_flat(', '.join(spare[:20]))}{' ...' if len(spare) > 20 else ''}"


def scalar(text: str, is_flow: bool = False) -> str:
    """A text as a YAML scalar on one line; it reads back as the same text."""
    plain = text.isprintable() and not (is_flow and any(mark in text for mark in "{}[],"))
    style = None if plain else '"'
    written = yaml.safe_dump(text, width=10**9, allow_unicode=plain, default_style=style).strip()
    return written.removesuffix("...").strip()


def _flat(text: str) -> str:
    """A text that can stand in a comment: one line, nothing unprintable."""
    return "".join(mark if mark.isprintable() else " " for mark in text)
