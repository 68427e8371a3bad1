"""How each kind of sentence of a brief is read back: a pattern, and what its parts must say by the fact it cites."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from health_pipeline.policy.wording import describe, readable
from health_pipeline.risk.reading_back import DAY, QUOTE, Amount, Day, Number, Text, Words

Facts = Mapping[str, Any]
TextOf = Callable[[str], Text | None]


def _moved(before: Any, now: Any) -> str | None:
    return None if before is None or now is None or before == now else "rose" if float(now) > float(before) else "fell"


def _number_of(value: Any) -> bool:
    return (
        value is not None and not isinstance(value, bool) and re.fullmatch(r"-?[\d.]+(e-?\d+)?", str(value)) is not None
    )


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


_WHY = {
    "missing": "no data came for this account",
    "stale": "its newest data is too old",
    "not_on_record": "nothing is on record",
    "no_record": "a figure says so, and no record behind it was found",
    "not_connected": "no source is connected",
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


def _change(v: Facts, _: TextOf) -> dict[str, Any]:
    before, now, what = v["before"], v["now"], v["what"]
    expected: dict[str, Any] = {"what": readable(what), "since": Day(v["since"])}
    if _number_of(before) and _number_of(now):
        return expected | {"moved": _moved(before, now), "from": Amount(what, before), "to": Amount(what, now)}
    return expected | {"was": _state(what, before), "is": _state(what, now)}


def _state(what: str, value: Any) -> Any:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _number_of(value):
        return Amount(what, value)
    return value.replace("expansion_ready", "expansion-ready").replace("_", " ") if what == "tier" else f"“{value}”"


def _person(v: Facts, text: TextOf) -> dict[str, Any]:
    return {
        "name": text("name"),
        "title": text("title"),
        "role": Words(v["role"]) if v["role"] else "role unknown",
        "there": "there" if v["is_there"] else None,
        "left": Day(v["left_on"]) if v["left_on"] and not v["is_there"] else None,
        "gone": "no longer there" if not v["is_there"] and not v["left_on"] else None,
        "touched": Day(v["touched_on"]) if v["touched_on"] else None,
        "missed": Number(v["missed"]) if v["missed"] else None,
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


def _mood(v: Facts, _: TextOf) -> dict[str, Any]:
    one_week, moved = v["first_week"] == v["last_week"], _moved(v["first"], v["last"])
    first, last = Amount(v["metric"], v["first"]), Amount(v["metric"], v["last"])
    return {
        "what": readable(v["metric"]),
        "only": last if one_week else None,
        "only_week": Day(v["last_week"]) if one_week else None,
        "was": first if not one_week and moved is None else None,
        "is": last if not one_week and moved is None else None,
        "moved": None if one_week else moved,
        "from": first if not one_week and moved else None,
        "to": last if not one_week and moved else None,
        "first_week": None if one_week else Day(v["first_week"]),
        "last_week": None if one_week else Day(v["last_week"]),
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
    for name, pair in (("inherent", v["inherent"]), ("current", v["current"])):
        for part, rating in zip(("likelihood", "impact"), pair, strict=True):
            expected[f"{name}_{part}"] = Number(rating) if rating else None
    for place, (category, signals, strongest, kinds) in enumerate(v["reasons"][:2], 1):
        found = {
            "category": Words(category),
            "signals": Number(signals),
            "strongest": strongest,
            "kinds": Number(kinds),
        }
        expected |= {f"{name}_{place}": value for name, value in found.items()}
    return expected


def _option(v: Facts, _: TextOf) -> dict[str, Any]:
    asked = v["preconditions"]
    return {
        "title": v["title"],
        "hours": Number(v["hours"]),
        "role": Words(v["approval_role"]),
        "alone": ", a person's choice alone" if v["is_sensitive"] else None,
        "not_met": " ".join(says for says, met in asked if met == "not_met") or None,
        "to_check": " ".join(says for says, met in asked if met == "to_be_checked") or None,
    }


def _count(name: str, noun: str) -> str:
    return rf"(?P<{name}>[\d,]+) {noun}s?"


def _rated(name: str) -> str:
    return ", ".join(rf"{part} (?:(?P<{name}_{part}>\d+) of 5|not assessed)" for part in ("likelihood", "impact"))


def _reason(place: int) -> str:
    return (
        rf"(?P<category_{place}>[a-z ]+) \({_count(f'signals_{place}', 'signal')}, the strongest "
        rf"(?P<strongest_{place}>[a-z]+), (?P<kinds_{place}>\d+) kinds? of source\)"
    )


READERS: dict[str, tuple[re.Pattern[str], Callable[[Facts, TextOf], dict[str, Any]]]] = {
    "header": (
        re.compile(
            rf"{QUOTE('account')}: (?P<category>[a-z ]+), (?:(?P<severity>[a-z]+) severity, "
            rf"(?P<status>[a-z]+)|severity "
            rf"not assessed)\. Week of {DAY('week')}, as known on {DAY('known')}; opened in the week of "
            rf"{DAY('opened')}, "
            rf"{_count('weeks', 'week')} with signals\. Owner: (?:{QUOTE('owner')}|nobody)\. Answer by "
            rf"{DAY('respond')}: "
            r"(?P<role>[a-z ]+), (?P<channel>.+)\."
        ),
        _header,
    ),
    "missing": (
        re.compile(r"(?P<what>.+) is not known: (?P<why>.+)\."),
        lambda v, _: {"what": Words(v["what"]), "why": _WHY.get(v["why"], v["why"].replace("_", " "))},
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
            rf"(?:{QUOTE('name')}|A goal without a name)(?: \((?P<status>[a-z ]+)\))? (?:has no date|was due on "
            rf"{DAY('overdue')} and is overdue|is due on {DAY('due')})(?:; (?:now (?P<now>[-\d.,]*\d))?(?:, "
            rf")?(?:agreed "
            rf"(?P<agreed>[-\d.,]*\d))?(?:, )?(?:at the start (?P<start>[-\d.,]*\d))?(?: in {QUOTE('unit')})?)?; "
            rf"(?:last validated on {DAY('validated')}|never validated)\."
        ),
        _goal,
    ),
    "goals_reached": (
        re.compile(r"(?P<goals>[\d,]+) goals? on record: (?P<reached>\d+) reached, (?P<open>\d+) open\."),
        lambda v, _: {name: Number(v[name]) for name in ("goals", "reached", "open")},
    ),
    "change": (
        re.compile(
            rf"(?P<what>.+?) (?:(?P<moved>rose|fell) from (?P<from>.+) to (?P<to>.+)|was (?P<was>.+) and is "
            rf"(?P<is>.+)) "
            rf"since the week of {DAY('since')}\."
        ),
        _change,
    ),
    "person": (
        re.compile(
            rf"(?:{QUOTE('name')}|A contact without a name)(?:, {QUOTE('title')})?, (?P<role>[a-z ]+): "
            rf"(?:(?P<there>there)|"
            rf"left on {DAY('left')}|(?P<gone>no longer there), since when is not known); (?:last two-way touch on "
            rf"{DAY('touched')}|no two-way touch on record)(?:; missed {_count('missed', 'meeting')}(?: since)?)?\."
        ),
        _person,
    ),
    "value": (
        re.compile(r"Recurring revenue of (?P<amount>[\d.,]+) (?P<currency>[A-Z]{3}) a year\."),
        lambda v, _: {"amount": Number(v["amount"]), "currency": v["currency"]},
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
    "mood": (
        re.compile(
            rf"(?P<what>.+?) (?:is (?P<only>\S+(?: %)?) in the week of {DAY('only_week')}|(?:was "
            rf"(?P<was>\S+(?: %)?) and is "
            rf"(?P<is>\S+(?: %)?), unchanged|(?P<moved>rose|fell) from (?P<from>\S+(?: %)?) to (?P<to>\S+(?: "
            rf"%)?)) between "
            rf"the weeks of {DAY('first_week')} and {DAY('last_week')})\."
        ),
        _mood,
    ),
    "register": (
        re.compile(
            rf"(?:{QUOTE('title')}|An entry without a title)(?: \((?P<category>[^()]+)\))? is (?P<status>[a-z "
            rf"]+) in the "
            rf"register, identified on {DAY('identified')}(?:, closed on {DAY('closed')})?(?:, likelihood "
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
            rf"Before any control {_rated('inherent')}; as it stands {_rated('current')}; residual: "
            rf"a person's to set\. Severity: (?P<severity>[a-z ]+), (?P<rule>[a-z ]+)\.(?: Category: "
            rf"{_reason(1)}(?: before {_reason(2)})?\.)?"
        ),
        _rating,
    ),
    "cause": (
        re.compile(r"(?P<status>[A-Z][a-z]+): (?P<says>.+)"),
        lambda v, _: {"status": Words(v["status"]), "says": v["says"]},
    ),
    "assumption": (
        re.compile(r"(?P<verified>Not verified|Verified): (?P<says>.+)"),
        lambda v, _: {"verified": "Verified" if v["is_verified"] else "Not verified", "says": v["says"]},
    ),
    "option": (
        re.compile(
            r"(?P<title>.+?), (?P<hours>[\d.]+) h, approved by the (?P<role>[a-z ]+)(?P<alone>, a person's "
            r"choice alone)?\."
            r"(?: Not met: (?P<not_met>.+?))?(?: To be checked: (?P<to_check>.+))?"
        ),
        _option,
    ),
    "stop_rule": (
        re.compile(r"(?P<says>.+) Blocks (?P<blocks>[a-z]+)\."),
        lambda v, _: {"says": v["says"], "blocks": v["blocks"]},
    ),
}
