"""Opens a desk and serves it: one process, and a thread that takes new releases in while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import httpx
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from health_pipeline.observability.logs import get_logger
from health_pipeline.policy.company import load_company
from health_pipeline.policy.playbooks import load_playbooks
from health_pipeline.publication.errors import PublicationError
from health_pipeline.publication.releases import current_release
from health_pipeline.review.database import LedgerError, writing
from health_pipeline.review.desk.app import build_desk
from health_pipeline.review.desk.demo_people import add_demo_people
from health_pipeline.review.desk.desk_settings import DeskSettings
from health_pipeline.review.desk.oidc import OidcProvider
from health_pipeline.review.desk.published_packets import PublishedPackets
from health_pipeline.review.desk.rate_limit import RateLimit
from health_pipeline.review.desk.sessions import clear_ended
from health_pipeline.review.desk.visits import Desk
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.telling import tell_high_risks
from health_pipeline.settings import Settings

SECONDS_BETWEEN_ROUNDS = 30.0

log = get_logger("review")


@contextmanager
def open_desk(
    settings: Settings, desk_settings: DeskSettings, transport: httpx.BaseTransport | None = None
) -> Iterator[Desk]:
    """A desk with its ledger open.

    Parameters
    ----------
    transport : of httpx to the OpenID provider, for tests

    Raises
    ------
    DeskSetupError
        If nobody could sign in so.
    """
    desk_settings = desk_settings.checked()
    with Ledger.open(settings) as ledger:
        yield desk_of(ledger, settings, desk_settings, transport)


def desk_of(
    ledger: Ledger, settings: Settings, desk_settings: DeskSettings, transport: httpx.BaseTransport | None = None
) -> Desk:
    """The desk of an open ledger."""
    company = load_company(settings.policy).model
    return Desk(
        ledger=ledger,
        settings=desk_settings,
        published=PublishedPackets(settings),
        posts=RateLimit(desk_settings.posts_per_minute),
        sign_ins=RateLimit(desk_settings.sign_ins_per_minute),
        pulls=RateLimit(desk_settings.pulls_per_minute),
        company=company.company_name,
        currency=company.reporting_currency,
        option_titles={book.id: book.title for book in load_playbooks(settings.policy).model.playbooks},
        provider=OidcProvider(desk_settings, transport) if desk_settings.sign_in == "oidc" else None,
    )


@dataclass
class Rounds:
    """What is done beside the pages again and again: releases taken in, what ran out noted, old sessions forgotten."""

    desk: Desk
    taken_in: str | None = None
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def once(self) -> None:
        """One round; what can't be done now is logged, and done in a later one. None of it waits for another."""
        for step in (self._take_in, self.desk.ledger.expire_due, self._tell, self._clear):
            try:
                step()
            except (LedgerError, PublicationError, SQLAlchemyError, duckdb.Error, OSError) as error:
                log.warning("desk_round_failed", step=step.__name__.strip("_"), error=type(error).__name__)

    def _tell(self) -> None:
        tell_high_risks(self.desk.ledger, self.desk.published.settings, self.desk.settings.origin)

    def _clear(self) -> None:
        with writing(self.desk.ledger.engine) as connection:
            clear_ended(connection, self.desk.ledger.clock.now(), self.desk.idle, self.desk.longest)

    def _take_in(self) -> None:
        release = current_release(self.desk.published.settings)
        if release is not None and release.name != self.taken_in:
            done = self.desk.ledger.intake(release)
            self.taken_in = release.name
            log.info("taken_in", release=release.name, detected=done.detected, rebuilt=done.rebuilt)

    def run(self) -> None:
        """Round after round until it is stopped."""
        while not self._stop.wait(SECONDS_BETWEEN_ROUNDS):
            self.once()

    def stop(self) -> None:
        """No further round."""
        self._stop.set()


def serve_desk(settings: Settings, desk_settings: DeskSettings, port: int) -> None:
    """Serve the desk until it is stopped."""
    with open_desk(settings, desk_settings) as desk:
        if desk_settings.sign_in == "demo":
            add_demo_people(desk.ledger, settings)
        rounds = Rounds(desk)
        rounds.once()
        thread = threading.Thread(target=rounds.run, name="desk-rounds", daemon=True)
        thread.start()
        config = uvicorn.Config(
            build_desk(desk),
            host=desk_settings.bind,
            port=port,
            # Whom a request comes from is the connection's other end, never a header of it.
            proxy_headers=False,
            server_header=False,
            log_level="warning",
            access_log=False,
        )
        try:
            uvicorn.Server(config).run()
        finally:
            rounds.stop()
