"""Commands of the review desk: serve it, and the tokens by which other systems pull approved actions."""

from __future__ import annotations

from typing import Annotated

import typer

from health_pipeline.cli.terminal import ByOption, desk_app, out, token_app
from health_pipeline.observability.free_port import require_free_port
from health_pipeline.orchestration.console import failing_in_one_sentence
from health_pipeline.settings import Settings


@desk_app.callback(invoke_without_command=True)
def desk(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port the desk listens on.")] = 8600,
    demo_sign_in: Annotated[
        bool, typer.Option("--demo-sign-in", help="Let whoever is at this machine choose whom to be. Loopback only.")
    ] = False,
) -> None:
    """Serve the review desk. Address and sign-in come from HEALTH_DESK_*; see docs/security.md."""
    if context.invoked_subcommand is not None:
        return
    from health_pipeline.review.desk.desk_settings import desk_settings_of  # noqa: PLC0415
    from health_pipeline.review.desk.serving import serve_desk  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = desk_settings_of(port, demo_sign_in).checked()
        require_free_port(settings.bind, port, "--port")
        out.print(f"The review desk is at {settings.origin}; Ctrl+C stops it.")
        serve_desk(Settings(), settings, port)


@token_app.command("create")
def create(
    system: Annotated[str, typer.Argument(help="What pulls the approved actions, such as crm-sync.")],
    by: ByOption,
    days: Annotated[int, typer.Option("--days", help="How long it counts, at most 366.")] = 90,
) -> None:
    """Make a token that reads approved actions and nothing else. It is shown once; the ledger records who made it."""
    from health_pipeline.review import Ledger  # noqa: PLC0415
    from health_pipeline.review.database import writing  # noqa: PLC0415
    from health_pipeline.review.tokens import create_token  # noqa: PLC0415

    with failing_in_one_sentence(out), Ledger.open(Settings()) as ledger:
        with writing(ledger.engine) as connection:
            text, made = create_token(connection, system, days, by.strip().lower(), ledger.clock.now())
        out.print(f"Token {made.token_id} of {system} counts until {made.expires_at:%Y-%m-%d %H:%M} UTC. Keep it now:")
        out.print(text, markup=False)


@token_app.command("revoke")
def revoke(token_id: Annotated[str, typer.Argument(help="As `list` shows it.")], by: ByOption) -> None:
    """End a token at once; the ledger records who did."""
    from health_pipeline.review import Ledger  # noqa: PLC0415
    from health_pipeline.review.database import writing  # noqa: PLC0415
    from health_pipeline.review.tokens import revoke_token  # noqa: PLC0415

    with failing_in_one_sentence(out), Ledger.open(Settings()) as ledger:
        with writing(ledger.engine) as connection:
            ended = revoke_token(connection, token_id, by.strip().lower(), ledger.clock.now())
        out.print(f"Token {ended.token_id} of {ended.system} is revoked.")


@token_app.command("list")
def list_() -> None:
    """Every token there ever was: whose, until when, when it was last used. Never the token."""
    from health_pipeline.review import Ledger  # noqa: PLC0415
    from health_pipeline.review.database import reading  # noqa: PLC0415
    from health_pipeline.review.tokens import list_tokens  # noqa: PLC0415

    with failing_in_one_sentence(out), Ledger.open(Settings()) as ledger:
        with reading(ledger.engine) as connection:
            found = list_tokens(connection)
        for one in found:
            used = f"last used {one.used_at:%Y-%m-%d %H:%M}" if one.used_at else "never used"
            state = one.state(ledger.clock.now())
            until = f"until {one.expires_at:%Y-%m-%d %H:%M} UTC"
            out.print(f"{one.token_id}  {one.system}  {state}, {until}, {used}; made by {one.created_by}")
        if not found:
            out.print("There is no token; `health-pipeline desk token create` makes one.")
