"""Reads recent support tickets with their words from the warehouse, for rules that look at them. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.connection import open_duckdb
from health_pipeline.mart.warehouse import INTERMEDIATE_SCHEMA
from health_pipeline.settings import Settings

TEXT_CHARACTERS = 1000
TICKET_SCHEMA = pa.schema(
    [
        ("week", pa.date32()),
        ("account_id", pa.string()),
        ("wording_id", pa.int64()),
        ("is_of_28d", pa.bool_()),
        ("is_of_91d", pa.bool_()),
        ("is_open", pa.bool_()),
    ]
)
WORDING_SCHEMA = pa.schema(
    [
        ("wording_id", pa.int64()),
        ("ticket_type", pa.string()),
        ("feature_key", pa.string()),
        ("subject", pa.string()),
        ("body", pa.string()),
    ]
)
_KEY = ("source_kind", "source_system", "source_instance", "ticket_id", "valid_from")


@dataclass(frozen=True)
class RecentTickets:
    """Tickets created in 91 days or open, of each week, and what the tickets say.

    Attributes
    ----------
    tickets : TICKET_SCHEMA, one row per week and ticket of a live account
    wordings : WORDING_SCHEMA, one row per version of a ticket that counts in any of the weeks. Customers' words: they
        are looked at in memory and go into no table, log or message.
    """

    tickets: pa.Table
    wordings: pa.Table


def read_recent_tickets(settings: Settings, weeks: Sequence[Week], text_fields: Sequence[str]) -> RecentTickets:
    """Read the tickets that count in those weeks, as known then.

    A ticket that counts in thirteen weeks with the same words has them once.

    Parameters
    ----------
    settings : where state lives
    weeks : the run's weeks; the build of the feature mart must have had them
    text_fields : `subject`, `body`; another field comes as null. At most `TEXT_CHARACTERS` of each are read.

    Raises
    ------
    FileNotFoundError
        If there is no warehouse yet.
    LookupError
        If the build had other weeks.
    """
    key = ", ".join(_KEY)
    same = " and ".join(f"words.{name} = versions.{name}" for name in _KEY)
    texts = ", ".join(
        f"left({name}, {TEXT_CHARACTERS}) as {name}" if name in text_fields else f"cast(null as varchar) as {name}"
        for name in ("subject", "body")
    )
    recent = f"{INTERMEDIATE_SCHEMA}.int_support_tickets_weekly"
    with open_duckdb(settings.warehouse, read_only=True) as connection:
        _refuse_other_weeks(connection, weeks)
        connection.execute(
            f"create temporary table words as select row_number() over (order by {key}) as wording_id, * from "
            f"(select distinct {key}, ticket_type, feature_key from {recent} where list_contains(?, week))",
            [[week.monday for week in weeks]],
        )
        tickets = connection.execute(
            f"select week, account_id, wording_id, is_of_28d, is_of_91d, is_open from {recent} as versions "
            f"inner join words on {same} where list_contains(?, week) order by week, wording_id",
            [[week.monday for week in weeks]],
        ).to_arrow_table()
        wordings = connection.execute(
            f"select wording_id, ticket_type, feature_key, {texts} from words "
            f"inner join {INTERMEDIATE_SCHEMA}.int_support_ticket_versions as versions on {same} order by wording_id"
        ).to_arrow_table()
    return RecentTickets(tickets.cast(TICKET_SCHEMA), wordings.cast(WORDING_SCHEMA))


def _refuse_other_weeks(connection: duckdb.DuckDBPyConnection, weeks: Sequence[Week]) -> None:
    built = {row[0] for row in connection.execute(f"select week from {INTERMEDIATE_SCHEMA}.int_week_spine").fetchall()}
    if missing := [str(week) for week in weeks if week.monday not in built]:
        raise LookupError(
            f"The feature mart was last built for other weeks than {', '.join(missing)}; build it for them first "
            "(materialise the whole weekly job)."
        )
