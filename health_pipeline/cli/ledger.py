"""Commands of the ledger of decisions: take a release in, verify, users, what to do after a loss."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from health_pipeline.cli.terminal import ByOption, ReasonOption, ledger_app, out
from health_pipeline.orchestration.console import failing_in_one_sentence
from health_pipeline.settings import Settings


@ledger_app.command()
def intake() -> None:
    """Take the current release's risk packets in; a second time adds nothing."""
    from health_pipeline.publication.releases import current_release  # noqa: PLC0415
    from health_pipeline.review import Ledger, LedgerError  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = Settings()
        release = current_release(settings)
        if release is None:
            raise LedgerError("Nothing is published yet; run `health-pipeline weekly` first.")
        with Ledger.open(settings) as ledger:
            found = ledger.intake(release)
            expired = len(ledger.expire_due())
        out.print(
            f"{release.name}: {found.detected} new cases, {found.rebuilt} packets built anew, "
            f"{found.returned_to_review} back to review, {found.reopened} reopened, "
            f"{found.renewed} renewed, {found.unchanged} unchanged, {found.drawn} accounts drawn at random; "
            f"{expired} approvals have expired."
        )


@ledger_app.command()
def verify() -> None:
    """Follow the hash chain, and compare texts, cases and what the releases kept have anchored."""
    from health_pipeline.publication.releases import list_releases  # noqa: PLC0415
    from health_pipeline.quality.ledger_chain import anchors_of, verify_chain  # noqa: PLC0415
    from health_pipeline.review import Ledger, LedgerError  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = Settings()
        anchors = anchors_of(*(release.manifest for release in list_releases(settings)))
        with Ledger.open(settings) as ledger:
            problems = verify_chain(settings.ledger_url, anchors).problems or ledger.verify().problems
            head = ledger.head()
        if problems:
            raise LedgerError(" ".join(problems))
        newest = f"newest event {head.seq}, {head.hash[:16]}" if head else "nothing in it yet"
        out.print(
            f"The ledger holds: {head.count if head else 0} events, {len(anchors)} anchors in releases; {newest}."
        )


@ledger_app.command()
def rebuild() -> None:
    """Write the cases anew from the events; for when `verify` says that somebody edited them."""
    from health_pipeline.review import Ledger  # noqa: PLC0415

    with failing_in_one_sentence(out), Ledger.open(Settings()) as ledger:
        out.print(f"{ledger.rebuild()} cases were written anew from their events.")


@ledger_app.command()
def user(
    email: Annotated[str, typer.Argument(help="The person's address; how they sign in.")],
    name: Annotated[str, typer.Option("--name", help="The person's name.")],
    role: Annotated[str, typer.Option("--role", help="csm, lead, analyst or admin.")],
    team: Annotated[str | None, typer.Option("--team", help="A lead decides on the cases of the team.")] = None,
    is_active: Annotated[bool, typer.Option("--active/--inactive", help="Whether the person may sign in.")] = True,
    by: Annotated[str | None, typer.Option("--by", help="The admin who does it; you, for the first one.")] = None,
) -> None:
    """Add or change a user of the review desk. The first one is an admin."""
    from health_pipeline.review import Ledger, LedgerError, Person  # noqa: PLC0415
    from health_pipeline.review.permissions import as_role  # noqa: PLC0415

    with failing_in_one_sentence(out), Ledger.open(Settings()) as ledger:
        known = as_role(role)
        if known is None:
            raise LedgerError(f"There is no role {role!r}; the roles are csm, lead, analyst and admin.")
        ledger.set_person(Person(email, name, known, team, is_active), by or getpass.getuser())
        out.print(f"{email} is {role}{f' of {team}' if team else ''}{'' if is_active else ', not active'}.")


@ledger_app.command("accept-loss")
def accept_loss(
    by: ByOption,
    reason: ReasonOption,
    release: Annotated[
        str | None, typer.Argument(help="The release whose anchor is gone; without one: what was landed and is gone.")
    ] = None,
) -> None:
    """Go on after events were lost for good: they are not asked for again, and count no more. It is recorded."""
    from health_pipeline.publication.releases import load_release  # noqa: PLC0415
    from health_pipeline.quality.ledger_chain import anchors_of  # noqa: PLC0415
    from health_pipeline.review import Ledger, LedgerError  # noqa: PLC0415
    from health_pipeline.review.landed_decisions import lost_head  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = Settings()
        if release is None:
            anchor, place = lost_head(settings), "landed"
        else:
            anchors = anchors_of(load_release(settings, release).manifest)
            if not anchors:
                raise LedgerError(f"{release} anchors nothing; it was built before the ledger had an event.")
            anchor, place = anchors[0], f"anchored in {release}"
        with Ledger.open(settings) as ledger:
            ledger.accept_loss(anchor, by, reason)
        out.print(f"Event {anchor.seq}, {place}, is given up, by {by}; the next review publishes again.")
