"""Earlier risks of an account, week after week: what the published weeks say, and the weeks of this run before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from health_pipeline.mart.account_facts import EarlierEpisode


class EpisodeHistory:
    """The newest row of each packet before a week.

    A run over many weeks and a run for each of them see the same: rows of later weeks, which a restatement replaces,
    are left out.

    Parameters
    ----------
    published : `COLUMNS` of risk_packets
    first_week : the run's first Monday
    """

    COLUMNS = (
        *("packet_id", "account_id", "side", "episode", "week", "opened_week", "category", "state", "likelihood"),
        *("impact", "severity", "severity_status", "suggested_severity"),
    )

    def __init__(self, published: Iterable[Mapping[str, Any]], first_week: date) -> None:
        self._newest: dict[str, dict[str, EarlierEpisode]] = {}
        self.add(row for row in published if row["week"] < first_week)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in rows of one week, or of several in any order."""
        for row in rows:
            packets = self._newest.setdefault(row["account_id"], {})
            before = packets.get(row["packet_id"])
            if before is None or before.last_week < row["week"]:
                packets[row["packet_id"]] = EarlierEpisode(
                    packet_id=row["packet_id"],
                    side=row["side"],
                    episode=row["episode"],
                    category=row["category"] or "unknown",
                    severity=row["severity"],
                    state=row["state"],
                    opened_week=row["opened_week"],
                    last_week=row["week"],
                    likelihood=row["likelihood"],
                    impact=row["impact"],
                    # a person's word on the severity is no rating of the week after
                    suggested_severity=row[
                        "severity" if row["severity_status"] == "suggested" else "suggested_severity"
                    ],
                )

    def of(self, account_id: str) -> tuple[EarlierEpisode, ...]:
        """The account's packets, the oldest first."""
        found = self._newest.get(account_id, {}).values()
        return tuple(sorted(found, key=lambda one: (one.opened_week, one.packet_id)))
