"""Decides which of a run's weeks and quarters are new, unchanged or replaced, and refuses the rest in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.mart import MartTable, Partition, mart_tables
from health_pipeline.publication.errors import (
    CandidateError,
    FrozenQuarterError,
    FrozenWeekError,
    RestateGapError,
)
from health_pipeline.publication.mart_file import built_content_hash, rows_of
from health_pipeline.publication.parquet import slice_columns, slice_path
from health_pipeline.publication.releases import Release

Slice = Week | Quarter


@dataclass(frozen=True)
class SlicePlan:
    """What happens to a run's weeks (or quarters), as first days in order."""

    new: tuple[date, ...] = ()
    replaced: tuple[date, ...] = ()
    unchanged: tuple[date, ...] = ()

    @property
    def written(self) -> tuple[date, ...]:
        """What the candidate holds anew."""
        return tuple(sorted(self.new + self.replaced))


def first_day(item: Slice) -> date:
    """The day that names a week or a quarter."""
    return item.monday if isinstance(item, Week) else item.first_day


def _after(item: Slice) -> date:
    return first_day(item.shift(1)) if isinstance(item, Week) else item.next.first_day


def partitioned(tables: Mapping[str, pa.Table], partition: Partition) -> dict[str, MartTable]:
    """The given tables that are frozen by that partition."""
    return {name: mart_tables()[name] for name in tables if mart_tables()[name].partition == partition}


def plan_slices(
    base: Release | None,
    tables: Mapping[str, pa.Table],
    run: Sequence[Slice],
    partition: Partition,
    *,
    restate: bool,
) -> SlicePlan:
    """Compare a run's weeks (or quarters) with the published ones.

    Parameters
    ----------
    tables : the run's tables, already checked against the contract
    run : the run's weeks, or its quarters
    restate : whether published slices that came out differently are replaced

    Raises
    ------
    CandidateError
        If the run leaves a hole, or starts before the first published slice.
    FrozenWeekError, FrozenQuarterError
        If a published slice came out differently and `restate` is not set.
    """
    ordered = sorted(run, key=first_day)
    days = [first_day(item) for item in ordered]
    published = [date.fromisoformat(text) for text in base.manifest[f"published_{partition}s"]] if base else []
    _refuse_holes(ordered, published, partition)
    known = [day for day in days if day in set(published)]
    differing = _differing(base, partitioned(tables, partition), tables, known, restate=restate) if base else {}
    if differing and not restate:
        raise _frozen(differing, partition)
    return SlicePlan(
        new=tuple(day for day in days if day not in known),
        replaced=tuple(differing),
        unchanged=tuple(day for day in known if day not in differing),
    )


def _refuse_holes(run: Sequence[Slice], published: Sequence[date], partition: Partition) -> None:
    if not run:
        return
    days = [first_day(item) for item in run]
    for item, following in zip(run, days[1:], strict=False):
        if _after(item) != following:
            raise CandidateError(
                f"The run holds {partition} {item} and then {following}; give every {partition} between."
            )
    if not published:
        return
    newest = published[-1]
    if days[0] < published[0]:
        raise CandidateError(
            f"The {partition} {days[0]} comes before the first published {partition} {published[0]}, and published "
            f"history is not extended backwards; start the run at {published[0]} or later."
        )
    if days[0] > newest and _next_of(newest, run[0]) != days[0]:
        hint = f"the quarters after {newest} one by one"
        if partition == "week":
            hint = f"--week {days[-1]} --weeks {(days[-1] - newest).days // 7}"
        raise CandidateError(
            f"The newest published {partition} is {newest} and the run starts at {days[0]}, which would leave a hole; "
            f"give {hint}."
        )


def _next_of(day: date, like: Slice) -> date:
    if isinstance(like, Week):
        return _after(Week(day))
    return _after(Quarter(day, like.fiscal_year_start_month))


def _differing(
    base: Release,
    owners: Mapping[str, MartTable],
    tables: Mapping[str, pa.Table],
    known: Sequence[date],
    *,
    restate: bool,
) -> dict[date, list[str]]:
    found: dict[date, list[str]] = {}
    for day in known:
        for name, table in owners.items():
            rows = rows_of(table, tables[name], [day])
            # Only a restatement fills the tables and columns that are younger than the slice.
            if not _is_same(base, table, day, rows) or (restate and _is_fuller(base, table, day, rows)):
                found.setdefault(day, []).append(name)
    return found


def _is_same(base: Release, table: MartTable, day: date, rows: pa.Table) -> bool:
    published_hash = base.manifest["slices"].get(table.name, {}).get(day.isoformat())
    if published_hash is None:
        # The table is younger than the slice: it stays empty there.
        return True
    built = {column.name for column in table.built_columns}
    # Only the columns the slice had when it was published count: new ones are null in it.
    columns = set(slice_columns(base.folder, table.name, day.isoformat())) - {"published_at"}
    if retired := columns - built:
        old = pq.read_table(base.folder / slice_path(table.name, day.isoformat()))
        published_hash = built_content_hash(table, old, columns - retired)
    return built_content_hash(table, rows, columns & built) == published_hash


def _is_fuller(base: Release, table: MartTable, day: date, rows: pa.Table) -> bool:
    """Whether the rows say something in a table or a column that the published slice does not have."""
    if day.isoformat() not in base.manifest["slices"].get(table.name, {}):
        return bool(rows.num_rows)
    had = set(slice_columns(base.folder, table.name, day.isoformat()))
    younger = [column.name for column in table.built_columns if column.name not in had]
    return any(rows[name].null_count < rows.num_rows for name in younger)


def _frozen(differing: Mapping[date, list[str]], partition: Partition) -> FrozenWeekError | FrozenQuarterError:
    days = tuple(day.isoformat() for day in differing)
    names = tuple(dict.fromkeys(name for tables in differing.values() for name in tables))
    word = partition.capitalize()
    what = f"{word} {days[0]} is" if len(days) == 1 else f"{word}s {', '.join(days)} are"
    message = (
        f"{what} published and came out differently in {', '.join(names)}; leave it as it is, or replace it with "
        "`--restate REASON`."
    )
    return (FrozenWeekError if partition == "week" else FrozenQuarterError)(message, days, names)


def refuse_broken_tier_path(
    connection: duckdb.DuckDBPyConnection, replaced: Sequence[date], published: Sequence[date], newest_in_run: date
) -> None:
    """Refuse a restatement after which a later published week no longer continues from the week before it.

    Raises
    ------
    RestateGapError
        Naming the weeks to give.
    """
    later = dict(pairwise(published))
    for day in replaced:
        following = later.get(day)
        if following is None or following in replaced:
            continue
        row = connection.execute(
            "select count(*) from account_health_weekly as later "
            "left join account_health_weekly as earlier "
            "on earlier.account_id = later.account_id and earlier.week = $day "
            "where later.week = $following and later.previous_tier is distinct from earlier.tier",
            {"day": day, "following": following},
        ).fetchone()
        if row is not None and row[0]:
            newest = max(published[-1], newest_in_run)
            raise RestateGapError(
                f"Restating {day} changes the tier path of {row[0]} accounts, and the published week {following} still "
                f"continues the old one; restate every later week too: --week {newest} "
                f"--weeks {(newest - min(replaced)).days // 7 + 1} --restate REASON."
            )
