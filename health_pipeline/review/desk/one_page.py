"""A packet's brief as one page of paper: every sentence with its citations, texts for who may read them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from health_pipeline.review.desk.packet_brief import read_words
from health_pipeline.risk.phrasing import cited

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
    read = read_words(folder, address, may_read)
    if read is None:
        return ()
    lines = [(line["section"], read.words(cited(line["text"], line["cites"]))) for line in read.body["brief"]]
    return tuple(
        (heading, tuple(text for _, text in group)) for heading, group in groupby(lines, key=lambda line: line[0])
    )
