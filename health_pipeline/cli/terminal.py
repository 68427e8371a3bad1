"""The command's tree, the terminal it prints to, and the options that several commands share."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    help="The weekly health review and the quarterly segmentation review. State lives under HEALTH_HOME "
    "(default var/), policy under HEALTH_POLICY.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
loads_app = typer.Typer(help="What came in: committed loads, and loads that wait for a person.", no_args_is_help=True)
policy_app = typer.Typer(help="The documents people tune.", no_args_is_help=True)
mapping_app = typer.Typer(help="The mapping that says what your own files hold.", no_args_is_help=True)
incidents_app = typer.Typer(help="Refused publications and who looks after them.", no_args_is_help=True)
ledger_app = typer.Typer(help="Decisions on customer risks: take packets in, verify, users.", no_args_is_help=True)
desk_app = typer.Typer()
token_app = typer.Typer(help="Tokens of other systems that pull approved actions.", no_args_is_help=True)
desk_app.add_typer(token_app, name="token")
app.add_typer(desk_app, name="desk")
app.add_typer(loads_app, name="loads")
app.add_typer(ledger_app, name="ledger")
app.add_typer(mapping_app, name="mapping")
app.add_typer(policy_app, name="policy")
app.add_typer(incidents_app, name="incidents")
# Bound to the terminal as it is now: a run sends what dbt prints elsewhere.
out = Console(soft_wrap=True, highlight=False, file=sys.stdout, width=None if sys.stdout.isatty() else 200)

WeekOption = Annotated[str, typer.Option("--week", help="The Monday a week starts, YYYY-MM-DD.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides: a person's name or address. It is recorded.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why. It is recorded.")]
