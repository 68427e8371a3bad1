"""Risks over the weeks: a signal that fires again is an occurrence; quiet is proposed for closing; a person closes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, cast

from health_pipeline.contract.case_states import ENDED
from health_pipeline.risk.model import Side

ONE_WEEK = timedelta(weeks=1)
# By Monday the packets that a person has closed, dismissed or superseded, and not reopened, as the week knew it.
Ended = Mapping[date, frozenset[str]]


def packet_id(account_id: str, side: str, episode: int) -> str:
    """Hash of account, side and episode: 32 hexadecimal digits, the same over weeks."""
    return hashlib.sha256("\x1f".join((account_id, side, str(episode))).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Episode:
    """One risk, or expansion, of an account as a week left it: all that the next week needs.

    Attributes
    ----------
    firing : first week in a row of each signal that fired in that week, by signal
    recent : newest week of each signal that fired lately, by signal
    is_closed : a person closed it; it stays only while the same signals go on, so that they open no new one
    is_told : its newest packet says already that it is quiet
    """

    account_id: str
    side: Side
    episode: int
    opened_week: date
    last_fired_week: date
    occurrences: int
    firing: Mapping[str, date] = field(default_factory=dict)
    recent: Mapping[str, date] = field(default_factory=dict)
    is_closed: bool = False
    is_told: bool = False

    @property
    def packet_id(self) -> str:
        """Stable over weeks."""
        return packet_id(self.account_id, self.side, self.episode)

    @property
    def key(self) -> tuple[str, Side]:
        """What an account has at most one open episode of."""
        return (self.account_id, self.side)


def step(
    before: Episode | None,
    last_episode: int,
    key: tuple[str, Side],
    week: date,
    fired: Iterable[str],
    ended: frozenset[str],
    openers: Iterable[str] | None = None,
) -> Episode | None:
    """One account's risk after a week.

    Parameters
    ----------
    before : the week before left it so; None: there was none
    last_episode : number of the account's newest episode of that side; 0 where there never was one
    key : account and side
    fired : signals that fired in the week, with evidence
    ended : packets that people have ended, as the week knew it
    openers : those of the signals that are strong enough to open a risk and to be an occurrence of it; None: all.
        The others are shown beside them, and keep nothing open

    Returns
    -------
    Episode or None
        None where nothing strong enough fired and nothing is open. In the week in which a closing became known the
        closed one is there once more, so that its packet says what happened.
    """
    signals = sorted(set(fired))
    strong = set(signals) if openers is None else set(openers) & set(signals)
    if before is not None and before.packet_id in ended:
        is_news = not before.is_closed
        return _after_closing(replace(before, is_closed=True), last_episode, week, signals, strong, is_news)
    if before is None:
        return _opened(key, last_episode + 1, week, signals) if strong else None
    return replace(
        before,
        is_closed=False,
        last_fired_week=week if strong else before.last_fired_week,
        occurrences=before.occurrences + bool(strong),
        firing={signal: before.firing.get(signal, week) for signal in signals},
        recent={**before.recent, **dict.fromkeys(signals, week)},
    )


def _after_closing(
    before: Episode, last_episode: int, week: date, signals: list[str], strong: set[str], is_news: bool
) -> Episode | None:
    """What goes on after a closing was decided on already; what is new opens the next episode."""
    if strong - set(before.firing):
        return _opened(before.key, last_episode + 1, week, signals)
    going_on = {signal: before.firing[signal] for signal in signals if signal in before.firing}
    return replace(before, firing=going_on) if going_on or is_news else None


def _opened(key: tuple[str, Side], episode: int, week: date, signals: list[str]) -> Episode:
    same = dict.fromkeys(signals, week)
    return Episode(*key, episode, week, week, 1, same, same)


def recent_signals(episode: Episode, week: date, within_days: int) -> dict[str, date]:
    """The signals that fired within the days before the week's end, with the newest week of each."""
    bound = week - timedelta(days=within_days)
    return {signal: newest for signal, newest in episode.recent.items() if newest > bound}


def is_quiet(episode: Episode, week: date, quiet_weeks: int) -> bool:
    """Whether nothing has fired for the policy's number of weeks: proposed for closing, not closed."""
    return (week - episode.last_fired_week) >= quiet_weeks * ONE_WEEK


def tell(
    before: Episode | None, after: Episode, week: date, quiet_weeks: int, taken_up: frozenset[str]
) -> tuple[Episode, bool]:
    """One account's risk as the next week finds it, and whether this week shows it.

    A quiet risk is shown in the week in which it fell quiet. That packet stands until a signal that opens risks fires,
    its closing becomes known, or a person works on it (`taken_up`): weaker signals that come and go are no news, and
    are forgotten with the weeks in which it waits.
    """
    if (
        before is not None
        and before.is_told
        and (after.packet_id, after.last_fired_week) == (before.packet_id, before.last_fired_week)
        and not after.is_closed
        and after.packet_id not in taken_up
    ):
        return replace(before, firing={}), False
    return replace(after, is_told=is_quiet(after, week, quiet_weeks) and not after.is_closed), True


class EpisodesBefore:
    """Every account's risks as the published weeks before a run left them.

    Parameters
    ----------
    rows : `COLUMNS` of risk_packets of weeks before the run's first one
    first_week : the run's first week; rows of it or later are ignored, so that a restatement starts where it should
    """

    COLUMNS = (
        *("packet_id", "account_id", "side", "episode", "week", "opened_week", "last_fired_week", "occurrences"),
        *("signals", "signals_since", "state", "is_quiet"),
    )

    def __init__(self, rows: Iterable[Mapping[str, Any]], first_week: date) -> None:
        self.last_episode: dict[tuple[str, Side], int] = {}
        self.open: dict[tuple[str, Side], Episode] = {}
        # in the week of a closing an account may have the closed one and the next one
        earlier = sorted(
            (row for row in rows if row["week"] < first_week), key=lambda row: (row["week"], row["episode"])
        )
        recent: dict[str, dict[str, date]] = {}
        for row in earlier:
            key = (row["account_id"], cast(Side, row["side"]))
            self.last_episode[key] = max(self.last_episode.get(key, 0), row["episode"])
            newest = recent.setdefault(row["packet_id"], {})
            newest.update(dict.fromkeys(_parts(row["signals"]), row["week"]))
            # an account that was no customer for a while comes back to the risk it had; one that was closed is over
            is_of_last_week = row["week"] == first_week - ONE_WEEK
            if is_of_last_week or row["state"] not in ENDED:
                self.open[key] = _episode(row, newest, is_of_last_week)
            else:
                self.open.pop(key, None)


def _episode(row: Mapping[str, Any], recent: Mapping[str, date], is_of_last_week: bool) -> Episode:
    since = [date.fromisoformat(part) for part in _parts(row["signals_since"])]
    return Episode(
        row["account_id"],
        row["side"],
        row["episode"],
        row["opened_week"],
        row["last_fired_week"],
        row["occurrences"],
        dict(zip(_parts(row["signals"]), since, strict=True)) if is_of_last_week else {},
        dict(recent),
        row["state"] in ENDED,
        row["is_quiet"] and row["state"] not in ENDED,
    )


def _parts(text: str | None) -> list[str]:
    return text.split(",") if text else []
