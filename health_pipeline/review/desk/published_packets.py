"""What the desk reads of the published release: packets with their evidence, names of accounts, an account's weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from health_pipeline.mart.connection import has_table, open_duckdb
from health_pipeline.mart.published import published_file
from health_pipeline.settings import Settings

WEEKS_SHOWN = 26


@dataclass(frozen=True)
class PieceOfEvidence:
    """A row of risk_evidence as the desk shows it; times in UTC."""

    evidence_id: str
    subject: str
    source_kind: str
    source_system: str
    source_instance: str
    source_table: str
    source_record_id: str
    load_id: str
    metric: str
    value: float | None
    baseline: float | None
    threshold: float | None
    gap: float | None
    observed_at: datetime
    available_at: datetime
    as_of_at: datetime
    known_at: datetime
    age_days: int
    direction: str
    kind: str
    strength: str
    text_field: str | None
    query_hash: str


@dataclass(frozen=True)
class PublishedPacket:
    """A row of risk_packets, and its evidence: what supports it first, the strongest and newest at the top."""

    row: Mapping[str, Any]
    evidence: tuple[PieceOfEvidence, ...]

    def listed(self, column: str) -> list[str]:
        """A column of ids separated by commas."""
        return [part.strip() for part in str(self.row.get(column) or "").split(",") if part.strip()]

    def piece(self, evidence_id: str) -> PieceOfEvidence | None:
        """One piece of its evidence."""
        return next((one for one in self.evidence if one.evidence_id == evidence_id), None)


@dataclass(frozen=True)
class AccountWeek:
    """An account in a published week: its score, and the tier in force."""

    week: date
    score: float | None
    tier: str


@dataclass
class PublishedPackets:
    """Reads the newest release at each call; names of accounts are kept for as long as it is the newest."""

    settings: Settings
    _names: tuple[Path, Mapping[str, str]] | None = field(default=None, repr=False)

    def account_names(self) -> Mapping[str, str]:
        """Names by account id; empty where nothing is published."""
        path = published_file(self.settings)
        if path is None:
            return {}
        if self._names is None or self._names[0] != path:
            rows = _rows(path, "select account_id, account_name from accounts where account_name is not null")
            self._names = (path, {row["account_id"]: row["account_name"] for row in rows})
        return self._names[1]

    def name(self, account_id: str) -> str:
        """An account's name; its id where it has none."""
        return self.account_names().get(account_id, account_id)

    def packet(self, packet_id: str, week: date) -> PublishedPacket | None:
        """A packet in a week; None where the newest release does not have it."""
        path = published_file(self.settings)
        return None if path is None else _packet(path, packet_id, week)

    def features(self, account_id: str, week: date) -> Mapping[str, Any] | None:
        """The account's row of account_features_weekly; None where the newest release does not have it."""
        path = published_file(self.settings)
        if path is None:
            return None
        with open_duckdb(path, read_only=True) as connection:
            if not has_table(connection, "main", "account_features_weekly"):
                return None
            query = "select * from account_features_weekly where account_id = ? and week = ?"
            rows = connection.execute(query, [account_id, week]).to_arrow_table().to_pylist()
        return rows[0] if rows else None

    def weeks(self, account_id: str) -> Sequence[AccountWeek]:
        """The account's newest published weeks, oldest first."""
        path = published_file(self.settings)
        if path is None:
            return ()
        rows = _rows(
            path,
            "select week, score, effective_tier as tier from account_health_weekly where account_id = ? "
            f"order by week desc limit {WEEKS_SHOWN}",
            [account_id],
        )
        return [AccountWeek(**row) for row in reversed(rows)]


# A release's file never changes: what was read of it once stays true.
@lru_cache(maxsize=1024)
def _packet(path: Path, packet_id: str, week: date) -> PublishedPacket | None:
    columns = ", ".join(PieceOfEvidence.__dataclass_fields__)
    with open_duckdb(path, read_only=True) as connection:
        found = connection.execute(
            "select * from risk_packets where packet_id = ? and week = ?", [packet_id, week]
        ).to_arrow_table()
        pieces = connection.execute(
            f"select {columns} from risk_evidence where packet_id = ? and week = ? order by direction desc, "
            "case strength when 'high' then 0 when 'medium' then 1 else 2 end, observed_at desc, evidence_id",
            [packet_id, week],
        ).to_arrow_table()
    rows = found.to_pylist()
    return PublishedPacket(rows[0], tuple(PieceOfEvidence(**one) for one in pieces.to_pylist())) if rows else None


def _rows(path: Path, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    with open_duckdb(path, read_only=True) as connection:
        return connection.execute(query, list(values)).to_arrow_table().to_pylist()
