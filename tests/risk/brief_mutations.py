"""Every way to change one thing in a brief: a number, date, name or direction, a swap, a fact, a citation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Lines = tuple[tuple[str, str], ...]
_CITATIONS = re.compile(r"(?: \[[A-Z]\d+\])+$")
_MONTHS = r"January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = re.compile(rf"(\d{{1,2}}) ({_MONTHS}) (\d{{4}})")
_NUMBER = re.compile(r"(?<![\w.,])-?\d[\d,]*(?:\.\d+)?")
_QUOTE = re.compile(r"“([^“”]+)”")
_OPPOSITES = [
    ("up", "down"), ("rose", "fell"), ("is due", "was due"), ("is open", "is closed"), ("there", "gone"),
    ("met", "not met"), ("renews", "does not renew"), ("before", "after"), ("no", "an"),
    ("so it is", "not so"), ("high", "low"), ("critical", "medium"), ("Suspected", "Confirmed"),
    ("Unknown", "Corroborated"), ("Not verified", "Verified"), ("reached", "open"), ("approval", "proposal"),
    ("overdue", "on time"), ("support", "adoption"), ("ago", "ahead"), ("likelihood", "impact"),
    ("now", "agreed"),
]  # fmt: skip


def mutations(lines: Lines) -> Iterator[tuple[str, Lines]]:
    """Briefs with one thing changed, each with what was changed."""
    for place, (heading, line) in enumerate(lines):
        yield f"line {place} left out", (*lines[:place], *lines[place + 1 :])
        yield f"line {place} told twice", (*lines[: place + 1], *lines[place:])
        found = _CITATIONS.search(line)
        text, cites = (line[: found.start()], found.group(0)) if found else (line, "")
        for what, changed in {**dict(_texts(text)), **dict(_directions(text))}.items():
            yield f"line {place}: {what}", (*lines[:place], (heading, changed + cites), *lines[place + 1 :])
        for what, changed in _cites(cites, lines):
            yield f"line {place}: {what}", (*lines[:place], (heading, text + changed), *lines[place + 1 :])


def _texts(text: str) -> Iterator[tuple[str, str]]:
    spans = [found.span() for found in _DATE.finditer(text)]
    for found in _DATE.finditer(text):
        day, month, year = found.groups()
        other_month = "March" if month != "March" else "July"
        for changed in (
            f"{int(day) % 28 + 1} {month} {year}",
            f"{day} {other_month} {year}",
            f"{day} {month} {int(year) + 1}",
        ):
            yield f"date at {found.start()} to {changed}", text[: found.start()] + changed + text[found.end() :]
    numbers = [
        found for found in _NUMBER.finditer(text) if not any(start <= found.start() < end for start, end in spans)
    ]
    for found in numbers:
        exact = float(found.group(0).replace(",", ""))
        for changed in (f"{exact + 1:g}", f"{exact * 10 + 3:g}", f"{-exact - 2:g}"):
            yield f"number at {found.start()} to {changed}", text[: found.start()] + changed + text[found.end() :]
    for first, second in _pairs(numbers):
        if first.group(0) != second.group(0):
            swapped = (
                text[: first.start()]
                + second.group(0)
                + text[first.end() : second.start()]
                + first.group(0)
                + text[second.end() :]
            )
            yield f"numbers at {first.start()} and {second.start()} swapped", swapped
    dates = list(_DATE.finditer(text))
    for first, second in _pairs(dates):
        if first.group(0) != second.group(0):
            swapped = (
                text[: first.start()]
                + second.group(0)
                + text[first.end() : second.start()]
                + first.group(0)
                + text[second.end() :]
            )
            yield f"dates at {first.start()} and {second.start()} swapped", swapped
    for found in _QUOTE.finditer(text):
        yield f"name at {found.start()}", f"{text[: found.start(1)]}Somebody Else{text[found.end(1) :]}"
        yield f"name at {found.start()} cut", text[: found.end(1) - 1] + text[found.end(1) :]


def _pairs(found: Sequence[re.Match[str]]) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    for place, first in enumerate(found):
        for second in found[place + 1 :]:
            yield first, second


def _directions(text: str) -> Iterator[tuple[str, str]]:
    for one, other in _OPPOSITES:
        for word, instead in ((one, other), (other, one)):
            for found in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text):
                changed = text[: found.start()] + instead + text[found.end() :]
                yield f"{word!r} at {found.start()} to {instead!r}", changed


def _cites(cites: str, lines: Lines) -> Iterator[tuple[str, str]]:
    labels = re.findall(r"\[([A-Z]\d+)\]", cites)
    known = sorted({label for _, line in lines for label in re.findall(r"\[([A-Z]\d+)\]", line)})
    for label in labels:
        for other in [*known, "E99"]:
            if other not in labels:
                yield f"{label} to {other}", cites.replace(f"[{label}]", f"[{other}]")
    if labels:
        yield "no citation", ""
