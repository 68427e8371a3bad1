"""The risks of a run's weeks, folded in order: observe, gather evidence, and take up what the week before left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.policy.features import feature
from health_pipeline.policy.risk_signals import CounterEvidence, RiskSignal, RiskSignalPolicy
from health_pipeline.risk.benign import BenignChecks, fitting
from health_pipeline.risk.episodes import Ended, Episode, EpisodesBefore, is_quiet, recent_signals, step, tell
from health_pipeline.risk.evidence import RecordsBySet, Showing, pieces
from health_pipeline.risk.model import BenignCheck, Evidence, FiredSignal, Pattern, Reading, Risk, Severity, Side
from health_pipeline.risk.opening import openers
from health_pipeline.risk.patterns import FeaturePaths, patterns_of
from health_pipeline.risk.signals import FeatureRows, Observed, is_applicable, missing_domains, observe, readings
from health_pipeline.risk.strength import strongest_first

SIDES: tuple[Side, ...] = ("risk", "expansion")
NO_RECORD = "no_record"
# The records of accounts in a week, by account: `records_of(week, account_ids)`.
RecordsOf = Callable[[Week, Sequence[str]], Mapping[str, RecordsBySet]]


@dataclass(frozen=True)
class RiskInputs:
    """What a run's weeks are reviewed from.

    Attributes
    ----------
    features : Table, a row per account and week, columns of account_features_weekly; other weeks are ignored
    records_of : looks up landed records of accounts in a week
    before : risks as the published weeks before left them
    policy, not_applicable_domains : what fires, and what the company does not have
    query_hash : of the compiled model behind `records_of`
    ended : packets that people have ended, by the week that knows it
    taken_up : packets that people have begun to work on, by the week that knows it
    paths : values of the features of `path_of`, of the weeks before too; None: no path is known
    """

    features: pa.Table
    records_of: RecordsOf
    before: EpisodesBefore
    policy: RiskSignalPolicy
    not_applicable_domains: tuple[str, ...] = ()
    query_hash: str = ""
    ended: Ended = field(default_factory=dict)
    taken_up: Ended = field(default_factory=dict)
    paths: FeaturePaths | None = None


@dataclass(frozen=True)
class ReviewedWeek:
    """One week's risks, by account and side, and what was observed over all accounts.

    Attributes
    ----------
    risks : open ones, and those whose closing became known. A quiet one that nobody works on is there once, in the week
        in which it fell quiet
    waiting : quiet ones that were there in a week before, and wait for a person to close them
    fired : accounts on which each signal fired
    without_record : accounts on which it was met and no landed record shows it, so that it did not fire
    unknown : accounts on which it might be met, and what it reads is not known
    not_evaluated : signals of domains that the company does not have
    """

    week: Week
    risks: tuple[Risk, ...]
    waiting: int
    fired: Mapping[str, int]
    without_record: Mapping[str, int]
    unknown: Mapping[str, int]
    not_evaluated: tuple[str, ...]


def review_weeks(inputs: RiskInputs, weeks: Sequence[Week]) -> Iterator[ReviewedWeek]:
    """Review the weeks in order; a run over many weeks and a run per week from published rows give the same risks.

    Raises
    ------
    ValueError
        If the weeks are not in order without a hole.
    """
    if any(later != earlier.shift(1) for earlier, later in pairwise(weeks)):
        raise ValueError(f"the weeks {', '.join(map(str, weeks))} are not consecutive; review them in order")
    episodes = dict(inputs.before.open)
    last_episode = dict(inputs.before.last_episode)
    for week in weeks:
        reviewed = _WeekReview(inputs, week, episodes, last_episode)
        yield reviewed.run()


@dataclass(frozen=True)
class _Shown:
    """A signal that is met in a row, with what was read and the records that show it, or explain it."""

    signal: RiskSignal
    readings: tuple[Reading, ...]
    evidence: tuple[Evidence, ...]
    benign: tuple[BenignCheck, ...]
    explaining: tuple[Evidence, ...]


class _WeekReview:
    """One week: `episodes` and `last_episode` are taken from the week before, and left for the next."""

    def __init__(
        self,
        inputs: RiskInputs,
        week: Week,
        episodes: dict[tuple[str, Side], Episode],
        last_episode: dict[tuple[str, Side], int],
    ) -> None:
        self.inputs, self.policy, self.week = inputs, inputs.policy, week
        self.episodes, self.last_episode = episodes, last_episode
        self.ended = inputs.ended.get(week.monday, frozenset())
        self.taken_up = inputs.taken_up.get(week.monday, frozenset())
        of_week = pc.equal(inputs.features["week"], pa.scalar(week.monday, pa.date32()))
        table = inputs.features.filter(of_week).sort_by("account_id")
        self.rows = FeatureRows(table)
        self.accounts: list[str] = table["account_id"].to_pylist()
        off = inputs.not_applicable_domains
        self.signals = [signal for signal in self.policy.signals if is_applicable(signal, off)]
        self.levels = {signal.id: signal.contribution for signal in self.policy.signals}
        self.observed: dict[str, Observed] = {signal.id: observe(self.rows, signal) for signal in self.signals}
        self.counter = [
            (entry, observe(self.rows, entry)) for entry in self.policy.counter_evidence if is_applicable(entry, off)
        ]
        self.benign = BenignChecks(self.policy.benign_explanations, self.rows, off)
        self.days_to_renewal = self.rows.known("days_to_renewal", is_known_when_stale=True)
        self.read_domains = tuple(
            dict.fromkeys(feature(name).domain for one in self.policy.observations for name in one.features)
        )
        self.showing = Showing(self.policy.records_per_set, inputs.query_hash)
        self.without_record: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.waiting = 0

    def run(self) -> ReviewedWeek:
        is_met = np.any([one.is_met for one in self.observed.values()], axis=0) if self.observed else np.empty(0)
        met = {
            row: [signal for signal in self.signals if self.observed[signal.id].is_met[row]]
            for row in np.flatnonzero(is_met).tolist()
        }
        is_open = {account for account, _ in self.episodes}
        reviewed = sorted({*met, *(row for row, account in enumerate(self.accounts) if account in is_open)})
        records = self.inputs.records_of(self.week, [self.accounts[row] for row in met])
        risks = tuple(
            risk
            for row in reviewed
            for risk in self._account(row, met.get(row, []), records.get(self.accounts[row], {}))
        )
        unknown = {name: int(one.is_unknown.sum()) for name, one in self.observed.items()}
        skipped = tuple(sorted({signal.id for signal in self.policy.signals} - set(self.observed)))
        return ReviewedWeek(
            self.week, risks, self.waiting, dict(self.fired), dict(self.without_record), unknown, skipped
        )

    def _account(self, row: int, met: Sequence[RiskSignal], records: RecordsBySet) -> Iterator[Risk]:
        found = []
        for signal in met:
            seen = readings(self.rows, signal, row)
            evidence = pieces(signal.id, signal, seen, records, "supports", self.showing)
            found.append(_Shown(signal, seen, evidence, *self.benign.of(signal, row, records, self.showing)))
        shown = [one for one in found if one.evidence]
        unshown = [one.signal for one in found if not one.evidence]
        self.fired.update(one.signal.id for one in shown)
        self.without_record.update(signal.id for signal in unshown)
        for side in SIDES:
            own = [one for one in shown if one.signal.side == side]
            key = (self.accounts[row], side)
            before = self.episodes.get(key)
            names = [one.signal.id for one in own]
            newest = self.last_episode.get(key, 0)
            strong = openers([(one.signal, bool(fitting(one.benign))) for one in own], self.policy)
            after = step(before, newest, key, self.week.monday, names, self.ended, strong)
            if before is not None and after is not None and after.episode != before.episode and not before.is_closed:
                # closed while something new fires: its packet says once more what happened, beside the next one
                yield self._risk(row, replace(before, is_closed=True, firing={}), [], [], (), records)
            if after is None:
                self.episodes.pop(key, None)
                continue
            self.last_episode[key] = after.episode
            told = tell(before, after, self.week.monday, self.policy.quiet_weeks, self.taken_up)
            self.episodes[key], is_shown = told
            if not is_shown:
                self.waiting += 1
                continue
            known_by = before.recent if before is not None and before.episode == after.episode else {}
            levels = [self.levels[name] for name in known_by if name in self.levels]
            # of a risk that was closed only what goes on is shown
            own = [one for one in own if one.signal.id in after.firing]
            yield self._risk(row, after, own, [one for one in unshown if one.side == side], levels, records)

    def _risk(
        self,
        row: int,
        episode: Episode,
        shown: Sequence[_Shown],
        unshown: Sequence[RiskSignal],
        levels_before: Sequence[Severity],
        records: RecordsBySet,
    ) -> Risk:
        against = self._against(row, {one.signal.category for one in shown}, records)
        evidence: dict[str, Evidence] = {}
        signals = []
        for one in shown:
            speaking = [piece for entry, found in against if one.signal.category in entry.against for piece in found]
            evidence |= {piece.evidence_id: piece for piece in (*one.evidence, *speaking, *one.explaining)}
            since = episode.firing[one.signal.id]
            signals.append(
                FiredSignal(
                    signal_id=one.signal.id,
                    category=one.signal.category,
                    contribution=one.signal.contribution,
                    patterns=self._patterns(row, one.signal, since == self.week.monday, levels_before),
                    readings=one.readings,
                    evidence_ids=tuple(piece.evidence_id for piece in one.evidence),
                    against_ids=tuple(piece.evidence_id for piece in speaking),
                    benign=one.benign,
                    first_fired_week=since,
                    weeks_fired=(self.week.monday - since).days // 7 + 1,
                )
            )
        recent = recent_signals(episode, self.week.monday, self.policy.combine_within_days)
        return Risk(
            packet_id=episode.packet_id,
            account_id=episode.account_id,
            week=self.week.monday,
            as_of_at=self.rows.rows["as_of_at"][row].as_py(),
            known_at=self.rows.rows["known_at"][row].as_py(),
            side=episode.side,
            episode=episode.episode,
            opened_week=episode.opened_week,
            last_fired_week=episode.last_fired_week,
            occurrences=episode.occurrences,
            is_quiet=is_quiet(episode, self.week.monday, self.policy.quiet_weeks),
            signals=strongest_first(signals),
            evidence=tuple(evidence[name] for name in sorted(evidence)),
            missing=self._missing(row, unshown),
            recent_signals=tuple(sorted(recent.items())),
        )

    def _against(
        self, row: int, categories: set[str], records: RecordsBySet
    ) -> list[tuple[CounterEvidence, tuple[Evidence, ...]]]:
        """What speaks against risks of those categories in the row."""
        found = []
        for entry, observed in self.counter:
            if observed.is_met[row] and categories & set(entry.against):
                seen = readings(self.rows, entry, row)
                found.append((entry, pieces(entry.id, entry, seen, records, "contradicts", self.showing)))
        return found

    def _patterns(
        self, row: int, signal: RiskSignal, is_new: bool, levels_before: Sequence[Severity]
    ) -> tuple[Pattern, ...]:
        path = np.empty(0)
        if signal.path_of is not None and self.inputs.paths is not None:
            account = self.accounts[row]
            path = self.inputs.paths.path(signal.path_of, account, self.week.monday, self.policy.path_weeks)
        return patterns_of(
            signal,
            path=path,
            days_to_renewal=float(self.days_to_renewal[row]),
            renewal_near_days=self.policy.renewal_near_days,
            is_new=is_new,
            levels_before=levels_before,
        )

    def _missing(self, row: int, unshown: Sequence[RiskSignal]) -> tuple[tuple[str, str], ...]:
        values = {f"{domain}_status": self.rows.rows[f"{domain}_status"][row].as_py() for domain in self.read_domains}
        without = dict.fromkeys(feature(signal.features[0]).domain for signal in unshown)
        return (*missing_domains(values, self.read_domains), *((domain, NO_RECORD) for domain in without))
