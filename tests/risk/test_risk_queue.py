"""The exception queue: its three queues, its order with the reason, the line per owner, the random audit."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.policy.capacity import CapacityPolicy, load_capacity
from health_pipeline.policy.documents import PolicyError
from health_pipeline.policy.exception_queue import ExceptionQueuePolicy, ReviewCapacity, load_exception_queue
from health_pipeline.policy.risk_signals import CATEGORIES
from health_pipeline.risk.queue import Entry, queue_of_week, queue_packets, random_audit

MONDAY = date(2026, 11, 9)
POLICY = load_exception_queue(None).model
CAPACITY = load_capacity(None).model


def packet(account: str, **given: Any) -> dict[str, Any]:
    """A medium support packet that opened this week, of 10,000 EUR, owned by ana."""
    return {
        "packet_id": f"packet-{account}",
        "account_id": account,
        "week": MONDAY,
        "side": "risk",
        "opened_week": MONDAY,
        "last_fired_week": MONDAY,
        "is_quiet": False,
        "category": "support",
        "runner_up_category": None,
        "severity": "medium",
        "severity_status": "suggested",
        "signals": "unresolved_tickets",
        "state": "detected",
        "likelihood": 2,
        "value_at_risk": Decimal("10000"),
        "currency": "EUR",
        "days_to_renewal": 300,
        "owner_email": "ana@example.com",
        **given,
    }


def queue(
    *packets: Mapping[str, Any],
    weak: Mapping[str, Any] | None = None,
    accounts: Mapping[str, str | None] | None = None,
    policy: ExceptionQueuePolicy = POLICY,
    capacity: CapacityPolicy = CAPACITY,
) -> list[Entry]:
    live = accounts if accounts is not None else {row["account_id"]: row["owner_email"] for row in packets}
    return queue_of_week(packets, weak or {}, live, MONDAY, policy, capacity)


def order(*packets: Mapping[str, Any]) -> list[str]:
    return [entry.account_id for entry in queue(*packets) if entry.rank]


def test_every_category_stands_in_one_queue_and_growth_under_other():
    queues = {category: POLICY.queue_of(category) for category in CATEGORIES}
    assert queues == {
        **dict.fromkeys(("onboarding", "adoption", "engagement_silence", "sponsor_stakeholder"), "behaviour_change"),
        **dict.fromkeys(("support", "product_quality", "sentiment"), "support_friction"),
        **dict.fromkeys(
            ("value_outcome", "commercial_payment", "competitive", "corporate_change", "delivery", "renewal_posture"),
            "value_risk",
        ),
        "expansion": "other",
    }
    assert POLICY.queue_of(None) == "other"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"severity": "high"}, {"severity": "medium", "value_at_risk": Decimal("900000")}),
        # not assessed is neither the worst nor the best
        ({"severity": "medium"}, {"severity": None, "value_at_risk": Decimal("900000")}),
        ({"severity": None}, {"severity": "low", "value_at_risk": Decimal("900000")}),
        # two medium signals of different categories have a higher likelihood than one high one
        ({"likelihood": 4}, {"likelihood": 3, "value_at_risk": Decimal("900000")}),
        ({"days_to_renewal": 119}, {"days_to_renewal": 121, "value_at_risk": Decimal("900000")}),
        ({"days_to_renewal": None, "value_at_risk": Decimal("11000")}, {"days_to_renewal": 121}),
        ({"value_at_risk": Decimal("11000")}, {"value_at_risk": Decimal("10000")}),
        ({"opened_week": MONDAY - timedelta(weeks=3)}, {}),
        ({"severity": "low"}, {"last_fired_week": MONDAY - timedelta(weeks=1), "severity": "critical"}),
        ({"severity": "low"}, {"side": "expansion", "severity": "high"}),
    ],
)
def test_what_comes_first(first, second):
    assert order(packet("later", **second), packet("sooner", **first)) == ["sooner", "later"]
    assert order(packet("a_later", **second), packet("z_sooner", **first)) == ["z_sooner", "a_later"]


def test_an_unknown_value_counts_as_the_typical_one():
    known = [packet(name, value_at_risk=Decimal(value)) for name, value in (("a", 90), ("b", 50), ("c", 10))]
    assert order(*known, packet("unknown", value_at_risk=None)) == ["a", "b", "unknown", "c"]


def test_the_reason_says_what_the_order_goes_by():
    row = packet(
        "acc",
        category="value_outcome",
        runner_up_category="engagement_silence",
        severity="high",
        days_to_renewal=34,
        value_at_risk=Decimal("48000"),
        opened_week=MONDAY - timedelta(weeks=2),
    )
    (entry,) = queue(row, weak={"acc": ("low_coverage",)})
    assert entry.reason == (
        "Severity high (suggested); value outcome; together with engagement silence; 34 days to the end of the period; "
        "48,000 EUR at stake; green by score, and weak inside: little of its score was measured; open for 3 weeks"
    )
    (bare,) = queue(packet("acc", severity=None, category=None, value_at_risk=None))
    assert bare.reason == "Severity not assessed, as the value is not known; value not known; new this week"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"signals": None, "likelihood": 0}, "Severity not assessed, as nothing fires; "),
        ({"likelihood": 0}, "Severity not assessed, as nothing supports it; "),
        ({"likelihood": 3}, "Severity not assessed, as the value is not known; "),
    ],
)
def test_a_severity_that_is_not_assessed_says_why(row, said):
    (entry,) = queue(packet("acc", severity=None, **row))
    assert entry.reason.startswith(said)


def test_a_quiet_risk_leaves_the_queue_and_may_be_drawn_at_random():
    long_ago = MONDAY - timedelta(weeks=5)
    quiet = packet("quiet", is_quiet=True, last_fired_week=long_ago)
    paused = packet("paused", last_fired_week=MONDAY - timedelta(weeks=1), signals=None)
    entries = queue(quiet, paused, weak={})
    assert [(one.account_id, one.subject) for one in entries] == [("paused", "risk"), ("quiet", "random_audit")]
    weak = queue(quiet, weak={"quiet": ("missed_goal",)})
    assert [(one.subject, one.packet_id) for one in weak] == [("watermelon", None)]


def test_a_green_account_that_is_weak_inside_joins_the_queue_once():
    weak = {"flagged": ("missed_goal",), "unflagged": ("single_threaded", "missed_goal"), "dark": ("low_coverage",)}
    accounts = dict.fromkeys(("flagged", "unflagged", "dark"), "ana@example.com")
    entries = {entry.account_id: entry for entry in queue(packet("flagged"), weak=weak, accounts=accounts)}
    assert {name: (one.subject, one.queue, one.packet_id) for name, one in entries.items()} == {
        "flagged": ("risk", "support_friction", "packet-flagged"),
        "unflagged": ("watermelon", "value_risk", None),
        "dark": ("watermelon", "other", None),
    }
    assert entries["flagged"].watermelon_reasons == "missed_goal"


def test_a_growing_account_that_is_weak_inside_is_looked_at_for_both():
    entries = queue(packet("acc", side="expansion", category="expansion"), weak={"acc": ("falling_trend",)})
    assert [(one.subject, one.rank) for one in entries] == [("watermelon", 1), ("expansion", 2)]


def test_a_closed_packet_has_no_place():
    assert queue(packet("acc", state="closed"), accounts={}) == []


def test_each_owner_has_a_line_and_a_tenth_more_moves_it():
    # five hours of half an hour each: ten reviews, eleven with a tenth more
    rows = [packet(f"ana{n:02d}", value_at_risk=Decimal(100 - n)) for n in range(13)]
    rows += [packet("ben", owner_email="BEN@example.com")]
    away = CAPACITY.model_copy(update={"owners": {"ben@example.com": 0.0}})
    entries = {entry.account_id: entry for entry in queue(*rows, capacity=away)}
    assert [entries[f"ana{n:02d}"].is_above_line for n in range(13)] == [True] * 10 + [False] * 3
    assert [name for name, one in entries.items() if one.would_enter_at_plus_10_percent] == ["ana10"]
    assert entries["ben"].is_above_line is False


def test_accounts_nobody_owns_have_hours_of_their_own():
    rows = [packet(f"a{n}", owner_email=None, value_at_risk=Decimal(100 - n)) for n in range(9)]
    assert [entry.is_above_line for entry in queue(*rows)] == [True] * 8 + [False]


def test_no_line_where_no_capacity_is_stated():
    unstated = POLICY.model_copy(update={"review_capacity": ReviewCapacity(hours_per_review=0.5)})
    (entry, *drawn) = queue(packet("acc"), accounts={"acc": None, "other": None}, policy=unstated)
    assert (entry.rank, entry.is_above_line, entry.would_enter_at_plus_10_percent) == (1, None, None)
    assert [one.is_above_line for one in drawn] == [None]


def test_the_audit_takes_its_time_first_and_stands_outside_the_order():
    rows = [packet(f"a{n:02d}", value_at_risk=Decimal(100 - n)) for n in range(10)]
    accounts = {**{row["account_id"]: "ana@example.com" for row in rows}, "calm": "ana@example.com"}
    entries = queue(*rows, accounts=accounts)
    assert [entry.is_above_line for entry in entries] == [True] * 9 + [False, True]
    assert (entries[-1].account_id, entries[-1].rank, entries[-1].inclusion_share) == ("calm", None, 1.0)


def test_the_audit_draws_the_smallest_keyed_hashes_and_stores_its_chance():
    accounts = {f"acc{n:03d}": None for n in range(200)}
    seed = POLICY.random_audit.seed
    expected = sorted(
        accounts, key=lambda name: hmac.new(seed.encode(), f"2026-11-09\x1f{name}".encode(), hashlib.sha256).digest()
    )[:4]
    drawn = random_audit(accounts, MONDAY, POLICY)
    assert [entry.account_id for entry in drawn] == expected
    assert {entry.inclusion_share for entry in drawn} == {4 / 200}
    next_week = random_audit(accounts, MONDAY + timedelta(weeks=1), POLICY)
    assert {entry.account_id for entry in next_week} != set(expected)


def test_every_unflagged_account_has_the_same_chance():
    accounts = {f"acc{n:02d}": None for n in range(20)}
    drawn = [
        entry.account_id
        for week in range(1000)
        for entry in random_audit(accounts, MONDAY + timedelta(weeks=week), POLICY)
    ]
    counts = [drawn.count(name) for name in accounts]
    # 200 expected of each, standard deviation sqrt(1000 x 0.2 x 0.8) = 12.6: five of them either way
    assert sum(counts) == 4000
    assert min(counts) > 137
    assert max(counts) < 263


ROWS = st.lists(
    st.builds(
        packet,
        st.sampled_from("abcdefgh"),
        severity=st.sampled_from(["critical", "high", "medium", "low", None]),
        value_at_risk=st.one_of(st.none(), st.decimals(0, 1000, places=2)),
        days_to_renewal=st.one_of(st.none(), st.integers(-30, 400)),
        is_quiet=st.booleans(),
        owner_email=st.sampled_from(["ana@example.com", None]),
    ),
    max_size=8,
    unique_by=lambda row: row["account_id"],
)
WEAK = st.dictionaries(st.sampled_from("abcdefghij"), st.just(("missed_goal",)), max_size=5)


@given(ROWS, WEAK, st.integers())
def test_what_always_holds(rows, weak, seed):
    accounts = dict.fromkeys("abcdefghijklmnop", "ana@example.com")
    entries = queue(*rows, weak=weak, accounts=accounts)
    ranks = [entry.rank for entry in entries if entry.rank]
    assert ranks == list(range(1, len(ranks) + 1))
    flagged = {row["account_id"] for row in rows if not row["is_quiet"]} | set(weak)
    assert {entry.account_id for entry in entries if entry.rank} == flagged
    drawn = [entry for entry in entries if entry.subject == "random_audit"]
    assert len(drawn) == min(4, 16 - len(flagged))
    assert not flagged & {entry.account_id for entry in drawn}
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert queue(*shuffled, weak=weak, accounts=accounts) == entries


def test_tables_of_several_weeks():
    weeks = (MONDAY, MONDAY + timedelta(weeks=1))
    clock = {"as_of_at": datetime(2026, 11, 16), "known_at": datetime(2026, 11, 16, 6)}
    features = pa.Table.from_pylist(
        [{"account_id": name, "week": week, "owner_email": None, **clock} for week in weeks for name in "abc"],
        schema=mart_tables()["account_features_weekly"].arrow_schema,
    )
    quiet = packet("b", is_quiet=True, last_fired_week=MONDAY - timedelta(weeks=4))
    packets = pa.Table.from_pylist(
        [{**row, **clock} for row in (packet("a"), quiet)], schema=mart_tables()["risk_packets"].arrow_schema
    )
    queued = queue_packets(packets, empty_table("watermelon_accounts_weekly"), features, POLICY, CAPACITY)
    first = queued.queue.to_pylist()[0]
    assert (first["week"], first["account_id"], first["subject"]) == (MONDAY, "a", "risk")
    by_week = [row["week"] for row in queued.queue.to_pylist()]
    assert [by_week.count(week) for week in weeks] == [3, 3]
    row, left = queued.packets.to_pylist()
    assert (row["queue"], row["queue_rank"], row["is_above_line"]) == ("support_friction", 1, True)
    assert (left["queue"], left["queue_rank"], left["is_above_line"]) == (None, None, None)
    assert left["queue_reason"] == (
        "Left the queue: nothing that opens a risk fired since the week of 2026-10-12; "
        "closing it is proposed to a person"
    )


def test_a_category_in_two_queues_is_refused(tmp_path: Path):
    text = load_exception_queue(None).text.replace("[support, product_quality", "[support, adoption, product_quality")
    (tmp_path / "exception_queue.yaml").write_text(text)
    with pytest.raises(PolicyError, match=r"exception_queue\.yaml: queues: adoption stands in two queues"):
        load_exception_queue(tmp_path)
