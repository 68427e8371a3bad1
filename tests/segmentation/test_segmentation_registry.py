"""Adoptions in the ledger, and which segment is in force in which week."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Quarter, Week
from health_pipeline.contract.mart import empty_table
from health_pipeline.segmentation.assignment import model_in_force, segments_in_force, with_other_solutions
from health_pipeline.segmentation.naming import segment_names
from health_pipeline.segmentation.quarterly import QuarterlyReview, review_quarter
from health_pipeline.segmentation.registry import (
    adopt,
    adopt_first,
    adoptions,
    first_monday_after,
    models_with_adoptions,
    review_due_at,
)
from health_pipeline.segmentation.space import Space

AT = datetime(2026, 10, 8, 6, tzinfo=UTC)
MONDAY = date(2026, 10, 12)


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger/not/there/yet/ledger.db"


@pytest.fixture(scope="module")
def review(accounts: Callable[..., pa.Table], quarter: Quarter, policy: Any) -> QuarterlyReview:
    return review_quarter(accounts().to_pandas(), quarter, policy)


def row(model_id: str, quarter: date) -> dict[str, Any]:
    return dict.fromkeys(empty_table("segment_models").column_names) | {
        "segment_model_id": model_id,
        "quarter": quarter,
    }


def models(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=empty_table("segment_models").schema)


def test_an_adoption_is_recorded_once(ledger: str, quarter: Quarter) -> None:
    assert adoptions(ledger) == []
    first = adopt(ledger, "m1", quarter.first_day, MONDAY, "lead@example.com", "fits", AT)
    again = adopt(ledger, "m1", quarter.first_day, MONDAY, "other@example.com", "too", AT.replace(hour=9))
    assert again == first
    assert adoptions(ledger) == [first]
    assert first.adopted_at == AT
    later = adopt(ledger, "m1", quarter.first_day, date(2026, 10, 19), "lead@example.com", "again", AT)
    assert adoptions(ledger) == [first, later]


def test_asking_creates_no_ledger(ledger: str, tmp_path: Path) -> None:
    assert adoptions(ledger) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"effective_from": date(2026, 10, 13)}, "2026-10-13 is not a Monday"),
        ({"adopted_at": AT.replace(tzinfo=None)}, "has no time zone"),
        ({"adopted_by": " "}, "names who adopted the model and why"),
        ({"reason": ""}, "names who adopted the model and why"),
    ],
)
def test_an_adoption_that_says_too_little_is_refused(
    ledger: str, quarter: Quarter, change: dict[str, Any], sentence: str
) -> None:
    given = {
        "segment_model_id": "m1",
        "quarter": quarter.first_day,
        "effective_from": MONDAY,
        "adopted_by": "lead@example.com",
        "reason": "fits",
        "adopted_at": AT,
    }
    with pytest.raises(ValueError, match=sentence):
        adopt(ledger, **(given | change))
    assert adoptions(ledger) == []


def test_the_first_monday_after() -> None:
    assert first_monday_after(AT) == MONDAY
    assert first_monday_after(datetime(2026, 10, 12, tzinfo=UTC)) == date(2026, 10, 19)
    assert first_monday_after(datetime(2026, 10, 11, 23, 59, tzinfo=UTC)) == MONDAY
    assert review_due_at(Quarter(date(2026, 10, 1))) == datetime(2027, 1, 8, tzinfo=UTC)


def test_the_first_model_is_adopted_by_the_policy_once(ledger: str) -> None:
    registry = models(row("m2", date(2026, 7, 1)), row("m1", date(2026, 4, 1)))
    assert adopt_first(ledger, registry, "manual", AT) is None
    assert adopt_first(ledger, models(), "first_automatic", AT) is None
    first = adopt_first(ledger, registry, "first_automatic", AT)
    assert first is not None
    assert (first.segment_model_id, first.effective_from, first.adopted_by) == ("m1", MONDAY, "policy:first_automatic")
    assert adopt_first(ledger, registry, "first_automatic", AT) is None
    assert adoptions(ledger) == [first]


def test_status_comes_from_the_ledger_alone(ledger: str) -> None:
    stale = row("m3", date(2026, 10, 1)) | {"status": "adopted", "effective_from": MONDAY, "adopted_by": "nobody"}
    registry = models(row("m2", date(2026, 7, 1)), row("m1", date(2026, 4, 1)), stale)
    adopt(ledger, "m1", date(2026, 4, 1), date(2026, 7, 13), "a@example.com", "first", AT)
    adopt(ledger, "m2", date(2026, 7, 1), MONDAY, "b@example.com", "better", AT)
    adopt(ledger, "elsewhere", date(2026, 7, 1), date(2027, 1, 4), "c@example.com", "not published", AT)
    rows = models_with_adoptions(registry, adoptions(ledger)).to_pylist()
    assert [(r["segment_model_id"], r["status"], r["effective_from"], r["adopted_by"]) for r in rows] == [
        ("m1", "retired", date(2026, 7, 13), "a@example.com"),
        ("m2", "adopted", MONDAY, "b@example.com"),
        ("m3", "candidate", None, None),
    ]
    in_force = models_with_adoptions(registry, adoptions(ledger))
    for monday, model in [
        (date(2026, 7, 6), None),
        (date(2026, 7, 13), "m1"),
        (date(2026, 10, 5), "m1"),
        (MONDAY, "m2"),
    ]:
        found = model_in_force(in_force, Week(monday))
        assert (found and found["segment_model_id"]) == model


def test_segments_in_force(
    ledger: str, review: QuarterlyReview, accounts: Callable[..., pa.Table], quarter: Quarter
) -> None:
    adopt_first(ledger, review.model, "first_automatic", AT)
    registry = models_with_adoptions(review.model, adoptions(ledger))
    before, first, second = (Week(date(2026, 10, 5)), Week(MONDAY), Week(date(2026, 10, 19)))
    known = accounts().slice(0, 4)
    names = known["account_id"].to_pylist()
    # The first account's features are another group's now: it keeps its segment. "new" has those of the second.
    swapped = known.take([1, 1, 2, 3]).set_column(0, "account_id", pa.array([names[0], "new", names[2], names[3]]))
    unknown = known.slice(0, 1).set_column(0, "account_id", pa.array(["unknown"]))
    position = unknown.schema.get_field_index("usage_status")
    unknown = unknown.set_column(position, "usage_status", pa.array(["missing"]))
    position = unknown.schema.get_field_index("engagement_status")
    unknown = unknown.set_column(position, "engagement_status", pa.array(["missing"]))
    rows = pa.concat_tables([swapped, unknown])
    features = pa.concat_tables(
        [
            rows.set_column(1, "week", pa.repeat(pa.scalar(week.monday, pa.date32()), rows.num_rows))
            for week in (before, first, second)
        ]
    )
    found = segments_in_force(registry, review.assignments, features, [before, first])
    assigned = dict(
        zip(review.assignments["account_id"].to_pylist(), review.assignments["segment"].to_pylist(), strict=True)
    )
    model_id = review.model["segment_model_id"][0].as_py()
    assert found.columns.tolist() == ["account_id", "week", "segment", "segment_model_id"]
    assert set(found["week"]) == {before.monday, first.monday}
    earlier = found[found["week"] == before.monday]
    assert set(earlier["segment"]) == {"unsegmented"}
    assert earlier["segment_model_id"].isna().all()
    now = found[found["week"] == first.monday].set_index("account_id")
    assert set(now["segment_model_id"]) == {model_id}
    assert now["segment"].to_dict() == {
        names[0]: assigned[names[0]],
        "new": assigned[names[1]],
        names[2]: assigned[names[2]],
        names[3]: assigned[names[3]],
        "unknown": "unsegmented",
    }


def test_another_solution_that_a_person_adopts_is_frozen_too(
    ledger: str, review: QuarterlyReview, accounts: Callable[..., pa.Table], quarter: Quarter
) -> None:
    """The review assigns by the model it recommends: with another one accounts must not hop from week to week."""
    other = review.model.set_column(
        review.model.schema.get_field_index("segment_model_id"), "segment_model_id", pa.array(["segments-other"])
    )
    adopt(ledger, "segments-other", quarter.first_day, MONDAY, "a@example.com", "easier to sell", AT)
    registry = models_with_adoptions(pa.concat_tables([review.model, other]), adoptions(ledger))
    asked: list[Week] = []

    def features_of(week: Week) -> pa.Table:
        asked.append(week)
        return accounts()

    weeks = [Week(MONDAY), Week(date(2026, 10, 19))]
    assignments = with_other_solutions(registry, review.assignments, weeks, features_of)
    assert asked == [quarter.last_week]
    names = accounts()["account_id"].to_pylist()
    # A week later each account looks like its neighbour, which is of another group.
    looks = accounts().take([*range(1, len(names)), 0]).set_column(0, "account_id", pa.array(names))
    later = looks.set_column(1, "week", pa.repeat(pa.scalar(MONDAY, pa.date32()), len(names)))
    found = segments_in_force(registry, assignments, later, [Week(MONDAY)])
    assert set(found["segment_model_id"]) == {"segments-other"}
    frozen = dict(
        zip(review.assignments["account_id"].to_pylist(), review.assignments["segment"].to_pylist(), strict=True)
    )
    assert dict(zip(found["account_id"], found["segment"], strict=True)) == frozen
    # Without it they would have moved.
    assert dict(zip(found["account_id"], segments_in_force(
        registry, review.assignments, later, [Week(MONDAY)])["segment"], strict=True)) != frozen  # fmt: skip


def test_nothing_adopted_and_no_accounts(quarter: Quarter, accounts: Callable[..., pa.Table]) -> None:
    nothing = empty_table("segment_assignments_quarterly")
    found = segments_in_force(models(), nothing, accounts().slice(0, 2), [quarter.last_week])
    assert found["segment"].tolist() == ["unsegmented"] * 2
    assert segments_in_force(models(), nothing, accounts().slice(0, 0), [quarter.last_week]).empty


def test_names_are_told_apart(accounts: Callable[..., pa.Table], policy: Any) -> None:
    space = Space.fit(accounts().to_pandas(), policy.model)
    centres = space.place(accounts().to_pandas())[0][[3, 7, 11, 15, 0]]
    names = segment_names(space, centres, policy.model.name_from)
    assert len(set(names)) == 5
    assert names[0].endswith("(1)")
    two = segment_names(space, centres[:2], policy.model.name_from)
    assert {name.rsplit(" (", 1)[1].split()[0] for name in two} == {"more", "less"}
    assert segment_names(space, centres[:1], 0.4) == ["all accounts"]
