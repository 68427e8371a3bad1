"""How the sentences on a risk that has ended are read back, for the verifier; knows no writer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from health_pipeline.risk.reading_back import DAY, Day, Number, Words

Facts = Mapping[str, Any]


def _ending(v: Facts, _: Any) -> dict[str, Any]:
    return {
        "state": Words(v["state"]),
        "ended": Day(v["ended_on"]),
        "reason": Words(v["reason"]) if v["reason"] else None,
        "outcome": Words(v["outcome"]) if v["outcome"] else None,
        "remains": v["remains"],
    }


def _done(v: Facts, _: Any) -> dict[str, Any]:
    approved = Day(v["approved_on"]) if v["approved_on"] else None
    return {
        "acting": approved if v["decision"] == "mitigate" else None,
        "carrying": approved if v["decision"] == "accept" else None,
        "actions": Number(v["actions"]),
        "answers": Number(v["responses"]),
    }


ENDING_READERS: dict[str, tuple[re.Pattern[str], Callable[[Facts, Any], dict[str, Any]]]] = {
    "ending": (
        re.compile(
            rf"(?P<state>Closed|Dismissed|Superseded) on {DAY('ended')}(?:, as (?P<reason>[a-z ]+))?\. "
            r"(?:The outcome a person recorded: (?P<outcome>[a-z ]+); observed, and nothing says that the review "
            r"caused it\.|No outcome is recorded\.)(?: The risk that remains is (?P<remains>[a-z]+)\.)?"
        ),
        _ending,
    ),
    "done": (
        re.compile(
            rf"(?:Acting on it was approved on {DAY('acting')}|Carrying the risk was approved on {DAY('carrying')}|"
            r"Nothing was approved); (?P<actions>[\d,]+) actions? and (?P<answers>[\d,]+) answers? of the customer "
            r"were recorded\."
        ),
        _done,
    ),
}
