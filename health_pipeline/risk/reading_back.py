"""Reads words of a brief back into dates, numbers and texts, and compares them with values; knows no writer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_DAY = r"\d{1,2} [A-Z][a-z]+ \d{4}"
_DAY_PARTS = re.compile(r"(\d{1,2}) ([A-Z][a-z]+) (\d{4})")
_WITHOUT_YEAR = re.compile(rf"“[^“”]*”|\b\d{{1,2}} (?:{'|'.join(name.title() for name in _MONTHS)})\b(?! \d{{4}})")
_NUMBERS = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_AMOUNT = re.compile(r"(?P<number>[-+]?[\d,]+(?:\.\d+)?)(?: (?P<unit>%|days?|hours?|minutes?))?")
_WINDOW = re.compile(r"_(\d+)[dw]$")
# Scales, and lengths of windows, that a description may name beside the value.
_CONSTANTS: dict[str, tuple[float, ...]] = {
    "csm_sentiment": (5,),
    "max_open_risk_severity": (25,),
    "active_days_28d": (28,),
    "mrr_change_share_90d": (90,),
    "text_sentiment_91d": (-1, 1),
}
_RISES, _FALLS = ("up", "rose", "more"), ("down", "fell", "less")
_DELETED = "[text deleted]"


def DAY(name: str) -> str:  # noqa: N802 - reads as the part of a pattern that it is
    """Pattern of a date in words, as a named group."""
    return rf"(?P<{name}>{_DAY})"


def QUOTE(name: str) -> str:  # noqa: N802
    """Pattern of a text in quotation marks, as a named group."""
    return rf"“(?P<{name}>[^“”]*)”"


@dataclass(frozen=True)
class Day:
    """A date as ISO 8601 text."""

    iso: str


@dataclass(frozen=True)
class Number:
    """A number, shown with at most two decimals."""

    value: Any


@dataclass(frozen=True)
class Whole:
    """A number, shown as a whole one."""

    value: Any


@dataclass(frozen=True)
class Amount:
    """A metric's value, shown in its unit."""

    metric: str
    value: Any


@dataclass(frozen=True)
class Words:
    """An identifier, shown in words."""

    name: str


@dataclass(frozen=True)
class Text:
    """A text as a reader sees it; None where it was deleted."""

    seen: str | None


def agrees(said: str | None, expected: object) -> bool:
    """Whether what a sentence says is what is expected; both may be nothing."""
    if said is None or expected is None:
        return said is None and expected is None
    if isinstance(expected, Day):
        return read_day(said) == expected.iso
    if isinstance(expected, Number):
        return _is_number(said, expected.value)
    if isinstance(expected, Whole):
        return _is_number(said, expected.value, Decimal("0.5"))
    if isinstance(expected, Amount):
        return _is_amount(said, expected.metric, expected.value)
    if isinstance(expected, Words):
        return said.lower() == expected.name.replace("_", " ").lower()
    if isinstance(expected, Text):
        return said == (_DELETED if expected.seen is None else expected.seen)
    wanted = str(expected)
    return said[:1].lower() + said[1:] == wanted[:1].lower() + wanted[1:]


def read_day(text: str) -> str | None:
    """A date in words as ISO 8601; None where it is no date."""
    found = _DAY_PARTS.fullmatch(text)
    if found is None or found.group(2).lower() not in _MONTHS:
        return None
    try:
        return date(int(found.group(3)), _MONTHS.index(found.group(2).lower()) + 1, int(found.group(1))).isoformat()
    except ValueError:
        return None


def days_in(text: str, between: str) -> list[str | None]:
    """Every date of `3 October and 4 November 2026`; what a date leaves out is that of the next; None is no date."""
    days: list[str | None] = []
    month = year = ""
    for part in reversed(text.split(between)):
        words = part.split(" ")
        if days and len(words) < 3:
            words = [*words, month, year] if len(words) == 1 else [*words, year]
        if len(words) == 3:
            month, year = words[1:]
        days.insert(0, read_day(" ".join(words)))
    return days


def with_year(text: str, year: str) -> str:
    """Give every date outside quotation marks that has no year the given one."""
    return _WITHOUT_YEAR.sub(lambda found: found[0] if found[0].startswith("“") else f"{found[0]} {year}", text)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None


def _is_number(said: str, value: Any, within: Decimal = Decimal("0.005")) -> bool:
    number = _decimal(said)
    return number is not None and abs(number - Decimal(str(value))) <= within


def _is_amount(said: str, metric: str, value: Any) -> bool:
    """Read back a value in its unit: `42 %` is a share of 0.42, `3 days` of a metric in minutes are 4,320."""
    if said in ("yes", "no"):
        return (float(value) >= 0.5) == (said == "yes")
    found = _AMOUNT.fullmatch(said)
    number = _decimal(found["number"]) if found else None
    if found is None or number is None:
        return False
    unit = (found["unit"] or "").removesuffix("s")
    exact = float(value)
    if unit == "%":
        return abs(float(number) - exact * 100) <= 0.5
    if unit == "":
        return _is_number(found["number"], value)
    is_in_minutes = "minutes" in metric
    scale = {"minute": 1.0, "hour": 60.0, "day": 1440.0}[unit] if is_in_minutes else 1.0
    return (is_in_minutes or unit == "day") and abs(float(number) - exact / scale) <= 0.5


def is_said_of(claim: str, metric: str, value: float) -> bool:
    """Whether the numbers and directions of a description follow from the value.

    Parameters
    ----------
    claim : such as `usage down 42 % on the four weeks before`
    metric : the feature; the length of its window may be named
    """
    window = _WINDOW.search(metric)
    constants = {*_CONSTANTS.get(metric, ()), *([float(window.group(1))] if window else [])}
    forms = {value, abs(value), value * 100, abs(value) * 100, value / 60, value / 1440}
    for text in _NUMBERS.findall(claim):
        number = float(text.replace(",", ""))
        if number not in constants and all(abs(number - form) > 0.5 for form in forms):
            return False
    said = claim.lower().split()
    if any(word in said for word in _RISES) and value < 0:
        return False
    return not (any(word in said for word in _FALLS) and value > 0)
