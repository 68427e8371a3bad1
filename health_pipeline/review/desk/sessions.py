"""Who is signed in: sessions, sign-ins under way and the provider's subjects, in the ledger's database.

The browser holds a random token, the database its hash: a copy of the database signs nobody in.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.review.schema import DESK_IDENTITY, DESK_SESSION, DESK_SIGN_IN

TOKEN_BYTES = 32
SIGN_IN_MINUTES = 10
# The last request is noted no more often than this: each note is a write.
NOTED_EVERY = timedelta(seconds=60)
NOTICES_KEPT = 50


@dataclass(frozen=True)
class Session:
    """One signed-in browser.

    Attributes
    ----------
    session_id : hash of the token; safe to show to its own person
    notices : what the last action said, shown once
    """

    session_id: str
    email: str
    method: str
    started_at: datetime
    seen_at: datetime
    client: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class SignInUnderWay:
    """A sign-in that was begun in a browser and has not come back from the provider."""

    state: str
    nonce: str
    verifier: str
    next_path: str


def new_token() -> str:
    """A token nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_token(token: str) -> str:
    """What a form of that session must bring: bound to it, and of no use to anybody who reads it."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


def start_session(connection: Connection, email: str, method: str, client: str, now: datetime) -> str:
    """Begin a session, and return its token.

    Parameters
    ----------
    client : the browser as it names itself; shown to its person, so that they know which session is which
    """
    token = new_token()
    values = {
        "email": email,
        "method": method,
        "started_at": naive_utc(now),
        "seen_at": naive_utc(now),
        "client": client[:200],
    }
    connection.execute(DESK_SESSION.insert().values(session_id=token_hash(token), **values))
    return token


def find_session(
    connection: Connection, token: str, now: datetime, idle: timedelta, longest: timedelta
) -> Session | None:
    """The session of a token; None where there is none, or it has ended by either limit."""
    query = select(DESK_SESSION).where(DESK_SESSION.c.session_id == token_hash(token))
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    session = Session(
        row["session_id"],
        row["email"],
        row["method"],
        row["started_at"].replace(tzinfo=UTC),
        row["seen_at"].replace(tzinfo=UTC),
        row["client"],
        tuple(json.loads(row["notices"] or "[]")),
    )
    if now - session.seen_at >= idle or now - session.started_at >= longest:
        return None
    return session


def note_seen(connection: Connection, session_id: str, now: datetime) -> None:
    """Note that the session was used."""
    connection.execute(
        update(DESK_SESSION).where(DESK_SESSION.c.session_id == session_id).values(seen_at=naive_utc(now))
    )


def set_notices(connection: Connection, session_id: str, notices: Sequence[str]) -> None:
    """Keep what the next page shows, or nothing."""
    body = json.dumps(list(notices)[:NOTICES_KEPT]) if notices else None
    connection.execute(update(DESK_SESSION).where(DESK_SESSION.c.session_id == session_id).values(notices=body))


def sessions_of(connection: Connection, email: str) -> list[Session]:
    """A person's sessions, the newest first."""
    rows = connection.execute(
        select(DESK_SESSION).where(DESK_SESSION.c.email == email).order_by(DESK_SESSION.c.started_at.desc())
    ).mappings()
    return [
        Session(
            row["session_id"],
            row["email"],
            row["method"],
            row["started_at"].replace(tzinfo=UTC),
            row["seen_at"].replace(tzinfo=UTC),
            row["client"],
        )
        for row in rows
    ]


def end_session(connection: Connection, session_id: str) -> None:
    """End one session."""
    connection.execute(delete(DESK_SESSION).where(DESK_SESSION.c.session_id == session_id))


def end_sessions_of(connection: Connection, email: str) -> int:
    """End all sessions of a person; how many there were."""
    return connection.execute(delete(DESK_SESSION).where(DESK_SESSION.c.email == email)).rowcount


def clear_ended(connection: Connection, now: datetime, idle: timedelta, longest: timedelta) -> None:
    """Forget sessions and sign-ins that have run out."""
    connection.execute(
        delete(DESK_SESSION).where(
            (DESK_SESSION.c.seen_at <= naive_utc(now - idle)) | (DESK_SESSION.c.started_at <= naive_utc(now - longest))
        )
    )
    oldest = naive_utc(now - timedelta(minutes=SIGN_IN_MINUTES))
    connection.execute(delete(DESK_SIGN_IN).where(DESK_SIGN_IN.c.started_at <= oldest))


def begin_sign_in(connection: Connection, under_way: SignInUnderWay, now: datetime) -> str:
    """Keep a sign-in that goes to the provider, and return the token that binds it to this browser."""
    token = new_token()
    connection.execute(
        DESK_SIGN_IN.insert().values(
            sign_in_id=token_hash(token),
            state=under_way.state,
            nonce=under_way.nonce,
            verifier=under_way.verifier,
            next_path=under_way.next_path,
            started_at=naive_utc(now),
        )
    )
    return token


def take_sign_in(connection: Connection, token: str, now: datetime) -> SignInUnderWay | None:
    """The sign-in of a browser, once: it is forgotten by being taken. None where it is unknown or too old."""
    where = DESK_SIGN_IN.c.sign_in_id == token_hash(token)
    row = connection.execute(select(DESK_SIGN_IN).where(where)).mappings().first()
    connection.execute(delete(DESK_SIGN_IN).where(where))
    if row is None or now - row["started_at"].replace(tzinfo=UTC) >= timedelta(minutes=SIGN_IN_MINUTES):
        return None
    return SignInUnderWay(row["state"], row["nonce"], row["verifier"], row["next_path"])


def bind_identity(connection: Connection, issuer: str, subject: str, email: str, now: datetime) -> str:
    """The address this subject of that provider signs in as: the first one it came with.

    An address can be given to another person, a subject can't: the first subject that comes with an address keeps it.

    Returns
    -------
    str
        The address bound to the subject; empty where the address belongs to another subject.
    """
    table = DESK_IDENTITY
    mine = select(table.c.email).where(table.c.issuer == issuer, table.c.subject == subject)
    bound = connection.execute(mine).scalar_one_or_none()
    if bound is not None:
        return str(bound)
    if connection.execute(select(table.c.subject).where(table.c.issuer == issuer, table.c.email == email)).first():
        return ""
    connection.execute(table.insert().values(issuer=issuer, subject=subject, email=email, bound_at=naive_utc(now)))
    return email


def unbind_identity(connection: Connection, email: str) -> int:
    """Let the next subject that comes with the address have it; an admin's act."""
    return connection.execute(delete(DESK_IDENTITY).where(DESK_IDENTITY.c.email == email)).rowcount
