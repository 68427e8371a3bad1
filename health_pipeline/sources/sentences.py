"""The words of refusals and warnings: what is wanted, what was there, which name is closest."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from health_pipeline.contract.landing import Column


def first_line(error: Exception) -> str:
    """The first line of an error, without its full stop."""
    return str(error).splitlines()[0].strip().rstrip(".") if str(error) else type(error).__name__


def wanted(column: Column) -> str:
    """What the contract wants in that column, in words."""
    words = {
        "text": "a text",
        "integer": "a whole number",
        "number": "a finite number",
        "decimal": "an amount with two decimals",
        "date": "a date (YYYY-MM-DD)",
        "timestamp": "a UTC timestamp (YYYY-MM-DD HH:MM:SS)",
        "boolean": "true or false",
        "json": "JSON",
    }
    if column.vocabulary:
        return f"one of {', '.join(column.vocabulary)}"
    return words[column.type]


def shown(value: Any) -> str:
    """A value as it may stand in a sentence: quoted, not longer than 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def told(value: Any, most_words: int = 1) -> str:
    """A value of a delivery as it may stand in a refusal: as `shown`, but never a sentence or an address.

    Refusals are logged and posted, and a row that slipped by a column has a customer's sentence where a date should be.

    Parameters
    ----------
    most_words : a text of more words, or longer than 30 characters, is told by its length alone
    """
    if not isinstance(value, str):
        return shown(value)
    has_words = any(character.isalpha() for character in value) and len(value.split()) > most_words
    is_told = len(value) <= 30 and "@" not in value and not has_words
    return shown(value) if is_told else f"a text of {len(value)} characters"


def hint(column: Column, value: Any) -> str:
    """What to write instead, for the two mistakes that files make most."""
    if isinstance(value, str) and "," in value and column.type in ("decimal", "number", "integer"):
        return ", which looks like a decimal or thousands comma: replace it in the mapping's select"
    if isinstance(value, str) and column.type in ("date", "timestamp"):
        with suppress(ValueError):
            datetime.strptime(value.strip()[:10], "%d/%m/%Y")  # noqa: DTZ007 - only its form is asked
            return ", which looks like day/month/year: use strptime(column, '%d/%m/%Y') in the mapping's select"
    return ""


def validation_sentence(error: ValidationError) -> str:
    """What is wrong in a YAML document: each place, what it must be, what is there."""
    parts = []
    for problem in error.errors()[:5]:
        place = ".".join(str(part) for part in problem["loc"]) or "the document"
        message = problem["msg"].removeprefix("Value error, ")
        given = problem["input"]
        said = f" (it says {given!r})" if isinstance(given, str | int | float | bool) else ""
        parts.append(f"{place}: {message}{said}")
    more = error.error_count() - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "") + "."
