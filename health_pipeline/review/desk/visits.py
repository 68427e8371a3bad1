"""One request as the pages see it: the desk it is made to, who makes it, about which case, with which form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from health_pipeline.review.cases import Case
from health_pipeline.review.desk.desk_settings import DeskSettings
from health_pipeline.review.desk.oidc import OidcProvider
from health_pipeline.review.desk.published_packets import PublishedPackets
from health_pipeline.review.desk.rate_limit import RateLimit
from health_pipeline.review.desk.sessions import Session, csrf_token
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.permissions import Permission, Person, covers, scope_of
from health_pipeline.review.tokens import DeskToken


class ForbiddenError(RuntimeError):
    """The person may not; the sentence says who may."""


class NotFoundError(RuntimeError):
    """There is no such page, case, account or piece of evidence."""


class NotSignedInError(RuntimeError):
    """Nobody is signed in."""


class BadRequestError(RuntimeError):
    """The request can't be read, or does not come from a page of this desk."""


class GoneError(RuntimeError):
    """There was such an action, and its approval holds no longer."""


class TooManyError(RuntimeError):
    """Too many requests; `seconds` is how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"That was a lot in a short time. Try again in {seconds} seconds.")
        self.seconds = seconds


@dataclass(frozen=True)
class Desk:
    """What the pages need, opened once."""

    ledger: Ledger
    settings: DeskSettings
    published: PublishedPackets
    posts: RateLimit
    sign_ins: RateLimit
    pulls: RateLimit
    company: str
    currency: str
    option_titles: Mapping[str, str]
    provider: OidcProvider | None = None

    @property
    def idle(self) -> timedelta:
        """A session ends after so long without a request."""
        return timedelta(minutes=self.settings.idle_minutes)

    @property
    def longest(self) -> timedelta:
        """A session ends after so long in any case."""
        return timedelta(hours=self.settings.session_hours)

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; with `__Host-` a browser refuses it from another host or without TLS."""
        return "__Host-desk" if self.settings.is_https else "desk"

    @property
    def sign_in_cookie(self) -> str:
        """Name of the cookie that binds a sign-in under way to its browser."""
        return "__Host-desk-sign-in" if self.settings.is_https else "desk-sign-in"


@dataclass(frozen=True)
class Visit:
    """One request.

    Attributes
    ----------
    people : every user by address; read anew with each request, so that a change counts at once
    form : fields of a POST, each with all its values
    case : the case the route is about, where it is about one
    pulled_by : the token of the other system that makes the request, where one does
    """

    request: Request
    now: datetime
    people: Mapping[str, Person] = field(default_factory=dict)
    person: Person | None = None
    session: Session | None = None
    token: str | None = None
    form: Mapping[str, list[str]] = field(default_factory=dict)
    case: Case | None = None
    pulled_by: DeskToken | None = None

    @property
    def today(self) -> date:
        """In UTC."""
        return self.now.astimezone(UTC).date()

    @property
    def me(self) -> Person:
        """The signed-in person."""
        if self.person is None:
            raise NotSignedInError
        return self.person

    @property
    def csrf(self) -> str:
        """What this session's forms must bring."""
        return csrf_token(self.token) if self.token else ""

    def one(self, name: str) -> str:
        """A form field's first value, or nothing."""
        return next(iter(self.form.get(name, ())), "").strip()

    def all(self, name: str) -> list[str]:
        """All values of a form field."""
        return [value for value in self.form.get(name, ()) if value.strip()]

    def team_of(self, email: str | None) -> str | None:
        """The team of a user; None where the address is no user's, or in no team."""
        owner = self.people.get(email.lower()) if email else None
        return owner.team if owner else None

    def may(self, permission: Permission, owner_email: str | None) -> bool:
        """Whether the person has the permission for something of that owner."""
        return covers(self.person, permission, owner_email, self.team_of(owner_email))

    def has(self, permission: Permission) -> bool:
        """Whether the person's role has the permission for anything at all."""
        return scope_of(self.person, permission) is not None

    def visible(self, cases: Iterable[Case]) -> list[Case]:
        """Those of the cases that the person may see."""
        return [case for case in cases if self.may("view", case.owner_email)]

    def name_of(self, email: str | None) -> str:
        """A person's name, or the address where it is no user's."""
        if not email:
            return "nobody"
        person = self.people.get(email.lower())
        return person.name if person else email


Handler = Callable[[Desk, Visit], Response]
