"""Tokens of other systems that pull approved actions: made and revoked by an admin on the record, kept as a hash."""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, select, update

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.review.database import LedgerError
from health_pipeline.review.events import Draft, append
from health_pipeline.review.people import find_person
from health_pipeline.review.permissions import scope_of
from health_pipeline.review.schema import DESK_TOKEN

# Types of events.
TOKEN_CREATED = "token_created"  # noqa: S105
TOKEN_REVOKED = "token_revoked"  # noqa: S105
# What a token may: read the approved actions. There is no other.
SCOPE = "actions:read"
LONGEST_DAYS = 366
SECRET_BYTES = 32
NOTED_EVERY = timedelta(seconds=60)
_PREFIX = "hpt"
_SYSTEM = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")


class TokenRefusedError(RuntimeError):
    """The token lets nobody in; the sentence says why and who makes another."""


@dataclass(frozen=True)
class DeskToken:
    """What is known of a token: whose it is, who made it, until when it counts."""

    token_id: str
    system: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = None

    @property
    def actor(self) -> str:
        """The system as the ledger names it; no person can be it, because it is no address."""
        return f"system {self.system}"

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked`."""
        return "revoked" if self.revoked_at else "expired" if now >= self.expires_at else "active"


def create_token(connection: Connection, system: str, days: int, by: str, now: datetime) -> tuple[str, DeskToken]:
    """Make a token and record who made it for which system; its text is returned once and kept nowhere.

    Parameters
    ----------
    connection : of `database.writing`
    system : what pulls, such as `crm-sync`
    days : how long it counts

    Raises
    ------
    LedgerError
        If `by` is no admin, or the system's name or the days can't be.
    """
    _check_admin(connection, by)
    if not _SYSTEM.fullmatch(system):
        raise LedgerError(f"{system!r} is no name of a system; write it as crm-sync: small letters, digits, dashes.")
    if not 1 <= days <= LONGEST_DAYS:
        raise LedgerError(f"A token counts for 1 to {LONGEST_DAYS} days, not {days}.")
    made = DeskToken(secrets.token_hex(6), system, by, now, now + timedelta(days=days))
    text = f"{_PREFIX}_{made.token_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    values = {
        "token_id": made.token_id,
        "token_hash": _hash(text),
        "system": system,
        "created_by": by,
        "created_at": naive_utc(now),
        "expires_at": naive_utc(made.expires_at),
    }
    connection.execute(DESK_TOKEN.insert().values(**values))
    payload = {
        "token_id": made.token_id,
        "system": system,
        "scope": SCOPE,
        "expires_at": made.expires_at.isoformat(),
    }
    append(connection, [Draft(TOKEN_CREATED, by, now, payload)])
    return text, made


def revoke_token(connection: Connection, token_id: str, by: str, now: datetime) -> DeskToken:
    """End a token at once, on the record.

    Raises
    ------
    LedgerError
        If `by` is no admin, there is no such token, or it was revoked before.
    """
    _check_admin(connection, by)
    row = _find(connection, token_id)
    if row is None:
        raise LedgerError(f"There is no token {token_id!r}; `health-pipeline desk token list` shows them.")
    token = _token(row)
    if token.revoked_at is not None:
        raise LedgerError(f"Token {token_id} was revoked on {token.revoked_at:%Y-%m-%d} already.")
    connection.execute(update(DESK_TOKEN).where(DESK_TOKEN.c.token_id == token_id).values(revoked_at=naive_utc(now)))
    append(connection, [Draft(TOKEN_REVOKED, by, now, {"token_id": token_id, "system": token.system})])
    return _token(_find(connection, token_id))


def list_tokens(connection: Connection) -> list[DeskToken]:
    """Every token there ever was, the newest first."""
    query = select(DESK_TOKEN).order_by(DESK_TOKEN.c.created_at.desc(), DESK_TOKEN.c.token_id)
    return [_token(row) for row in connection.execute(query)]


def admitted(connection: Connection, presented: str, now: datetime) -> DeskToken:
    """The token that was presented.

    Raises
    ------
    TokenRefusedError
        If it is none of ours, has expired or was revoked. That it once counted is told only to who has its secret.
    """
    parts = presented.split("_", 2)
    row = _find(connection, parts[1]) if len(parts) == 3 and parts[0] == _PREFIX else None
    # As long for a token that is not there as for one whose secret is wrong.
    is_ours = hmac.compare_digest(_hash(presented), row.token_hash if row is not None else _hash(""))
    if row is None or not is_ours:
        raise TokenRefusedError("This token is none of this desk's; an admin makes one, and it is shown once.")
    token = _token(row)
    state = token.state(now)
    if state == "revoked":
        raise TokenRefusedError("This token was revoked; an admin makes another.")
    if state == "expired":
        ended = f"{token.expires_at:%Y-%m-%d %H:%M} UTC"
        raise TokenRefusedError(f"This token counted until {ended}; an admin makes another.")
    return token


def note_used(connection: Connection, token: DeskToken, now: datetime) -> None:
    """Note when the token was last used, so that a forgotten one is seen."""
    connection.execute(update(DESK_TOKEN).where(DESK_TOKEN.c.token_id == token.token_id).values(used_at=naive_utc(now)))


def _check_admin(connection: Connection, by: str) -> None:
    if scope_of(find_person(connection, by), "manage_users") is None:
        raise LedgerError(f"{by} may not make or revoke tokens; an active admin does.")


def _find(connection: Connection, token_id: str) -> Any:
    return connection.execute(select(DESK_TOKEN).where(DESK_TOKEN.c.token_id == token_id[:16])).first()


def _token(row: Row[Any]) -> DeskToken:
    return DeskToken(
        row.token_id,
        row.system,
        row.created_by,
        row.created_at.replace(tzinfo=UTC),
        row.expires_at.replace(tzinfo=UTC),
        row.revoked_at.replace(tzinfo=UTC) if row.revoked_at else None,
        row.used_at.replace(tzinfo=UTC) if row.used_at else None,
    )


def _hash(text: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess from.
    return sha256(text.encode()).hexdigest()
