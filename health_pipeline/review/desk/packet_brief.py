"""A packet's brief and quotes out of the restricted store: customers' words for who may read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from health_pipeline.risk.brief import render
from health_pipeline.risk.restricted import read_body, seen_texts

# Told by the page's own parts, beside what may be done about them.
TOLD_ELSEWHERE = frozenset(
    {
        "",
        "What was seen",
        "What happened",
        "What speaks against it",
        "Taken for granted",
        "Options, none chosen",
        "What holds it",
    }
)
# In round brackets: `render` keeps square ones for its own marks.
WITHHELD = "(the owner and the leads of their team can read it)"


@dataclass(frozen=True)
class Sentence:
    """One sentence, with the pieces of evidence it rests on."""

    text: str
    evidence_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class PacketBrief:
    """What the page tells of a packet's body.

    Attributes
    ----------
    sections : heading and sentences, in the brief's order
    quotes : by evidence id; None where the text was deleted
    assumptions, causes, options : what each id says, in words
    """

    sections: tuple[tuple[str, tuple[Sentence, ...]], ...] = ()
    quotes: Mapping[str, str | None] = field(default_factory=dict)
    assumptions: Mapping[str, str] = field(default_factory=dict)
    causes: tuple[Mapping[str, Any], ...] = ()

    def section(self, *headings: str) -> list[tuple[str, tuple[Sentence, ...]]]:
        """The sections of those headings that are there."""
        return [one for one in self.sections if one[0] in headings]


@dataclass(frozen=True)
class ReadBody:
    """A packet's body with the texts that one reader may see of the records it cites."""

    body: Mapping[str, Any]
    texts: Mapping[tuple[str, str], str | None]
    may_read: bool

    def words(self, line: str) -> str:
        """A line with the quotes in it; what is withheld stands without quotation marks: nobody said that."""
        return render(line, self._seen).replace(f"“{WITHHELD}”", WITHHELD)

    def _seen(self, label: str, slot: str) -> str | None:
        return self.texts.get((label, slot)) if self.may_read else WITHHELD


def read_words(folder: Path, address: str | None, may_read: bool) -> ReadBody | None:
    """Read a packet's body for one reader; None where nothing lies there. Parameters and errors as of `read_brief`."""
    body = read_body(folder, address) if address else None
    if body is None:
        return None
    return ReadBody(body, seen_texts(folder, body) if may_read else {}, may_read)


def read_brief(folder: Path, address: str | None, may_read: bool) -> PacketBrief:
    """Read a packet's body and make of it what this reader may see; empty where nothing lies there.

    Parameters
    ----------
    folder : `settings.restricted`
    address : `body_sha256` of the published row
    may_read : without it no text of a record is even looked up

    Raises
    ------
    RestrictedStoreError
        If the body is not what its address says.
    """
    read = read_words(folder, address, may_read)
    if read is None:
        return PacketBrief()
    body, texts = read.body, read.texts
    citations: Mapping[str, Any] = body["citations"]
    pieces = {label: one["values"]["evidence_id"] for label, one in citations.items() if one["kind"] == "evidence"}
    found: dict[str, list[Sentence]] = {}
    for line in body["brief"]:
        if line["section"] not in TOLD_ELSEWHERE:
            ids = tuple(pieces[label] for label in line["cites"] if label in pieces)
            found.setdefault(line["section"], []).append(Sentence(read.words(line["text"]), ids))
    return PacketBrief(
        tuple((heading, tuple(sentences)) for heading, sentences in found.items()),
        {pieces[label]: texts.get((label, "quote")) for label in pieces if "quote" in citations[label]["texts"]},
        {one["assumption_id"]: one["says"] for one in body["packet"]["assumptions"]},
        tuple(body["packet"]["causes"]),
    )
