"""Every way to change one thing in a brief: a number, date, name, direction, a swap, a part, a fact, a citation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Lines = tuple[tuple[str, str], ...]
_CITATIONS = re.compile(r"(?: \[[A-Z]\d+(?: to [A-Z]\d+)?\])+$")
_ONE_CITATION = re.compile(r"\[([A-Z])(\d+)(?: to [A-Z](\d+))?\]")
# what joins the parts of a sentence, not within quotation marks
_JOINS = re.compile(r"(; |, | and (?:by |in )?)(?=(?:[^“”]*“[^“”]*”)*[^“”]*$)")
_MONTHS = r"January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = re.compile(rf"(\d{{1,2}}) ({_MONTHS})(?: (\d{{4}}))?")
_SHORT_DAYS = re.compile(rf"(\d{{1,2}}) (and|to) (\d{{1,2}}) (?={_MONTHS})")
_NUMBER = re.compile(r"(?<![\w.,])-?\d[\d,]*(?:\.\d+)?")
_QUOTE = re.compile(r"“([^“”]+)”")
_OPPOSITES = [
    ("up", "down"), ("rose", "fell"), ("is due", "was due"), ("is open", "is closed"), ("there", "gone"),
    ("met", "not met"), ("renews", "does not renew"), ("before", "after"), ("no", "an"),
    ("so it is", "not so"), ("high", "low"), ("critical", "medium"), ("Suspected", "Confirmed"),
    ("Unknown", "Corroborated"), ("Not verified", "Verified"), ("reached", "open"), ("approval", "proposal"),
    ("overdue", "on time"), ("support", "adoption"), ("ago", "ahead"), ("likelihood", "impact"),
    ("now", "agreed"), ("to", "and"), ("met", "verified"), ("There", "No longer there"),
]  # fmt: skip


def mutations(lines: Lines) -> Iterator[tuple[str, Lines]]:
    """Briefs with one thing changed, each with what was changed."""
    for place, (heading, line) in enumerate(lines):
        yield f"line {place} left out", (*lines[:place], *lines[place + 1 :])
        yield f"line {place} told twice", (*lines[: place + 1], *lines[place:])
        found = _CITATIONS.search(line)
        text, cites = (line[: found.start()], found.group(0)) if found else (line, "")
        for what, changed in {**dict(_texts(text)), **dict(_directions(text)), **dict(_parts(text))}.items():
            yield f"line {place}: {what}", (*lines[:place], (heading, changed + cites), *lines[place + 1 :])
        for what, changed in _cites(cites, lines):
            yield f"line {place}: {what}", (*lines[:place], (heading, text + changed), *lines[place + 1 :])
        if place and cites and lines[place - 1][0] == heading and _CITATIONS.search(lines[place - 1][1]):
            before, own = _CITATIONS.search(lines[place - 1][1]), cites
            assert before is not None
            other = (heading, lines[place - 1][1][: before.start()] + own)
            swapped = (*lines[: place - 1], other, (heading, text + before.group(0)), *lines[place + 1 :])
            yield f"lines {place - 1} and {place} with each other's citations", swapped
            merged = (*lines[: place - 1], (heading, lines[place - 1][1] + cites), *lines[place + 1 :])
            yield f"line {place} told in another's sentence", merged
        for what, changed, left in _members(text, cites):
            yield f"line {place}: {what}", (*lines[:place], (heading, changed + left), *lines[place + 1 :])


def _texts(text: str) -> Iterator[tuple[str, str]]:
    spans = [found.span() for found in _DATE.finditer(text)]
    for found in _DATE.finditer(text):
        day, month, year = found.groups()
        other_month = "March" if month != "March" else "July"
        of_year = f" {year}" if year else ""
        for changed in (
            f"{int(day) % 28 + 1} {month}{of_year}",
            f"{day} {other_month}{of_year}",
            f"{day} {month} {int(year or 2026) + 1}",
            *([f"{day} {month}"] if year and year != "2026" else []),
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


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """One part of a list dropped, told twice, or told in its neighbour's place."""
    cut = _JOINS.split(text.removesuffix("."))
    parts, joins = cut[0::2], cut[1::2]
    for place in range(len(parts)):
        if len(parts) > 1:
            # the head of a list goes with its first part
            kept = [*cut[: 2 * place - 1], *cut[2 * place + 1 :]] if place else cut[2:]
            yield f"part {place} dropped", "".join(kept) + "."
        if place < len(joins):
            twice = [*cut[: 2 * place + 1], joins[place], *cut[2 * place :]]
            yield f"part {place} told twice", "".join(twice) + "."
    for found in re.finditer(r": ", text):
        head, members = text[: found.end()], text[found.end() :].removesuffix(".").split("; ")
        for place in range(len(members) - 1):
            if members[place] != members[place + 1]:
                swapped = [*members[:place], members[place + 1], members[place], *members[place + 2 :]]
                yield f"members {place} and {place + 1} swapped after {found.end()}", head + "; ".join(swapped) + "."
    for found in _SHORT_DAYS.finditer(text):
        first, word, second = found.groups()
        changed = f"{second} {word} {first} "
        yield f"days at {found.start()} swapped", text[: found.start()] + changed + text[found.end() :]


def _members(text: str, cites: str) -> Iterator[tuple[str, str, str]]:
    """A member of a group left out with its citation, or its citation alone, or its words alone."""
    labels = _labels(cites)
    if len(labels) < 2:
        return
    opening, _, rest = text.partition(": ")
    members = rest.removesuffix(".").split("; ")
    for place in range(len(labels) - 1):
        turned = [*labels[:place], labels[place + 1], labels[place], *labels[place + 2 :]]
        if len(members) == len(labels) and members[place] != members[place + 1]:
            yield f"{labels[place]} and the next cited for each other", text, "".join(f" [{one}]" for one in turned)
    for place, label in enumerate(labels):
        left = "".join(f" [{other}]" for other in labels if other != label)
        yield f"{label} no longer cited", text, left
        if len(members) == len(labels):
            changed = f"{opening}: {'; '.join(members[:place] + members[place + 1 :])}."
            yield f"{label} left out of its group", changed, left
        counted = re.sub(rf"\b{len(labels)}(?= [a-z])", str(len(labels) - 1), text)
        if counted != text:
            yield f"{label} left out, and the count with it", counted, left


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
    labels = _labels(cites)
    known = sorted({label for _, line in lines for label in _labels(line)})
    for label in labels:
        for other in [*known, "E99"]:
            if other not in labels:
                yield f"{label} to {other}", "".join(f" [{other if one == label else one}]" for one in labels)
    if labels:
        yield "no citation", ""
    for found in re.finditer(r"\[([A-Z])(\d+) to [A-Z](\d+)\]", cites):
        letter, first, last = found.group(1), int(found.group(2)), int(found.group(3))
        for start, end in ((first + 1, last), (first, last - 1), (first, last + 1), (last, first), (first, 99)):
            changed = f"[{letter}{start} to {letter}{end}]"
            yield f"{found.group(0)} to {changed}", cites[: found.start()] + changed + cites[found.end() :]


def _labels(cites: str) -> list[str]:
    """The labels cited, each by itself."""
    return [
        f"{letter}{place}"
        for letter, first, last in _ONE_CITATION.findall(cites)
        for place in range(int(first), int(last or first) + 1)
    ]
