"""From when a landed row counts: the second clock, as SQL over a conformed table."""

from __future__ import annotations

from datetime import datetime

from health_pipeline.contract.landing import LOAD_COLUMNS, LandingTable
from health_pipeline.sources.casts import quote, text_literal
from health_pipeline.sources.delivered import delivered_columns
from health_pipeline.sources.extract import LoadMode


def landed_select(
    table: LandingTable,
    relation: str,
    mode: LoadMode,
    loaded_at: datetime,
    load_id: str,
    load_sequence: int,
    latency_hours: int,
) -> str:
    """SQL that adds the load columns to a conformed table, in the contract's order.

    In an incremental load every row is available at `loaded_at`. In a historical load a row is available from the first
    of its event time and its creation, plus the latency; its attributes from its last change, plus the latency, and
    from `loaded_at` where a record that can change does not say when it did. Never later than `loaded_at`.

    Parameters
    ----------
    relation : a view of the contract's delivered columns
    loaded_at : naive UTC
    latency_hours : how long after the fact the source usually shows it, in hours
    """
    loaded = f"timestamp '{loaded_at.isoformat(' ')}'"
    if mode == "incremental":
        available = attributes = loaded
    else:
        latency = f"interval ({int(latency_hours)}) hour"
        first = f"coalesce(least({_event_moment(table)}, source_created_at), source_updated_at, {loaded})"
        available = f"least({first} + {latency}, {loaded})"
        changed = f"greatest({available}, source_updated_at + {latency})"
        if table.is_mutable:
            changed = f"case when source_updated_at is null then {loaded} else {changed} end"
        attributes = f"least({changed}, {loaded})"
    values = {
        "loaded_at": loaded,
        "load_id": text_literal(load_id),
        "load_sequence": f"cast({load_sequence} as bigint)",
        "available_at": available,
        "attributes_available_at": attributes,
        "is_available_at_imputed": "true" if mode == "historical" else "false",
    }
    own = [quote(column.name) for column in delivered_columns(table)]
    load = [f"{values[column.name]} as {quote(column.name)}" for column in LOAD_COLUMNS]
    return f"select {', '.join(own + load)} from {relation}"


def _event_moment(table: LandingTable) -> str:
    if table.event_time is None:
        return "cast(null as timestamp)"
    name = quote(table.event_time)
    if table.column(table.event_time).type == "date":
        # what a day brought is known when the day is over
        return f"cast({name} as timestamp) + interval (1) day"
    return name
