"""How each kind of sentence of a brief is read back: a pattern, and what its parts must say by the fact it cites."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from health_pipeline.policy.wording import describe, readable
from health_pipeline.risk.ending_readers import ENDING_READERS
from health_pipeline.risk.reading_back import DAY, QUOTE, Day, Number, Text, Whole, Words

Facts = Mapping[str, Any]
TextOf = Callable[[str], Text | None]


def _header(v: Facts, _: TextOf) -> dict[str, Any]:
    return {
        "account": Text(v["account"] or v["account_id"]),
        "category": Words(v["category"]),
        "severity": v["severity"],
        "status": v["severity_status"] if v["severity"] else None,
        "week": Day(v["week"]),
        "known": Day(v["known_on"]),
        "opened": Day(v["opened_week"]),
        "weeks": Number(v["occurrences"]),
        "owner": Text(v["owner"]) if v["owner"] else None,
        "respond": Day(v["respond_by"]),
        "role": Words(v["role"]),
        "channel": v["channel"],
    }


def _event(v: Facts, _: TextOf) -> dict[str, Any]:
    said = [readable(metric) if value is None else describe(metric, float(value)) for metric, value in v["because_of"]]
    observed = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return {"observed": observed, **{name: v[name] for name in ("affecting", "possibility", "resulting_in")}}


def _goal(v: Facts, text: TextOf) -> dict[str, Any]:
    due = Day(v["due_date"]) if v["due_date"] else None
    has_figures = any(v[name] is not None for name in ("current", "target", "baseline"))
    return {
        "name": text("name"),
        "status": Words(v["status"]) if v["status"] else None,
        "overdue": due if v["is_overdue"] else None,
        "due": None if v["is_overdue"] else due,
        "now": Number(v["current"]) if v["current"] is not None else None,
        "agreed": Number(v["target"]) if v["target"] is not None else None,
        "start": Number(v["baseline"]) if v["baseline"] is not None else None,
        "unit": text("unit") if has_figures else None,
        "validated": Day(v["validated_on"]) if v["validated_on"] else None,
    }


def _contract(v: Facts, _: TextOf) -> dict[str, Any]:
    days = v["days"]
    renews = {True: "renews", False: "does not renew", None: None}[v["is_auto_renewing"]]
    return {
        "ends": Day(v["period_ends_on"]) if v["period_ends_on"] else None,
        "in": Number(days) if days is not None and days >= 0 else None,
        "ago": Number(-days) if days is not None and days < 0 else None,
        "renews": renews,
        "notice": Day(v["ends_on"]) if v["ends_on"] else None,
    }


def _register(v: Facts, text: TextOf) -> dict[str, Any]:
    is_rated = v["likelihood"] is not None and v["impact"] is not None
    return {
        "title": text("title"),
        "category": Words(v["category"]) if v["category"] else None,
        "status": Words(v["status"]) if v["status"] else "of unknown status",
        "identified": Day(v["identified_on"]),
        "closed": Day(v["closed_on"]) if v["closed_on"] else None,
        "likelihood": Number(v["likelihood"]) if is_rated else None,
        "impact": Number(v["impact"]) if is_rated else None,
    }


def _episode(v: Facts, _: TextOf) -> dict[str, Any]:
    return {
        "side": v["side"],
        "category": Words(v["category"]),
        "severity": v["severity"],
        "opened": Day(v["opened_week"]),
        "last": Day(v["last_week"]),
        "state": Words(v["state"]),
    }


_WHY_SEVERITY = {
    "by the matrix": "matrix",
    "because a critical signal fired": "always_critical",
    "as when something fired last": "as_last_fired",
    "because nothing fires": "nothing_fired",
    "because nothing supports it": "no_evidence",
    "because the value at stake is not known": "value_unknown",
    "confirmed by a person": "confirmed",
}


def _rating(v: Facts, _: TextOf) -> dict[str, Any]:
    rule = next(said for said, name in _WHY_SEVERITY.items() if name == v["rule"])
    expected: dict[str, Any] = {"severity": v["severity"] or "none suggested", "rule": rule}
    expected["may_remain"], expected["remains"] = v["residual"]
    expected["not_set"] = None if any(v["residual"]) else "residual risk not set"
    for name, pair in (("inherent", v["inherent"]), ("current", v["current"])):
        for part, rating in zip(("likelihood", "impact"), pair, strict=True):
            expected[f"{name}_{part}"] = Number(rating) if rating else "not assessed"
    for place, (category, signals, strongest, kinds) in enumerate(v["reasons"][:2], 1):
        found = {
            "category": Words(category),
            "signals": Number(signals),
            "strongest": strongest,
            "kinds": Number(kinds),
        }
        expected |= {f"{name}_{place}": value for name, value in found.items()}
    return expected


def _count(name: str, noun: str) -> str:
    return rf"(?P<{name}>[\d,]+) {noun}s?"


def _reason(place: int) -> str:
    return (
        rf"(?P<category_{place}>[a-z ]+) \({_count(f'signals_{place}', 'signal')}, strongest "
        rf"(?P<strongest_{place}>[a-z]+), (?P<kinds_{place}>\d+) kinds? of source\)"
    )


def _second_reason(place: int) -> str:
    return (
        rf"(?P<category_{place}>[a-z ]+) \({_count(f'signals_{place}', 'signal')}, (?P<strongest_{place}>[a-z]+), "
        rf"(?P<kinds_{place}>\d+) kinds?\)"
    )


READERS: dict[str, tuple[re.Pattern[str], Callable[[Facts, TextOf], dict[str, Any]]]] = {
    **ENDING_READERS,
    "header": (
        re.compile(
            rf"{QUOTE('account')}: (?P<category>[a-z ]+), (?:(?P<severity>[a-z]+) severity \((?P<status>[a-z]+)\)|"
            rf"severity not assessed)\. Week of {DAY('week')}, known on {DAY('known')}; open since the week of "
            rf"{DAY('opened')}, {_count('weeks', 'week')} with signals\. (?:Owner {QUOTE('owner')}|No owner); the "
            rf"(?P<role>[a-z ]+) answers by {DAY('respond')} \((?P<channel>.+)\)\."
        ),
        _header,
    ),
    "event": (
        re.compile(
            r"Because of (?P<observed>.+), affecting (?P<affecting>.+), there is a possibility that "
            r"(?P<possibility>.+), "
            r"resulting in (?P<resulting_in>.+)\."
        ),
        _event,
    ),
    "quiet": (
        re.compile(
            rf"Nothing fired in this week; the last time was the week of {DAY('last')}\.(?P<quiet> It is proposed for "
            r"closing, and only a person closes it\.)?"
        ),
        lambda v, _: {
            "last": Day(v["last_fired_week"]),
            "quiet": " It is proposed for closing, and only a person closes it." if v["is_quiet"] else None,
        },
    ),
    "goal": (
        re.compile(
            rf"(?:{QUOTE('name')}|A goal without a name)(?: \((?P<status>[a-z ]+)\))?, (?:without a date|due on "
            rf"{DAY('overdue')}, overdue|due on {DAY('due')})(?:; (?:now (?P<now>[-\d.,]*\d))?(?:, )?(?:agreed "
            rf"(?P<agreed>[-\d.,]*\d))?(?:, )?(?:start (?P<start>[-\d.,]*\d))?(?: {QUOTE('unit')})?)?; "
            rf"(?:validated on {DAY('validated')}|never validated)\."
        ),
        _goal,
    ),
    "goals_reached": (
        re.compile(r"(?P<goals>[\d,]+) goals? on record: (?P<reached>\d+) reached, (?P<open>\d+) open\."),
        lambda v, _: {name: Number(v[name]) for name in ("goals", "reached", "open")},
    ),
    "value": (
        re.compile(r"Recurring revenue of (?P<amount>-?[\d,]+) (?P<currency>[A-Z]{3}) a year\."),
        lambda v, _: {"amount": Whole(v["amount"]), "currency": v["currency"]},
    ),
    "contract": (
        re.compile(
            rf"(?:The end of the contract's period is unknown|The contract's period ends on {DAY('ends')}, (?:in "
            rf"{_count('in', 'day')}|{_count('ago', 'day')} ago)); (?:it (?P<renews>renews|does not renew) by "
            rf"itself|whether "
            rf"it renews by itself is unknown)(?:; a notice ends it on {DAY('notice')})?\."
        ),
        _contract,
    ),
    "deal": (
        re.compile(
            rf"A renewal is open (?:in the stage {QUOTE('stage')}|in a stage that is not known)(?:, due on "
            rf"{DAY('due')})?\."
        ),
        lambda v, _: {
            "stage": Text(v["stage"]) if v["stage"] else None,
            "due": Day(v["due_date"]) if v["due_date"] else None,
        },
    ),
    "register": (
        re.compile(
            rf"(?:{QUOTE('title')}|An entry without a title)(?: \((?P<category>[^()]+)\))?: (?P<status>[a-z ]+?)"
            rf"(?: on {DAY('closed')})?, in the register since {DAY('identified')}(?:, likelihood "
            r"(?P<likelihood>\d+) and impact (?P<impact>\d+) of 5)?\."
        ),
        _register,
    ),
    "episode": (
        re.compile(
            rf"An earlier (?P<side>[a-z]+) \((?P<category>[a-z ]+), (?:(?P<severity>[a-z]+) severity|severity "
            rf"not assessed)\) "
            rf"ran from the week of {DAY('opened')} to the week of {DAY('last')}; its state was (?P<state>[a-z ]+)\."
        ),
        _episode,
    ),
    "rating": (
        re.compile(
            r"Likelihood (?P<inherent_likelihood>\d|not assessed) and impact (?P<inherent_impact>\d|not assessed) of 5 "
            r"before any control, (?P<current_likelihood>\d|not assessed) and (?P<current_impact>\d|not assessed) as "
            r"it stands; (?:(?P<not_set>residual risk not set)|the risk that (?:may remain is (?P<may_remain>[a-z]+))?"
            r"(?: and that )?(?:remains is (?P<remains>[a-z]+))?)\. Severity: (?P<severity>[a-z ]+), "
            rf"(?P<rule>[a-z ]+)\.(?: Category: {_reason(1)}(?:, ahead of {_second_reason(2)})?\.)?"
        ),
        _rating,
    ),
    "cause": (
        re.compile(r"(?P<status>[A-Z][a-z]+): (?P<says>.+)"),
        lambda v, _: {"status": Words(v["status"]), "says": v["says"]},
    ),
}
