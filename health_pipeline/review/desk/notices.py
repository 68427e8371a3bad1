"""What an action said, kept in the session until the next page shows it: after a redirect nothing else could."""

from __future__ import annotations

from collections.abc import Sequence

from health_pipeline.review.database import writing
from health_pipeline.review.desk.sessions import set_notices
from health_pipeline.review.desk.visits import Desk, Visit


def leave_notices(desk: Desk, visit: Visit, notices: Sequence[str]) -> None:
    """Say something on the next page."""
    if visit.session is not None:
        with writing(desk.ledger.engine) as connection:
            set_notices(connection, visit.session.session_id, notices)


def take_notices(desk: Desk, visit: Visit) -> tuple[str, ...]:
    """What is to be said on this page; it is forgotten by being said."""
    if visit.session is None or not visit.session.notices:
        return ()
    leave_notices(desk, visit, ())
    return visit.session.notices
