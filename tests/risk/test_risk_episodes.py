"""Occurrences of a risk over the weeks: opened once, quiet, closed by a person, opened anew; whatever way it is run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.risk.episodes import Episode, EpisodesBefore, is_quiet, packet_id, recent_signals, step, tell
from health_pipeline.risk.model import Side

FIRST = date(2026, 1, 5)
QUIET_WEEKS = 2
# Opens nothing, and keeps nothing open.
WEAK = frozenset({"w"})
KEY: tuple[str, Side] = ("acc", "risk")


def monday(number: int) -> date:
    return FIRST + timedelta(weeks=number)


def fold(
    weeks: Sequence[Sequence[str]],
    closings: Mapping[str, date] | None = None,
    before: EpisodesBefore | None = None,
    first: int = 0,
    reopened: Mapping[int, frozenset[str]] | None = None,
) -> list[Episode | None]:
    """The account's risk after each week, from the signals that fired in it."""
    return [one for one, _ in told(weeks, closings, before, first, reopened)]


def told(
    weeks: Sequence[Sequence[str]],
    closings: Mapping[str, date] | None = None,
    before: EpisodesBefore | None = None,
    first: int = 0,
    reopened: Mapping[int, frozenset[str]] | None = None,
    taken_up: Collection[int] = (),
) -> list[tuple[Episode | None, bool]]:
    """The account's risk after each week, and whether the week shows it; in `taken_up` a person works on it."""
    state = before.open.get(KEY) if before else None
    newest = before.last_episode.get(KEY, 0) if before else 0
    found: list[tuple[Episode | None, bool]] = []
    for number, signals in enumerate(weeks, start=first):
        ended = frozenset(name for name, since in (closings or {}).items() if since <= monday(number))
        ended -= (reopened or {}).get(number, frozenset())
        before_it = state
        state = step(before_it, newest, KEY, monday(number), signals, ended, set(signals) - WEAK)
        newest = max(newest, state.episode if state else 0)
        is_shown = False
        if state is not None:
            working = frozenset({state.packet_id} if number in taken_up else ())
            state, is_shown = tell(before_it, state, monday(number), QUIET_WEEKS, working)
        found.append((state, is_shown))
    return found


def shown(weeks: Sequence[Sequence[str]], *given: Any, **more: Any) -> list[dict[str, Any] | None]:
    """The rows of risk_packets of the weeks; None where a week has none. Arguments as of `told`."""
    first = more.get("first", 0)
    found = enumerate(told(weeks, *given, **more), start=first)
    return [row(one, monday(number)) if one and is_shown else None for number, (one, is_shown) in found]


def row(episode: Episode, week: date) -> dict[str, Any]:
    """As risk_packets publishes it."""
    return {
        **{name: getattr(episode, name) for name in ("account_id", "side", "episode", "packet_id", "opened_week")},
        "week": week,
        "last_fired_week": episode.last_fired_week,
        "occurrences": episode.occurrences,
        "signals": ",".join(episode.firing) or None,
        "signals_since": ",".join(since.isoformat() for since in episode.firing.values()) or None,
        "state": "closed" if episode.is_closed else "detected",
        "is_quiet": is_quiet(episode, week, QUIET_WEEKS),
    }


def test_a_signal_that_fires_again_is_an_occurrence_of_the_same_risk():
    episodes = fold([["a"], ["a", "b"], [], ["c"]])
    assert {one.packet_id for one in episodes if one} == {packet_id("acc", "risk", 1)}
    assert [one.occurrences for one in episodes if one] == [1, 2, 2, 3]
    assert [one.last_fired_week for one in episodes if one] == [monday(0), monday(1), monday(1), monday(3)]
    assert [dict(one.firing) for one in episodes if one] == [
        {"a": monday(0)},
        {"a": monday(0), "b": monday(1)},
        {},
        {"c": monday(3)},
    ]


def test_nothing_fires_and_nothing_is_open():
    assert fold([[], []]) == [None, None]


def test_quiet_is_proposed_for_closing_and_stays_open():
    episodes = fold([["a"], *[[]] * 5])
    assert [is_quiet(one, monday(number), 4) for number, one in enumerate(episodes) if one] == [False] * 4 + [True] * 2
    assert not any(one.is_closed for one in episodes if one)


def test_only_a_person_closes_and_what_goes_on_opens_no_second_risk():
    closed = {packet_id("acc", "risk", 1): monday(2)}
    episodes = fold([["a"], ["a"], ["a"], ["a"], [], ["a"]], closed)
    assert [one.is_closed if one else None for one in episodes] == [False, False, True, True, None, False]
    assert [one.occurrences if one else None for one in episodes] == [1, 2, 2, 2, None, 1]
    assert (episodes[5].episode, episodes[5].opened_week) == (2, monday(5))  # type: ignore[union-attr]


def test_another_signal_after_the_closing_opens_the_next_episode_at_once():
    closed = {packet_id("acc", "risk", 1): monday(1)}
    episodes = fold([["a"], ["a", "b"]], closed)
    assert [one.episode for one in episodes if one] == [1, 2]


def test_a_risk_closed_while_quiet_is_over():
    closed = {packet_id("acc", "risk", 1): monday(2)}
    of_closing, after = fold([["a"], [], [], []], closed)[2:]
    # once more, so that its packet says what happened
    assert of_closing is not None and of_closing.is_closed and not of_closing.firing
    assert after is None


def test_a_risk_that_was_reopened_goes_on_where_it_was():
    closed = {packet_id("acc", "risk", 1): monday(1)}
    again = {2: frozenset(closed), 3: frozenset(closed)}
    episodes = fold([["a"], ["a"], ["a"], []], closed, reopened=again)
    assert [one.is_closed for one in episodes if one] == [False, True, False, False]
    assert [(one.episode, one.occurrences) for one in episodes if one] == [(1, 1), (1, 1), (1, 2), (1, 2)]


def test_recent_signals_are_those_within_the_days():
    (*_, last) = fold([["a"], ["b"], [], [], ["c"]])
    assert last is not None
    # 30 days before the Monday of week 4 are the weeks from 0 on; one more week, and a's is out
    assert recent_signals(last, monday(4), 30) == {"a": monday(0), "b": monday(1), "c": monday(4)}
    assert recent_signals(last, monday(5), 30) == {"b": monday(1), "c": monday(4)}


def test_an_account_that_was_no_customer_for_a_while_comes_back_to_its_risk():
    published = [row(one, monday(number)) for number, one in enumerate(fold([["a"], ["a"]])) if one]
    before = EpisodesBefore(published, monday(6))
    (again,) = fold([["a"]], before=before, first=6)
    assert again is not None
    assert (again.episode, again.occurrences, dict(again.firing)) == (1, 3, {"a": monday(6)})


def test_a_closed_risk_of_long_ago_is_over_and_its_number_is_taken():
    closed = {packet_id("acc", "risk", 1): monday(1)}
    published = [row(one, monday(number)) for number, one in enumerate(fold([["a"], ["a"], []], closed)) if one]
    (again,) = fold([["b"]], before=EpisodesBefore(published, monday(6)), first=6)
    assert again is not None
    assert (again.episode, again.occurrences) == (2, 1)


WEEKS = st.lists(st.lists(st.sampled_from("abw"), max_size=3, unique=True), min_size=1, max_size=10)
CLOSINGS = st.dictionaries(st.integers(1, 4), st.integers(0, 9), max_size=3)


REOPENED = st.dictionaries(st.integers(0, 9), st.sets(st.integers(1, 4)), max_size=4)
TAKEN_UP = st.sets(st.integers(0, 9), max_size=4)


@given(WEEKS, CLOSINGS, REOPENED, TAKEN_UP, st.integers(0, 9))
def test_a_run_per_week_from_published_rows_shows_the_same(weeks, closings, reopened, taken_up, cut):
    closed = {packet_id("acc", "risk", episode): monday(number) for episode, number in closings.items()}
    open_again = {
        number: frozenset(packet_id("acc", "risk", episode) for episode in episodes)
        for number, episodes in reopened.items()
    }
    whole = shown(weeks, closed, reopened=open_again, taken_up=taken_up)
    published = [one for one in whole if one]
    # rows of the run's own weeks are there in a restatement, and count for nothing
    before = EpisodesBefore(published, monday(cut))
    again = shown(weeks[cut:], closed, before, first=cut, reopened=open_again, taken_up=taken_up)
    assert again == whole[cut:]
    # what a run reads: of a packet's weeks with the same signals the newest
    newest = {(one["packet_id"], one["signals"]): one for one in published if one["week"] < monday(cut)}
    read = EpisodesBefore(newest.values(), monday(cut))
    assert (read.open, read.last_episode) == (before.open, before.last_episode)


def test_a_quiet_risk_is_shown_once_until_something_fires_or_a_person_works_on_it():
    weeks = [["a"], [], [], [], [], ["b"], [], [], [], []]
    quiet = [(one["week"], one["is_quiet"]) for one in shown(weeks) if one]
    # two weeks of silence make it quiet in week 2, and again in week 7
    assert quiet == [(monday(n), n in (2, 7)) for n in (0, 1, 2, 5, 6, 7)]
    worked_on = [one and one["week"] for one in shown(weeks, taken_up={4})]
    assert worked_on == [monday(0), monday(1), monday(2), None, *map(monday, (4, 5, 6, 7)), None, None]


def test_a_weak_signal_is_no_news_of_a_quiet_risk():
    found = shown([["a", "w"], ["w"], ["w"], ["w"], [], ["w"], ["a", "w"]])
    assert [one and one["week"] for one in found] == [monday(0), monday(1), monday(2), None, None, None, monday(6)]
    # it counts from the week that shows it again
    assert found[6] is not None
    assert (found[6]["signals"], found[6]["signals_since"]) == ("a,w", f"{monday(6)},{monday(6)}")


def test_a_quiet_risk_that_waits_is_shown_when_its_closing_becomes_known():
    closed = {packet_id("acc", "risk", 1): monday(5)}
    found = [one and (one["week"], one["state"]) for one in shown([["a"], *[[]] * 6], closed)]
    assert found[2:] == [(monday(2), "detected"), None, None, (monday(5), "closed"), None]


@given(WEEKS, CLOSINGS)
def test_what_always_holds(weeks, closings):
    closed = {packet_id("acc", "risk", episode): monday(number) for episode, number in closings.items()}
    episodes = [one for one in fold(weeks, closed) if one]
    fired = sum(bool(set(signals) - WEAK) for signals in weeks)
    assert all(1 <= one.occurrences <= fired for one in episodes)
    assert all(one.opened_week <= one.last_fired_week for one in episodes)
    numbers = [one.episode for one in episodes]
    assert numbers == sorted(numbers)
    # without a person's closing there is one risk, however often it fires
    if not closed:
        assert set(numbers) <= {1}
