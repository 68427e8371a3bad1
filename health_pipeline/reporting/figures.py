"""How figures are written in a report: money, changes, dates, clocks."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

# By name, not by locale: a report reads the same on every machine.
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
HARD_SPACE = "\N{NO-BREAK SPACE}"
UNKNOWN = "unknown"


def signed(number: float, digits: int = 0) -> str:
    """Write a change with its sign: `+3`, `−2`, `±0`."""
    text = f"{abs(number):,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return f"±{text}"
    return ("+" if number > 0 else MINUS) + text


def money(amount: Decimal | float | None, currency: str) -> str:
    """Write an amount short: `USD 1.93 M`, `USD 412 k`, `USD 950`; `unknown` for None, which is not zero."""
    if amount is None:
        return UNKNOWN
    return f"{currency}{HARD_SPACE}{short(amount)}"


def short(amount: Decimal | float) -> str:
    """Write a number short: `1.93 M`, `412 k`, `950`."""
    value = float(amount)
    sign = MINUS if value < 0 else ""
    value = abs(value)
    for size, unit in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        # 999,960 is 1.00 M, not 1,000 k.
        if value >= size * 0.9995:
            scaled = value / size
            digits = 2 if unit != "k" and scaled < 10 else 1 if unit != "k" and scaled < 100 else 0
            return f"{sign}{scaled:,.{digits}f}{HARD_SPACE}{unit}"
    return f"{sign}{value:,.0f}"


def amount(value: Decimal | float | None) -> str:
    """Write an amount in full for a table column that names the currency."""
    return UNKNOWN if value is None else f"{float(value):,.0f}".replace("-", MINUS)


def day(moment: date) -> str:
    """Write a date: `9 November 2026`."""
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def short_day(moment: date) -> str:
    """Write a date for an axis or a narrow column: `9 Nov`."""
    return f"{moment.day} {MONTHS[moment.month - 1][:3]}"


def week_span(monday: date) -> str:
    """Write a week: `9–15 November 2026`, `30 November – 6 December 2026`."""
    sunday = monday + timedelta(days=6)
    if monday.month == sunday.month:
        return f"{monday.day}{DASH}{day(sunday)}"
    first = f"{monday.day} {MONTHS[monday.month - 1]}"
    return f"{first if monday.year == sunday.year else day(monday)} {DASH} {day(sunday)}"


def clock(moment: datetime | None) -> str:
    """Write an instant: `16 Nov 2026, 06:00 UTC`; `never` for None."""
    if moment is None:
        return "never"
    return f"{short_day(moment)} {moment.year}, {moment:%H:%M} UTC"


def listed(words: list[str]) -> str:
    """Join words as prose: `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
