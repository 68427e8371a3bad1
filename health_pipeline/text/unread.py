"""Reads what is landed and not read yet, and lands what was found: once per text and version of the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from health_pipeline.policy.company import load_company
from health_pipeline.policy.risk_phrases import load_risk_phrases
from health_pipeline.settings import Settings
from health_pipeline.sources.examination import in_memory_duckdb
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.records import LoadRecord
from health_pipeline.text.landed_texts import TEXT_TABLES, StreamReader, reading_instance, unread_loads
from health_pipeline.text.readers import Readers
from health_pipeline.text.version import rule_version


@dataclass(frozen=True)
class ReadingReport:
    """What a run read.

    Attributes
    ----------
    rule_version : by which rules
    loads : loads whose texts were read
    records : records with text read; those delivered again with the same words are not
    phrases : phrases found in them
    """

    rule_version: str
    loads: int = 0
    records: int = 0
    phrases: int = 0


def read_unread(settings: Settings) -> ReadingReport:
    """Read every committed text that the policy's rules did not read yet; a second call reads nothing.

    Parameters
    ----------
    settings : where state lives, and the policy

    Raises
    ------
    PolicyError
        If the policy's `risk_phrases.yaml` or `company.yaml` can't be used.
    LandingError
        If another process has been loading for too long.
    """
    document = load_risk_phrases(settings.policy)
    company = load_company(settings.policy).model
    version = rule_version(document)
    landing = Landing(settings.landing, settings.quarantine, settings.duckdb_memory_limit)
    loads = landing.loads()
    report = ReadingReport(version)
    unread = unread_loads(loads, version)
    if not unread:
        return report
    spill = settings.scratch / "text_spill"
    spill.parent.mkdir(parents=True, exist_ok=True)
    with Readers(document.model) as readers, in_memory_duckdb(settings.duckdb_memory_limit, spill) as connection:
        # small loads, many of them: waking threads costs more than they do
        connection.execute("set threads = 1")
        for stream, of_stream in _streams(unread, version):
            texts = StreamReader(connection, _landed_readings(landing, loads, stream))
            for load in of_stream:
                found = texts.extract(load, _text_paths(landing, load), readers, version)
                result = landing.load(found.extract, company, load.loaded_at)
                if result.status != "committed":
                    raise RuntimeError(
                        f"What was read in load {load.load_id} is {result.status}: {' '.join(result.messages)}"
                    )
                report = ReadingReport(
                    version, report.loads + 1, report.records + found.records, report.phrases + found.phrases
                )
    return report


Stream = tuple[str, str]


def _streams(unread: list[LoadRecord], version: str) -> Iterator[tuple[Stream, list[LoadRecord]]]:
    streams: dict[Stream, list[LoadRecord]] = defaultdict(list)
    for load in unread:
        streams[load.source_system, reading_instance(load, version)].append(load)
    yield from streams.items()


def _landed_readings(landing: Landing, loads: list[LoadRecord], stream: Stream) -> list[str]:
    return [
        str(landing.folder / table.path)
        for load in loads
        if load.source_kind == "text" and (load.source_system, load.source_instance) == stream
        for table in load.tables
        if table.table == "text_reading" and table.rows
    ]


def _text_paths(landing: Landing, load: LoadRecord) -> dict[str, str]:
    return {
        table.table: str(landing.folder / table.path)
        for table in load.tables
        if table.table in TEXT_TABLES and table.rows
    }
