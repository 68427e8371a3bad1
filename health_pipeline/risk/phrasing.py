"""Words and forms of a brief: dates, amounts, nouns of records, and customers' texts as harmless data in quotes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date

from health_pipeline.policy.features import features
from health_pipeline.policy.wording import counted, describe, describe_against, duration, percent, readable

SHOWN_CHARACTERS = 200
ERASED = "[text deleted]"
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
TABLE_NOUNS = {
    "usage_event": "use",
    "usage_daily": "use",
    "support_ticket": "support ticket",
    "support_message": "support message",
    "survey_response": "survey answer",
    "cs_note": "note or meeting",
    "cs_goal": "goal",
    "crm_contact": "contact",
    "crm_opportunity": "deal",
    "billing_subscription": "subscription",
    "billing_invoice": "invoice",
    "billing_payment": "payment",
    "pm_project": "project",
    "pm_milestone": "milestone",
    "risk": "register entry",
}
MISSING_WORDS = {
    "missing": "no data came for this account",
    "stale": "the newest data is too old",
    "not_on_record": "nothing is on record",
    "no_record": "no record was found behind the figure",
    "not_connected": "no source is connected",
}
_SHARES = ("license_utilisation", "stickiness", "csat_91d")
# Marks of our own that a text must not be able to make: quotation marks, citations, placeholders.
_OWN_MARKS = str.maketrans({"“": '"', "”": '"', "[": "(", "]": ")", "⟦": "(", "⟧": ")"})
_SPACES = re.compile(r"\s+")


def shown(text: str) -> str:
    """A text of a record as a line of data: no control or direction characters, none of our own marks, cut if long."""
    kept = "".join(" " if unicodedata.category(mark)[0] in "CZ" else mark for mark in text)
    line = _SPACES.sub(" ", kept.translate(_OWN_MARKS)).strip()
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1].rstrip()}…"


def quoted(text: str) -> str:
    """A text that is no placeholder, shown as data."""
    return f"“{shown(text)}”"


def day(moment: date) -> str:
    """A date in words, such as `6 November 2026`."""
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def words(name: str) -> str:
    """An identifier in words."""
    return name.replace("_", " ")


def number(value: float) -> str:
    """A number with at most two decimals, such as `60,000` or `4.1`."""
    text = f"{float(value):,.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def is_share(metric: str) -> bool:
    """Whether a metric is a share, 0 to 1."""
    return metric in _SHARES or "_share" in metric or "_rate" in metric


def is_yes_or_no(metric: str) -> bool:
    """Whether a metric is yes or no."""
    known = features().get(metric)
    return known is not None and known.type == "boolean"


def amount(metric: str, value: float) -> str:
    """A value in its metric's own unit, without saying what it is."""
    if is_yes_or_no(metric):
        return "yes" if value >= 0.5 else "no"
    if is_share(metric):
        return percent(float(value))
    if "minutes" in metric:
        return duration(float(value))
    if "days" in metric.split("_"):
        return counted(float(value), "day")
    return number(value)


def claim(metric: str, value: float | None, is_against: bool = False) -> str:
    """What a metric's value says, of a risk or against it; its name alone where there is no value."""
    if value is None:
        return readable(metric)
    return describe_against(metric, float(value)) if is_against else describe(metric, float(value))


def spread(first: str, last: str, between: str) -> str:
    """Two claims as one, what they have in common said once: `CSM pulse 2 to 3 of 5`."""
    one, other = first.split(" "), last.split(" ")
    most = min(len(one), len(other)) - 1
    start = next((place for place in range(most) if one[place] != other[place]), most)
    if not start:
        return f"{first} {between} {last}"
    one, rest = one[start:], other[start:]
    while min(len(one), len(rest)) > 1 and one[-1] == rest[-1]:
        one, rest = one[:-1], rest[:-1]
    return " ".join([*other[:start], *one, between, *other[start:]])


def sentence(text: str) -> str:
    """The text with a capital letter."""
    return text[:1].upper() + text[1:]


def clause(text: str) -> str:
    """A sentence of a policy as a part of a list: no capital, no full stop, and no semicolon of its own."""
    part = text.strip().removesuffix(".").replace("; ", ", ")
    return part if part[1:2].isupper() else part[:1].lower() + part[1:]


def several(count: int, noun: str) -> str:
    """Records of a kind, such as `1 note or meeting`, `3 notes or meetings`; of use nobody counts the rows."""
    if noun == "use":
        return noun
    plural = " or ".join(f"{word[:-1]}ies" if word.endswith("y") else f"{word}s" for word in noun.split(" or "))
    return f"{count:,} {noun if count == 1 else plural}"


def days_listed(days: Sequence[date]) -> str:
    """One day, two days, or the first and the last of more, such as `3 to 19 October 2026`; days in order."""
    first, last = days[0], days[-1]
    if first == last:
        return day(last)
    start = str(first.day) if (first.year, first.month) == (last.year, last.month) else day(first)
    return f"{start} {'and' if len(days) == 2 else 'to'} {day(last)}"


def without_year(text: str, year: int) -> str:
    """Leave that year out of every date in words that is not within quotation marks."""
    dated = rf"“[^“”]*”|(\b\d{{1,2}} (?:{'|'.join(MONTHS)})) {year}\b"
    return re.sub(dated, lambda found: found[1] or found[0], text)


def cited(text: str, labels: Sequence[str]) -> str:
    """A sentence with its citations; three or more in a row are one mark, such as `[E3 to E8]`."""
    runs: list[list[str]] = []
    for label in labels:
        if runs and (label[0], int(label[1:])) == (runs[-1][-1][0], int(runs[-1][-1][1:]) + 1):
            runs[-1].append(label)
        else:
            runs.append([label])
    marks = [[f"{run[0]} to {run[-1]}"] if len(run) > 2 else run for run in runs]
    return " ".join([text, *(f"[{mark}]" for run in marks for mark in run)])


def listed(parts: Sequence[str]) -> str:
    """Parts as a list in words, such as `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
