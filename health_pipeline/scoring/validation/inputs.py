"""What a validation is about: the published tables, or anybody's features and outcomes in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.mart.published import current_release, read_published
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.documents import Document
from health_pipeline.policy.features import FEATURE_TABLE, STATUSES, features
from health_pipeline.policy.health_score import HealthScorePolicy
from health_pipeline.scoring.weekly import PreviousWeek, score_weeks
from health_pipeline.settings import Settings

_LABELS = ("has_churned_13w", "has_contracted_13w", "has_expanded_13w")


class NothingToValidateError(ValueError):
    """There are no scores or no outcomes to hold against each other; the message says what to do."""


@dataclass(frozen=True)
class Inputs:
    """Scores, outcomes and features of the same accounts and weeks.

    Attributes
    ----------
    health, outcomes, features : rows of the tables account_health_weekly, account_outcomes_weekly and
        account_features_weekly
    source : where they come from, in words
    is_as_published : the scores are those that were published; else the policy scored the features anew
    """

    health: pa.Table
    outcomes: pa.Table
    features: pa.Table
    source: str
    is_as_published: bool


def published_inputs(settings: Settings) -> Inputs:
    """Read scores as published, with the outcomes and features of the same release.

    Raises
    ------
    NothingToValidateError
        If nothing is published yet.
    """
    release = current_release(settings)
    if release is None:
        raise NothingToValidateError(
            f"Nothing is published under {settings.published}; run `health-pipeline weekly`, or give --features and "
            "--outcomes."
        )
    return Inputs(
        health=read_published(settings, "account_health_weekly"),
        outcomes=read_published(settings, "account_outcomes_weekly"),
        features=read_published(settings, FEATURE_TABLE),
        source=f"the published mart, release {release}",
        is_as_published=True,
    )


def file_inputs(
    features_file: Path, outcomes_file: Path, policy: Document[HealthScorePolicy], company: Document[CompanyPolicy]
) -> Inputs:
    """Read features and outcomes from Parquet and score them with the policy: no published score is at hand.

    Raises
    ------
    NothingToValidateError
        If a file is not there or is no Parquet, or lacks the key or the labels.
    """
    rows = complete_features(_read(features_file, ["account_id", "week"]))
    outcomes = _read(outcomes_file, ["account_id", "week", _LABELS[0]])
    return Inputs(
        health=score_anew(rows, policy, company),
        outcomes=outcomes,
        features=rows,
        source=f"{features_file.name} and {outcomes_file.name}, scored with the policy in force",
        is_as_published=False,
    )


def complete_features(given: pa.Table) -> pa.Table:
    """Bring rows into the contract's columns: a column that is not there is null, and so is not measured.

    A domain without its status column is `measured` where one of its features has a value, else `missing`.
    """
    schema = mart_tables()[FEATURE_TABLE].arrow_schema
    given = given.set_column(
        given.column_names.index("week"), "week", pa.array(_weeks(given), pa.date32(), from_pandas=True)
    )
    frame = {name: given[name] for name in given.column_names}
    for domain in {found.domain for found in features().values()}:
        status = f"{domain}_status"
        if status not in frame:
            own = [name for name, found in features().items() if found.domain == domain and name in frame]
            known = given.select(own).to_pandas().notna().any(axis=1) if own else pd.Series(data=[False] * len(given))
            frame[status] = pa.array([STATUSES[0] if is_known else STATUSES[2] for is_known in known], pa.string())
    columns = []
    for wanted in schema:
        if wanted.name not in frame:
            columns.append(pa.nulls(len(given), wanted.type))
            continue
        try:
            columns.append(pa.chunked_array(frame[wanted.name]).cast(wanted.type, safe=False))
        except pa.ArrowInvalid as error:
            raise NothingToValidateError(
                f"{FEATURE_TABLE}.{wanted.name} must be {wanted.type}, and not all of it can be read so: {error}."
            ) from error
    return pa.Table.from_arrays(columns, schema=schema)


def score_anew(rows: pa.Table, policy: Document[HealthScorePolicy], company: Document[CompanyPolicy]) -> pa.Table:
    """Rows of account_health_weekly by the policy; the tier path starts anew after each week that is not there."""
    segments = pd.DataFrame({"account_id": [], "week": [], "segment": [], "segment_model_id": []})
    nothing = PreviousWeek(empty_table("account_health_weekly"), empty_table("score_contributions_weekly"))
    weeks = sorted({Week(day) for day in rows["week"].to_pylist()})
    parts = [score_weeks(rows, segments, policy, company, run, nothing).health for run in _without_holes(weeks)]
    return pa.concat_tables([empty_table("account_health_weekly"), *parts])


def _without_holes(weeks: list[Week]) -> Iterator[list[Week]]:
    run: list[Week] = []
    for week in weeks:
        if run and week != run[-1].shift(1):
            yield run
            run = []
        run.append(week)
    if run:
        yield run


def _read(path: Path, needed: list[str]) -> pa.Table:
    if not path.is_file():
        raise NothingToValidateError(f"{path} is not there; name a Parquet file.")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise NothingToValidateError(f"{path} is not a Parquet file.") from error
    if lacking := [name for name in needed if name not in table.column_names]:
        raise NothingToValidateError(f"{path} lacks the columns {', '.join(lacking)}; see docs/data-dictionary.md.")
    return table


def _weeks(table: pa.Table) -> pd.Series:
    weeks = pd.to_datetime(table["week"].to_pandas())
    return weeks.dt.date
