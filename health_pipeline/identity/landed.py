"""The crosswalk of what is landed, in one go or begun before the newest loads are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset

from health_pipeline.contract.clocks import naive_utc, week_of
from health_pipeline.contract.landing import arrow_schema, landing_tables
from health_pipeline.identity.changes import ROW_COLUMNS
from health_pipeline.identity.crosswalk import Crosswalk, crosswalk_of, fold_landed
from health_pipeline.identity.fold import Fold
from health_pipeline.identity.overrides import load_overrides
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings


@dataclass(frozen=True)
class Begun:
    """The `source_account` files that were read, their rows, and the fold of those."""

    paths: tuple[str, ...]
    rows: pa.Table
    fold: Fold


def build_landed(settings: Settings, manifest: pa.Table) -> Crosswalk:
    """The crosswalk of the manifest's loads.

    Raises
    ------
    PolicyError
        If the override file or the company policy can't be used.
    FileNotFoundError
        If a file the manifest names is not there.
    """
    return crosswalk_of(fold_files(settings, manifest).fold)


def fold_files(settings: Settings, manifest: pa.Table, begun: Begun | None = None) -> Begun:
    """Fold what the manifest's loads hold; with `begun`, the files it has read are not read again, nor looked for.

    Parameters
    ----------
    settings : where the override file and the policy are
    manifest : `Landing.manifest()`, one row per load and table
    begun : what came of fewer loads; not to be used afterwards, for its fold may be gone on with

    Raises
    ------
    PolicyError, FileNotFoundError
        As `build_landed` does.
    """
    overrides = load_overrides(settings.policy, settings.home)
    since = first_known_at(manifest, load_company(settings.policy).model.cutoff_hours)
    paths = _paths(manifest)
    if begun is None or not set(begun.paths) <= set(paths):
        rows, begun_fold = read_source_accounts(manifest), None
    else:
        read = set(begun.paths)
        rows = pa.concat_tables([begun.rows, _read([path for path in paths if path not in read])])
        begun_fold = begun.fold
    return Begun(paths, rows, fold_landed(rows, manifest, overrides, first_known_at=since, begun=begun_fold))


def read_source_accounts(manifest: pa.Table) -> pa.Table:
    """Read the columns identity needs from every committed `source_account` file.

    Raises
    ------
    FileNotFoundError
        Names the file the manifest promises and that is not there.
    """
    return _read(_paths(manifest))


def _paths(manifest: pa.Table) -> tuple[str, ...]:
    named = zip(manifest["path"].to_pylist(), manifest["table_name"].to_pylist(), strict=True)
    return tuple(path for path, name in named if name == "source_account")


def _read(paths: Sequence[str]) -> pa.Table:
    contract = arrow_schema(landing_tables()["source_account"])
    schema = pa.schema([contract.field(name) for name in ROW_COLUMNS])
    if not paths:
        return schema.empty_table()
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"{path} belongs to a committed load and is not there; restore the landing from a copy."
            )
    return pyarrow.dataset.dataset(list(paths), schema=schema, format="parquet").to_table()


def first_known_at(manifest: pa.Table, cutoff_hours: int) -> datetime | None:
    """`known_at` of the first week after the first load, naive UTC; None where nothing is loaded."""
    moments = manifest["loaded_at"].to_pylist()
    if not moments:
        return None
    first = min(moments).replace(tzinfo=UTC)
    week = week_of(first).shift(-1)
    while week.known_at(cutoff_hours) < first:
        week = week.shift(1)
    return naive_utc(week.known_at(cutoff_hours))
