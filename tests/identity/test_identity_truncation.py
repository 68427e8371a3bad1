"""What becomes known later changes nothing known before: links before a cut do not depend on later loads."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from drawn_books import DECISION, LANDING, LOAD, PAST, QUIET, decisions, fill
from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.identity.match import links_as_known


def as_known(crosswalk, moment):
    """The links in force at a time, without the end that came later."""
    return sorted(
        tuple(row.values()) for row in links_as_known(crosswalk.links, moment).drop_columns("valid_to").to_pylist()
    )


@QUIET
@given(
    **LANDING,
    drawn=DECISION,
    cut=st.integers(9, 18),
)
def test_links_known_before_a_cut_do_not_depend_on_loads_after_it(book, historical, incremental, late, drawn, cut):
    whole = fill(book.new(), historical, incremental, late)
    overrides = decisions(whole, drawn)
    full, truncated = whole.crosswalk(overrides), whole.until(cut).crosswalk(overrides)
    for day in (-40, -20, -3, 0, 5, 9, cut - 0.5, cut):
        if day <= cut:
            assert as_known(full, whole.at(day)) == as_known(truncated, whole.at(day))
    seen = pc.field("first_seen_at") <= pa.scalar(whole.at(cut), pa.timestamp("us"))
    minted = [
        crosswalk.accounts.filter(seen).select(["account_id", "anchor_source_kind", "first_seen_at"]).to_pylist()
        for crosswalk in (full, truncated)
    ]
    assert minted[0] == minted[1]


@QUIET
@given(
    historical=st.lists(st.tuples(LOAD, st.lists(PAST, min_size=4, max_size=4)), max_size=3),
    incremental=st.lists(LOAD, min_size=1, max_size=6),
    seed=st.randoms(use_true_random=False),
)
def test_the_order_of_rows_decides_nothing_and_links_never_overlap(book, historical, incremental, seed):
    whole = fill(book.new(), historical, incremental, None)
    first = whole.crosswalk()
    seed.shuffle(whole.rows)
    second = whole.crosswalk()
    for name in ("accounts", "links", "unmatched", "possible_duplicates"):
        assert getattr(first, name).equals(getattr(second, name)), name
    last_end = {}
    for link in first.links.to_pylist():
        record = tuple(link[name] for name in ("source_kind", "source_system", "source_instance", "source_account_id"))
        assert record not in last_end or (last_end[record] is not None and last_end[record] <= link["valid_from"])
        assert link["valid_to"] is None or link["valid_from"] < link["valid_to"]
        last_end[record] = link["valid_to"]
    linked = {record for record, end in last_end.items() if end is None}
    unmatched = {tuple(row.values())[:4] for row in first.unmatched.to_pylist()}
    assert not linked & unmatched


def test_the_property_can_fail(book):
    """A crosswalk that judges the past by what is unique today is caught: the later duplicate does it."""
    book.load(0, "crm", [{"id": "C1", "domain": "acme.example"}])
    book.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    book.load(9, "crm", [{"id": "C2", "domain": "acme.example"}])
    hindsight = book.new()
    hindsight.load(0, "crm", [{"id": "C1", "domain": "acme.example"}, {"id": "C2", "domain": "acme.example"}])
    hindsight.load(1, "billing", [{"id": "B1", "domain": "acme.example"}])
    moment = book.at(2)
    assert as_known(book.crosswalk(), moment) == as_known(book.until(5).crosswalk(), moment)
    assert as_known(hindsight.crosswalk(), moment) != as_known(book.crosswalk(), moment)
