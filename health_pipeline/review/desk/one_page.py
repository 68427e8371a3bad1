"""A packet's brief as one page of paper: every sentence with its citations, texts for who may read them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from health_pipeline.review.desk.packet_brief import WITHHELD
from health_pipeline.risk.brief import render
from health_pipeline.risk.phrasing import cited
from health_pipeline.risk.restricted import read_body, seen_texts

Sections = tuple[tuple[str, tuple[str, ...]], ...]


def whole_brief(folder: Path, address: str | None, may_read: bool) -> Sections:
    """Headings and sentences of a stored brief, in its order; empty where nothing lies there.

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
    body = read_body(folder, address) if address else None
    if body is None:
        return ()
    texts = seen_texts(folder, body) if may_read else {}

    def seen(label: str, slot: str) -> str | None:
        return texts.get((label, slot)) if may_read else WITHHELD

    lines = [
        (line["section"], render(cited(line["text"], line["cites"]), seen).replace(f"“{WITHHELD}”", WITHHELD))
        for line in body["brief"]
    ]
    return tuple(
        (heading, tuple(text for _, text in group)) for heading, group in groupby(lines, key=lambda line: line[0])
    )
