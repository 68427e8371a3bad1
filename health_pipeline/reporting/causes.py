"""Common causes first: what many accounts share is found once, so that it is not read as news about each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from statistics import median

from health_pipeline.policy.company import DOMAIN_KINDS
from health_pipeline.policy.features import features
from health_pipeline.policy.wording import counted, percent
from health_pipeline.reporting.figures import listed
from health_pipeline.reporting.release_data import ReleaseData, Row

SOURCE_WORDS = {
    "crm": "CRM",
    "billing": "billing",
    "support": "support desk",
    "survey": "surveys",
    "usage": "product usage",
    "cs": "customer success platform",
    "projects": "projects",
    "risk": "risk register",
    "engagement": "meetings and messages",
}
# A source's new records of a week are unusual below three quarters or above four thirds of their median, if that is
# also more than four standard deviations of a count of that size (Poisson): twenty surveys for thirty are chance.
USUAL_FROM, USUAL_TO, DEVIATIONS = 0.75, 4 / 3, 4.0
WEEKS_NEEDED = 4
# A domain went dark together when a tenth of the accounts, and five at least, lost it in one week.
DARK_SHARE, DARK_ACCOUNTS = 0.1, 5
# The use of all accounts moved together when its median change is a tenth.
SEASON_CHANGE = 0.1
_PARTS = ("code", "policy", "scorecard", "coverage", "data")


@dataclass(frozen=True)
class Cause:
    """Something that many accounts share.

    Attributes
    ----------
    tag : a few words, for the table of movements
    sentence : what is known of it
    movements : account_ids of the movements it may explain
    """

    tag: str
    sentence: str
    movements: frozenset[str]


def common_causes(data: ReleaseData) -> list[Cause]:
    """Find what may explain many movements at once, the judging itself first, then sources, then the season.

    Each movement counts for the first cause that may explain it. A cause without a movement is told too: it may explain
    scores that did not cross a tier.
    """
    if data.before is None:
        return []
    changes = {row["account_id"]: row for row in data.changes}
    rows = {row["account_id"]: row for row in data.movements}
    left = set(rows)
    found = []
    for tag, sentence, may_explain in [
        *_judging(data),
        *_unusual_sources(data),
        *_dark_domains(data),
        *_season(data),
    ]:
        explained = frozenset(name for name in left if may_explain(rows[name], changes.get(name)))
        left -= explained
        found.append(Cause(tag, sentence, explained))
    return found


_Test = Callable[[Row, Row | None], bool]
_Found = tuple[str, str, _Test]


def largest_part(change: Row | None) -> str | None:
    """The part of a score's change that is largest: code, policy, scorecard, coverage or data; None where unsplit."""
    if change is None:
        return None
    parts = {part: change.get(f"change_from_{part}") or 0.0 for part in _PARTS}
    return max(_PARTS, key=lambda part: abs(parts[part])) if any(parts.values()) else None


def _judging(data: ReleaseData) -> list[_Found]:
    found: list[_Found] = []
    for part, column, what in (
        ("code", "code_version", "The scoring code is another version than last week's"),
        ("policy", "policy_version", "The policy documents are others than last week's"),
    ):
        before, now = data.versions[column]
        if before and now and before != now:
            found.append((f"changed {part}", _judged(data, part, what), _is_from(part)))
    scorecards = sum(abs(row.get("change_from_scorecard") or 0.0) > 0 for row in data.changes)
    if scorecards:
        what = f"{counted(scorecards, 'account')} {_is(scorecards)} judged by another scorecard than last week"
        found.append(("another scorecard", _judged(data, "scorecard", what), _is_from("scorecard")))
    return found


def _judged(data: ReleaseData, part: str, what: str) -> str:
    moved = [row.get(f"change_from_{part}") or 0.0 for row in data.changes]
    touched = [value for value in moved if value]
    if not touched:
        return f"{what}; no score changed by that."
    mean = sum(touched) / len(touched)
    return f"{what}: {counted(len(touched), 'score')} changed by that, by {mean:+.1f} points on average.".replace(
        "-", "\N{MINUS SIGN}"
    )


def _is_from(part: str) -> _Test:
    return lambda _, change: largest_part(change) == part


def _unusual_sources(data: ReleaseData) -> list[_Found]:
    found: list[_Found] = []
    for kind, words in SOURCE_WORDS.items():
        usual, now = usual_records(data, kind)
        if usual is None or now is None or not is_unusual(now, usual):
            continue
        share = now / usual
        difference = percent(abs(1 - share))
        more = "more" if share > 1 else "fewer"
        sentence = (
            f"{words[0].upper()}{words[1:]} brought {now:,} new records this week, {difference} {more} than usual "
            f"({usual:,.0f}): an outage, late records or the season, before it is news about an account."
        )
        found.append((f"unusual {words} data", sentence, _rests_on(data, kind)))
    return found


def usual_records(data: ReleaseData, kind: str) -> tuple[float | None, int | None]:
    """The median of a source's new records in the weeks before, and this week's; None where too little is known."""
    days = [data.week - timedelta(weeks=back) for back in range(10)]
    known = [data.records.get((kind, day)) for day in days]
    new = [None if later is None or earlier is None else later - earlier for later, earlier in pairwise(known)]
    before = [count for count in new[1:] if count is not None]
    if len(before) < WEEKS_NEEDED or not new or new[0] is None:
        return None, None
    return float(median(before)), new[0]


def is_unusual(now: int, usual: float) -> bool:
    """Whether a week's new records are far from the usual number, and by more than chance."""
    if usual <= 0:
        return False
    is_far = not USUAL_FROM <= now / usual <= USUAL_TO
    return is_far and abs(now - usual) > DEVIATIONS * math.sqrt(usual)


def _rests_on(data: ReleaseData, kind: str) -> _Test:
    def test(row: Row, change: Row | None) -> bool:
        measure = data.moved_measures.get(row["account_id"])
        found = features().get(measure.feature) if measure else None
        return found is not None and kind in DOMAIN_KINDS[found.domain] and drove(row, change)

    return test


def _dark_domains(data: ReleaseData) -> list[_Found]:
    found: list[_Found] = []
    for domain, accounts in sorted(data.went_dark.items(), key=lambda one: -len(one[1])):
        if len(accounts) < max(DARK_ACCOUNTS, DARK_SHARE * len(data.health)):
            continue
        kinds = listed([SOURCE_WORDS[kind] for kind in DOMAIN_KINDS[domain]])  # type: ignore[index]
        sentence = (
            f"{counted(len(accounts), 'account')} lost everything known of their {domain} this week (from {kinds}): "
            "their scores rest on less, and a movement may say more about the source than about them."
        )
        found.append((f"{domain} went dark", sentence, _is_one_of(accounts)))
    return found


def _is_one_of(accounts: set[str]) -> _Test:
    return lambda row, change: row["account_id"] in accounts and largest_part(change) in ("coverage", None)


def _season(data: ReleaseData) -> list[_Found]:
    change = data.usage_change_median
    if change is None or abs(change) < SEASON_CHANGE:
        return []
    direction = "less" if change < 0 else "more"
    sentence = (
        f"Half of all accounts use the product at least {percent(abs(change))} {direction} than in the four weeks "
        "before: a season, holidays or a shared event, before it is news about an account."
    )

    def test(row: Row, split: Row | None) -> bool:
        measure = data.moved_measures.get(row["account_id"])
        found = features().get(measure.feature) if measure else None
        is_along = row["movement"] == ("down" if change < 0 else "up")
        return found is not None and found.domain == "usage" and is_along and drove(row, split)

    return [(f"everybody uses it {direction}", sentence, test)]


def drove(row: Row, change: Row | None) -> bool:
    """Whether the main driver moved the score the way the tier went; in a second week it may have gone back a bit."""
    if change is None or not row["main_driver"] or change["main_driver_change"] is None:
        return False
    direction = {"up": 1, "down": -1}.get(row["movement"], 0)
    return bool(direction * change["main_driver_change"] > 0)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
