"""What becomes known later changes nothing known before: links before a cut do not depend on later loads."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from health_pipeline.identity.match import links_as_known
from health_pipeline.identity.overrides import Merge, Override, Overrides, account_id_of

KINDS = ("crm", "billing", "cs", "support", "usage", "survey")
IDS = ("1", "2", "long-3", "long-4")
DOMAINS = (None, "acme.example", "beta.example", "gmail.com")
QUIET = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

RECORD = st.fixed_dictionaries(
    {
        "id": st.sampled_from(IDS),
        "domain": st.sampled_from(DOMAINS),
        "external": st.sampled_from((None, None, *IDS)),
        "deleted": st.sampled_from((False, False, False, True)),
    }
)
LOAD = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        # usage and billing of one system share ids
        "system": st.sampled_from((None, "shared")),
        "records": st.lists(RECORD, max_size=4),
        "is_complete": st.booleans(),
    }
)
PAST = st.tuples(st.integers(-30, 0), st.integers(0, 30))


def fill(book, historical, incremental, late):
    for number, (load, times) in enumerate(historical):
        records = [
            {**record, "known": known - 30, "attributes": min(known - 30 + more, 0)}
            for record, (known, more) in zip(load["records"], times, strict=False)
        ]
        book.load(number / 100, **{**load, "records": records}, mode="historical")
    for number, load in enumerate(incremental):
        if number == len(incremental) // 2 and late is not None:
            book.load(
                10 + number - 0.5,
                **{**late, "records": [{**record, "known": -5} for record in late["records"]]},
                mode="historical",
            )
        book.load(10 + number, **load)
    return book


def decisions(book, drawn):
    kind, record, into, day, is_merge = drawn
    who = {"decided_by": "ana@example.com", "reason": "known"}
    account, other = (account_id_of(f"{kind}_system", "default", one) for one in (record, into))
    if is_merge and account != other:
        merge = Merge(account_id=account, into_account_id=other, effective_from=book.at(day), **who)
        return Overrides(merges=(merge,))
    override = Override(
        source_system="usage_system", source_account_id=record, account_id=account, effective_from=book.at(day), **who
    )
    return Overrides(overrides=(override,))


def as_known(crosswalk, moment):
    """The links in force at a time, without the end that came later."""
    return sorted(
        tuple(row.values()) for row in links_as_known(crosswalk.links, moment).drop_columns("valid_to").to_pylist()
    )


@QUIET
@given(
    historical=st.lists(st.tuples(LOAD, st.lists(PAST, min_size=4, max_size=4)), max_size=4),
    incremental=st.lists(LOAD, min_size=1, max_size=8),
    late=st.none() | LOAD,
    drawn=st.tuples(
        st.sampled_from(KINDS), st.sampled_from(IDS), st.sampled_from(IDS), st.integers(-5, 18), st.booleans()
    ),
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
