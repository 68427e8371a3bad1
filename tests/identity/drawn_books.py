"""Landings that hypothesis draws: historical and incremental loads, a history that comes late, a decision."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from health_pipeline.identity.overrides import Merge, Override, Overrides, account_id_of

KINDS = ("crm", "billing", "cs", "support", "usage", "survey")
IDS = ("1", "2", "long-3", "long-4")
DOMAINS = (None, "acme.example", "beta.example", "gmail.com")
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
# what `fill` and `decisions` are given
LANDING = {
    "historical": st.lists(st.tuples(LOAD, st.lists(PAST, min_size=4, max_size=4)), max_size=4),
    "incremental": st.lists(LOAD, min_size=1, max_size=8),
    "late": st.none() | LOAD,
}
DECISION = st.tuples(
    st.sampled_from(KINDS), st.sampled_from(IDS), st.sampled_from(IDS), st.integers(-5, 18), st.booleans()
)
# a book is filled anew for each example
QUIET = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


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
