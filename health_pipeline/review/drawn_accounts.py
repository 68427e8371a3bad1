"""The intake of accounts drawn at random: each becomes a case of its own, once, that somebody looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.connection import has_table, open_duckdb
from health_pipeline.policy.exception_queue import RANDOM_AUDIT
from health_pipeline.review.cases import Case
from health_pipeline.review.events import Draft
from health_pipeline.review.fold import AUDIT_DRAWN
from health_pipeline.review.intake import PublishedRelease
from health_pipeline.review.permissions import SYSTEM


@dataclass(frozen=True)
class DrawnAccount:
    """One account that a week's random audit drew among those that nothing flagged."""

    account_id: str
    week: date
    as_of_at: datetime
    owner_email: str | None
    inclusion_share: float

    @property
    def case_id(self) -> str:
        """Hash of account and week: an account that is drawn again is another case."""
        return hashlib.sha256(f"{RANDOM_AUDIT}\x1f{self.account_id}\x1f{self.week}".encode()).hexdigest()[:32]


def read_drawn(release: PublishedRelease, weeks: Sequence[Week]) -> list[DrawnAccount]:
    """What a release's random audit drew, by week and account; nothing where the release is older than the queue."""
    with open_duckdb(release.file, read_only=True) as connection:
        if not has_table(connection, "main", "exception_queue_weekly"):
            return []
        rows = connection.execute(
            "select account_id, week, as_of_at, owner_email, inclusion_share from exception_queue_weekly "
            "where subject = ? and list_contains(?, week) order by week, account_id",
            [RANDOM_AUDIT, [week.monday for week in weeks]],
        ).fetchall()
    return [
        DrawnAccount(account, week, as_of_at.replace(tzinfo=UTC), owner.lower() if owner else None, float(share))
        for account, week, as_of_at, owner, share in rows
    ]


def drawn_draft(case: Case | None, drawn: DrawnAccount, release: str, now: datetime) -> Draft | None:
    """The event of a draw; None where the ledger has it already."""
    if case is not None:
        return None
    payload = {
        "release": release,
        "account_id": drawn.account_id,
        "week": drawn.week.isoformat(),
        "as_of_at": drawn.as_of_at.isoformat(),
        "owner_email": drawn.owner_email,
        "inclusion_share": drawn.inclusion_share,
    }
    key = f"intake:{hashlib.sha256(f'{AUDIT_DRAWN}:{drawn.case_id}'.encode()).hexdigest()}"
    return Draft(AUDIT_DRAWN, SYSTEM, now, payload, drawn.case_id, 1, drawn.case_id, key)
