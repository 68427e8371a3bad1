"""The restricted store: packet bodies by their content, and one place of texts where deleting works; for the desk.

A body is reached by the address in a published row of risk_packets, so one that was never published is seen by nobody.
Bodies hold no word of a customer: they refer to texts, and a deleted text disappears from every packet, for good.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from health_pipeline.contract.content import canonical_json
from health_pipeline.mart.account_facts import RecordText
from health_pipeline.observability.workers import Workers
from health_pipeline.risk.body import PacketBody, body_of
from health_pipeline.risk.brief import render
from health_pipeline.risk.packet import Packet
from health_pipeline.risk.phrasing import cited, shown
from health_pipeline.risk.verifier import Problem, verify
from health_pipeline.settings import Settings

TEXTS = "texts.db"
BODIES = "bodies"
REFUSED = "refused"
HOLDS = "holds"
# A candidate that is being built, or waits for its audit, is younger than this.
KEPT_UNPUBLISHED = timedelta(days=1)
# Below it the second process costs more (a second or two to start) than it gives.
PACKETS_FOR_SECOND = 400
BATCH = 50
WAITING_BATCHES = 4
_SCHEMA = """
create table if not exists text (
    key text primary key, source_system text not null, source_instance text not null, source_table text not null,
    source_record_id text not null, column_name text not null, is_sensitive integer not null, words text not null
);
create index if not exists text_record on text (source_system, source_instance, source_table, source_record_id);
create table if not exists erased (
    source_system text not null, source_instance text not null, source_table text not null,
    source_record_id text not null, erased_by text not null, reason text not null, erased_at text not null,
    primary key (source_system, source_instance, source_table, source_record_id)
);
create table if not exists body_text (body text not null, key text not null, primary key (body, key));
"""
_RECORD = ("source_system", "source_instance", "source_table", "source_record_id")


class RestrictedStoreError(RuntimeError):
    """A body is not what its address says; the message names the address."""


@dataclass(frozen=True)
class StoredPacket:
    """What became of a packet: the address of its body, and what was wrong, in which case it was not stored."""

    body_sha256: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Collected:
    """What a collection removed."""

    bodies: int
    texts: int


def store_packets(
    settings: Settings, packets: Sequence[Packet], second: Workers | None = None
) -> dict[tuple[str, str], StoredPacket]:
    """Store packets whose briefs verify; nobody sees a body before a published row names it.

    Parameters
    ----------
    settings : where state lives
    packets : in any order
    second : verifies the briefs of many packets, while this process writes the next ones; without it this one does

    Returns
    -------
    dict of (packet_id, Monday in ISO 8601) to StoredPacket
        A packet whose brief does not verify has an address at which nothing lies, so the audit holds its release back;
        what was wrong lies beside it for `refusal`.
    """
    stored = {}
    with _texts(settings.restricted) as connection:
        for packet, body, problems in _verified(connection, packets, second):
            content = body.text.encode()
            address = hashlib.sha256(content).hexdigest()
            if problems:
                _write_once(
                    _refused_path(settings.restricted, address),
                    canonical_json([asdict(one) for one in problems]).encode(),
                )
            else:
                _write_once(_body_path(settings.restricted, address), content)
                rows = [(address, key) for key in body.texts]
                connection.executemany("insert or ignore into body_text values (?, ?)", rows)
            stored[(packet.packet_id, packet.week.isoformat())] = StoredPacket(address, problems)
    return stored


def _verified(
    connection: sqlite3.Connection, packets: Sequence[Packet], second: Workers | None
) -> Iterator[tuple[Packet, PacketBody, tuple[Problem, ...]]]:
    """Each packet with its body and what is wrong with its brief; texts are kept on the way."""
    batches = (_made(connection, packets[start : start + BATCH]) for start in range(0, len(packets), BATCH))
    verified: Iterator[tuple[list[tuple[Packet, PacketBody]], list[tuple[Problem, ...]]]]
    if second is None or len(packets) < PACKETS_FOR_SECOND:
        verified = ((made, verify_briefs(briefs)) for made, briefs in batches)
    else:
        # only so many bodies in memory as keep both processes busy
        verified = second.results(verify_briefs, batches, WAITING_BATCHES)
    for made, problems in verified:
        yield from ((packet, body, found) for (packet, body), found in zip(made, problems, strict=True))


def _made(
    connection: sqlite3.Connection, packets: Sequence[Packet]
) -> tuple[list[tuple[Packet, PacketBody]], list[tuple[str, Mapping[str, str]]]]:
    """Packets with their bodies, whose texts are kept now, and what `verify_briefs` has to know of them."""
    made = [(packet, body_of(packet)) for packet in packets]
    for _, body in made:
        _put(connection, body.texts)
    return made, [(body.text, _words(connection, body.keys)) for _, body in made]


def verify_briefs(briefs: Sequence[tuple[str, Mapping[str, str]]]) -> list[tuple[Problem, ...]]:
    """What is wrong with the brief of each body, given as its JSON text and the words of its texts by key."""

    def among(words: Mapping[str, str]) -> Callable[[Collection[str]], Mapping[str, str]]:
        return lambda keys: {key: words[key] for key in keys if key in words}

    return [verify_body(json.loads(text), among(words)) for text, words in briefs]


def read_body(folder: Path, address: str) -> dict[str, Any] | None:
    """The body at an address; None where there is none.

    Parameters
    ----------
    folder : `settings.restricted`

    Raises
    ------
    RestrictedStoreError
        If what lies there has other content than its address says.
    PermissionError
        If this user may not read the store.
    """
    path = _body_path(folder, address)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content).hexdigest() != address:
        raise RestrictedStoreError(
            f"The packet body {address[:12]} was changed after it was written; restore the file."
        )
    body: dict[str, Any] = json.loads(content)
    return body


def refusal(folder: Path, address: str) -> tuple[Problem, ...]:
    """What was wrong with the brief of a body that was not stored; empty where nothing was refused.

    Parameters
    ----------
    folder : `settings.restricted`
    """
    try:
        content = json.loads(_refused_path(folder, address).read_bytes())
    except FileNotFoundError:
        return ()
    return tuple(Problem(one["line"], tuple(one["labels"]), one["what"], one["kind"]) for one in content)


def brief_lines(folder: Path, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The brief as a reader sees it: heading and sentence, texts filled in, `[text deleted]` where one was deleted."""
    keys = _text_keys(body)
    with _texts(folder) as connection:
        words = _words(connection, keys.values())
    return _lines(body, lambda label, slot: words.get(keys[(label, slot)]))


def seen_texts(folder: Path, body: Mapping[str, Any]) -> dict[tuple[str, str], str | None]:
    """What a reader sees of each text of a body, by label and slot; None where it was deleted or is not kept.

    Raises
    ------
    PermissionError
        If this user may not read the store.
    """
    keys = _text_keys(body)
    with _texts(folder) as connection:
        words = _words(connection, keys.values())
    return {place: _shown_text(body, place, words.get(key)) for place, key in keys.items()}


def verify_body(
    body: Mapping[str, Any], words_of: Callable[[Collection[str]], Mapping[str, str]]
) -> tuple[Problem, ...]:
    """Render a body's brief and check it against the body's own facts.

    Parameters
    ----------
    words_of : keys to words, without those that were deleted
    """
    keys = _text_keys(body)
    words = words_of(list(keys.values()))

    def seen(label: str, slot: str) -> str | None:
        return _shown_text(body, (label, slot), words.get(keys[(label, slot)]))

    return verify(_lines(body, lambda label, slot: words.get(keys[(label, slot)])), body["citations"], seen)


@contextmanager
def kept_words(folder: Path) -> Iterator[Callable[[Collection[str]], dict[str, str]]]:
    """Gives words of texts by key, deleted ones left out, for as many bodies as one asks about.

    Raises
    ------
    PermissionError
        If this user may not read the store.
    """
    with _texts(folder) as connection:
        yield lambda keys: _words(connection, keys)


def erase_record(settings: Settings, record: Mapping[str, str], by: str, reason: str, at: datetime) -> int:
    """Delete every text of a record, in every version and packet, and keep it from coming back.

    Parameters
    ----------
    record : source_system, source_instance, source_table and source_record_id
    by, reason : the named person who asked for it, and why

    Returns
    -------
    int
        How many texts were deleted.

    Raises
    ------
    ValueError
        If no person or no reason is named.
    """
    if "@" not in by or not reason.strip():
        raise ValueError("Erasing a record's texts takes the e-mail of who asks for it and a reason; give both.")
    values = [record[name] for name in _RECORD]
    with _texts(settings.restricted) as connection:
        named = [*values, by, reason.strip(), at.isoformat()]
        connection.execute("insert or ignore into erased values (?, ?, ?, ?, ?, ?, ?)", named)
        found = connection.execute(f"delete from text where {' and '.join(f'{name} = ?' for name in _RECORD)}", values)
        return found.rowcount


def hold(settings: Settings, address: str, case_id: str) -> None:
    """Keep a body as long as a case refers to it, whatever is published."""
    folder = _private(_private(settings.restricted) / HOLDS)
    _write_once(folder / f"{address}.{hashlib.sha256(case_id.encode()).hexdigest()[:16]}", case_id.encode())


def collect_garbage(settings: Settings, published: Collection[str], now: datetime) -> Collected:
    """Remove bodies that no kept release and no case refers to and that are older than a day, then texts no body shows.

    Parameters
    ----------
    published : addresses in the risk_packets of every release that is kept
    """
    folder = settings.restricted
    if not folder.is_dir():
        return Collected(0, 0)
    holds = folder / HOLDS
    kept = {*published, *(path.name.partition(".")[0] for path in holds.iterdir())} if holds.is_dir() else {*published}
    oldest = (now - KEPT_UNPUBLISHED).timestamp()
    removed = [
        path
        for shelf, _, names in os.walk(folder / BODIES)
        for name in names
        # a path only for those that are not kept: for each of 100,000 bodies it took a second
        if name.endswith(".json") and name[:-5] not in kept and (path := Path(shelf, name)).stat().st_mtime < oldest
    ]
    for path in (folder / REFUSED).glob("*.json"):
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
    with _texts(folder) as connection:
        for path in removed:
            path.unlink(missing_ok=True)
            connection.execute("delete from body_text where body = ?", [path.stem])
        found = connection.execute("delete from text where key not in (select key from body_text)") if removed else None
        return Collected(len(removed), found.rowcount if found else 0)


def _body_path(folder: Path, address: str) -> Path:
    return folder / BODIES / address[:2] / f"{address}.json"


def _refused_path(folder: Path, address: str) -> Path:
    return folder / REFUSED / f"{address}.json"


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _write_once(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all; one of that name has that content already."""
    if path.exists():
        return
    _private(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    Path(name).replace(path)


@contextmanager
def _texts(folder: Path) -> Iterator[sqlite3.Connection]:
    """The one place of texts; what is deleted is overwritten, and one transaction holds what a caller does."""
    path = _private(folder) / TEXTS
    _private(folder / BODIES)
    is_new = not path.exists()
    if is_new:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    elif not os.access(path, os.R_OK):
        raise PermissionError(f"{path} is not readable by this user; ask who runs the review.")
    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("pragma secure_delete = on")
        if is_new:
            connection.executescript(_SCHEMA)
        with connection:
            yield connection
    finally:
        connection.close()


def _put(connection: sqlite3.Connection, texts: Mapping[str, RecordText]) -> None:
    """Keep texts, but of records whose texts a person had deleted."""
    rows = [
        (
            key,
            text.record.source_system,
            text.record.source_instance,
            text.record.source_table,
            text.record.source_record_id,
            text.column,
            int(text.is_sensitive),
            text.text,
        )
        for key, text in texts.items()
    ]
    same = " and ".join(f"erased.{name} = ?{place}" for place, name in enumerate(_RECORD, 2))
    connection.executemany(
        f"insert or ignore into text select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 "
        f"where not exists (select 1 from erased where {same})",
        rows,
    )


def _words(connection: sqlite3.Connection, keys: Collection[str]) -> dict[str, str]:
    wanted = list(dict.fromkeys(keys))
    marks = ", ".join("?" * len(wanted))
    return dict(connection.execute(f"select key, words from text where key in ({marks})", wanted).fetchall())


def _text_keys(body: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    return {
        (label, slot): text["key"] for label, one in body["citations"].items() for slot, text in one["texts"].items()
    }


def _spanned(body: Mapping[str, Any], place: tuple[str, str], words: str | None) -> str | None:
    text = body["citations"][place[0]]["texts"][place[1]]
    return None if words is None else words[text["start"] : text["end"]]


def _shown_text(body: Mapping[str, Any], place: tuple[str, str], words: str | None) -> str | None:
    spanned = _spanned(body, place, words)
    return None if spanned is None else shown(spanned)


def _lines(body: Mapping[str, Any], words: Callable[[str, str], str | None]) -> list[tuple[str, str]]:
    def fill(label: str, slot: str) -> str | None:
        return _spanned(body, (label, slot), words(label, slot))

    return [(one["section"], render(cited(one["text"], one["cites"]), fill)) for one in body["brief"]]
