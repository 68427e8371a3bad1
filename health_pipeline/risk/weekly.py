"""The risks of a run's weeks, folded in order: observe, gather evidence, and take up what the week before left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.policy.features import feature
from health_pipeline.policy.risk_signals import RiskSignal, RiskSignalPolicy
from health_pipeline.risk.episodes import Closings, Episode, EpisodesBefore, is_quiet, recent_signals, step
from health_pipeline.risk.evidence import RecordsBySet, pieces
from health_pipeline.risk.model import Evidence, FiredSignal, Reading, Risk, Side
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
    closings : what people closed
    """

    features: pa.Table
    records_of: RecordsOf
    before: EpisodesBefore
    policy: RiskSignalPolicy
    not_applicable_domains: tuple[str, ...] = ()
    query_hash: str = ""
    closings: Closings = field(default_factory=dict)


@dataclass(frozen=True)
class ReviewedWeek:
    """One week's risks, by account and side, and what was observed over all accounts.

    Attributes
    ----------
    fired : accounts on which each signal fired
    without_record : accounts on which it was met and no landed record shows it, so that it did not fire
    unknown : accounts on which it might be met, and what it reads is not known
    not_evaluated : signals of domains that the company does not have
    """

    week: Week
    risks: tuple[Risk, ...]
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


class _WeekReview:
    """One week: `episodes` and `last_episode` are taken from the week before, and left for the next."""

    def __init__(
        self,
        inputs: RiskInputs,
        week: Week,
        episodes: dict[tuple[str, Side], Episode],
        last_episode: dict[tuple[str, Side], int],
    ) -> None:
        self.inputs, self.week = inputs, week
        self.episodes, self.last_episode = episodes, last_episode
        of_week = pc.equal(inputs.features["week"], pa.scalar(week.monday, pa.date32()))
        table = inputs.features.filter(of_week).sort_by("account_id")
        self.rows = FeatureRows(table)
        self.accounts: list[str] = table["account_id"].to_pylist()
        off = inputs.not_applicable_domains
        self.signals = [signal for signal in inputs.policy.signals if is_applicable(signal, off)]
        self.observed: dict[str, Observed] = {signal.id: observe(self.rows, signal) for signal in self.signals}
        self.counter = {
            entry.id: observe(self.rows, entry) for entry in inputs.policy.counter_evidence if is_applicable(entry, off)
        }
        self.without_record: dict[str, int] = defaultdict(int)
        self.fired: dict[str, int] = defaultdict(int)

    def run(self) -> ReviewedWeek:
        met = {
            row: [signal for signal in self.signals if self.observed[signal.id].is_met[row]]
            for row in np.flatnonzero(np.any([one.is_met for one in self.observed.values()], axis=0)).tolist()
        }
        open_rows = [
            row
            for row, account in enumerate(self.accounts)
            if row not in met and any((account, side) in self.episodes for side in SIDES)
        ]
        records = self.inputs.records_of(self.week, [self.accounts[row] for row in met])
        risks: list[Risk] = []
        for row in sorted({*met, *open_rows}):
            risks += self._account_risks(row, met.get(row, []), records.get(self.accounts[row], {}))
        unknown = {name: int(one.is_unknown.sum()) for name, one in self.observed.items()}
        skipped = {signal.id for signal in self.inputs.policy.signals} - set(self.observed)
        return ReviewedWeek(
            self.week, tuple(risks), dict(self.fired), dict(self.without_record), unknown, tuple(sorted(skipped))
        )

    def _account_risks(self, row: int, met: Sequence[RiskSignal], records: RecordsBySet) -> Iterator[Risk]:
        shown: list[tuple[RiskSignal, tuple[Reading, ...], tuple[Evidence, ...]]] = []
        unshown: list[RiskSignal] = []
        for signal in met:
            seen = readings(self.rows, signal, row)
            found = self._pieces(signal.id, signal, seen, records, "supports")
            if found:
                shown.append((signal, seen, found))
                self.fired[signal.id] += 1
            else:
                unshown.append(signal)
                self.without_record[signal.id] += 1
        for side in SIDES:
            key = (self.accounts[row], side)
            of_side = [one for one in shown if one[0].side == side]
            after = step(
                self.episodes.get(key),
                self.last_episode.get(key, 0),
                key,
                self.week.monday,
                [signal.id for signal, _, _ in of_side],
                self.inputs.closings,
            )
            if after is None:
                self.episodes.pop(key, None)
                continue
            self.episodes[key] = after
            self.last_episode[key] = max(after.episode, self.last_episode.get(key, 0))
            yield self._risk(row, after, of_side, [one for one in unshown if one.side == side], records)

    def _pieces(self, subject: str, observation: Any, seen: Any, records: RecordsBySet, direction: Any) -> Any:
        return pieces(
            subject,
            observation,
            seen,
            records,
            direction,
            per_set=self.inputs.policy.records_per_set,
            query_hash=self.inputs.query_hash,
        )

    def _risk(
        self,
        row: int,
        episode: Episode,
        shown: Sequence[tuple[RiskSignal, tuple[Reading, ...], tuple[Evidence, ...]]],
        unshown: Sequence[RiskSignal],
        records: RecordsBySet,
    ) -> Risk:
        against = self._against(row, {signal.category for signal, _, _ in shown}, records)
        evidence: dict[str, Evidence] = {}
        signals = []
        for signal, seen, found in shown:
            speaking = [
                piece
                for entry in self.inputs.policy.counter_evidence
                if signal.category in entry.against
                for piece in against.get(entry.id, ())
            ]
            evidence.update({piece.evidence_id: piece for piece in (*found, *speaking)})
            since = episode.firing[signal.id]
            signals.append(
                FiredSignal(
                    signal_id=signal.id,
                    category=signal.category,
                    contribution=signal.contribution,
                    patterns=(),
                    readings=seen,
                    evidence_ids=tuple(piece.evidence_id for piece in found),
                    against_ids=tuple(piece.evidence_id for piece in speaking),
                    benign=(),
                    first_fired_week=since,
                    weeks_fired=(self.week.monday - since).days // 7 + 1,
                )
            )
        policy = self.inputs.policy
        recent = recent_signals(episode, self.week.monday, policy.combine_within_days)
        as_of_at, known_at = self._clocks(row)
        return Risk(
            packet_id=episode.packet_id,
            account_id=episode.account_id,
            week=self.week.monday,
            as_of_at=as_of_at,
            known_at=known_at,
            side=episode.side,
            episode=episode.episode,
            opened_week=episode.opened_week,
            last_fired_week=episode.last_fired_week,
            occurrences=episode.occurrences,
            is_quiet=is_quiet(episode, self.week.monday, policy.quiet_weeks),
            signals=strongest_first(signals),
            evidence=tuple(evidence[name] for name in sorted(evidence)),
            missing=self._missing(row, unshown),
            recent_signals=tuple(sorted(recent.items())),
        )

    def _against(self, row: int, categories: set[str], records: RecordsBySet) -> dict[str, tuple[Evidence, ...]]:
        """What speaks against risks of those categories in the row, by counter evidence."""
        return {
            entry.id: self._pieces(entry.id, entry, readings(self.rows, entry, row), records, "contradicts")
            for entry in self.inputs.policy.counter_evidence
            if categories & set(entry.against) and entry.id in self.counter and self.counter[entry.id].is_met[row]
        }

    def _missing(self, row: int, unshown: Sequence[RiskSignal]) -> tuple[tuple[str, str], ...]:
        read = dict.fromkeys(
            feature(name).domain for observation in self.inputs.policy.observations for name in observation.features
        )
        values = {f"{domain}_status": self.rows.rows[f"{domain}_status"][row].as_py() for domain in read}
        without = dict.fromkeys(feature(signal.features[0]).domain for signal in unshown)
        return (*missing_domains(values, read), *((domain, NO_RECORD) for domain in without))

    def _clocks(self, row: int) -> tuple[datetime, datetime]:
        rows = self.rows.rows
        return rows["as_of_at"][row].as_py(), rows["known_at"][row].as_py()
