"""Defect themes: the first rule wins, an account counts once, unknown revenue apart, changes only of like with like."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.mart.tickets import TICKET_SCHEMA, WORDING_SCHEMA
from health_pipeline.planning.themes import NOTHING_KNOWN, Themes, first_rules, theme_weeks
from health_pipeline.policy.defect_themes import DefectThemePolicy
from health_pipeline.policy.documents import Document

WEEK = Week(date(2026, 11, 9))
POLICY = DefectThemePolicy.model_validate(
    {
        "text_fields": ["subject", "body"],
        "themes": [
            {
                "id": "slow",
                "title": "Slow",
                "kind": "defect",
                "rules": [
                    {"id": "slow_api", "feature_keys": ["api"], "phrases": ["slow", "time out*"]},
                    {"id": "slow_bug", "types": ["bug"], "phrases": ["slow"]},
                ],
            },
            {
                "id": "export",
                "title": "Getting data out",
                "kind": "product_gap",
                "rules": [{"id": "asks_export", "phrases": ["export all", "can't get out", "größe*"]}],
            },
            {"id": "other", "title": "Other defects", "kind": "defect", "rules": [{"id": "a_bug", "types": ["bug"]}]},
        ],
    }
)
DOCUMENT = Document("defect_themes", Path("defect_themes.yaml"), POLICY, "hash-1")


def wordings(*rows: tuple[Any, ...]) -> pa.Table:
    """Rows of (type, feature, subject, body)."""
    names = ("ticket_type", "feature_key", "subject", "body")
    return pa.Table.from_pylist(
        [{"wording_id": place, **dict(zip(names, row, strict=False))} for place, row in enumerate(rows)],
        schema=WORDING_SCHEMA,
    )


def tickets(*rows: tuple[str, int, bool, bool, bool], week: Week = WEEK) -> pa.Table:
    """Rows of (account, wording, of 28 days, of 91 days, open)."""
    names = TICKET_SCHEMA.names[1:]
    return pa.Table.from_pylist(
        [{"week": week.monday, **dict(zip(names, row, strict=True))} for row in rows], schema=TICKET_SCHEMA
    )


def health(*accounts: tuple[str, Decimal | None], week: Week = WEEK) -> pa.Table:
    schema = mart_tables()["account_health_weekly"].arrow_schema
    clock = {"as_of_at": week.as_of_at.replace(tzinfo=None), "known_at": week.known_at(6).replace(tzinfo=None)}
    rows = [{"account_id": name, "week": week.monday, "arr_reporting": arr, **clock} for name, arr in accounts]
    return pa.Table.from_pylist(rows, schema=schema)


def rule_of(*row: Any) -> str | None:
    place = int(first_rules(wordings(row), POLICY)[0])
    return None if place < 0 else [rule.id for _, rule in POLICY.rules][place]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("bug", "api", "It is SLOW today", None), "slow_api"),
        (("question", "api", "Times", "it will time\n outs again"), "slow_api"),
        (("bug", "reports", "slow", None), "slow_bug"),
        (("question", "reports", "slow", None), None),
        (("bug", None, "slowly", None), "a_bug"),
        (("bug", None, None, None), "a_bug"),
        ((None, None, "Export  all of it", None), "asks_export"),
        ((None, None, "re-export all", None), "asks_export"),
        ((None, None, "exporting all", None), None),
        ((None, None, "We can’t get out", None), "asks_export"),
        ((None, None, "Die GRÖSSE", None), None),
        ((None, None, "Die GRÖßEN", None), "asks_export"),
        ((None, None, "Die GRÖßEN", None), "asks_export"),
        ((None, None, "", ""), None),
        ((None, "api", None, "slow"), "slow_api"),
        ((" Bug ", " API ", "slow", None), "slow_api"),
    ],
)
def test_the_first_rule_whose_conditions_hold_takes_the_ticket(row, rule):
    assert rule_of(*row) == rule


def plain_rule(row: dict[str, Any]) -> int:
    """The same in plain Python: one ticket, one rule, one phrase at a time."""
    for place, (_, rule) in enumerate(POLICY.rules):
        if rule.types and (row["ticket_type"] or "").strip().lower() not in rule.types:
            continue
        if rule.feature_keys and (row["feature_key"] or "").strip().lower() not in rule.feature_keys:
            continue
        texts = [
            " ".join(unicodedata.normalize("NFKC", row[name] or "").replace("’", "'").split())
            for name in ("subject", "body")
        ]

        def says(phrase: str, text: str) -> bool:
            body = r"\s".join(re.escape(word.rstrip("*")) + r"\w*" * word.endswith("*") for word in phrase.split())
            return re.search(rf"(?<!\w){body}(?!\w)", text, re.IGNORECASE) is not None

        if rule.phrases and not any(says(phrase, text) for phrase in rule.phrases for text in texts):
            continue
        return place
    return -1


WORDS = st.sampled_from(
    ["slow", "Slow", "slower", "export", "all", "time", "out", "outs", "größer", "x", "-", ",", "1"]
)
TEXTS = st.none() | st.lists(WORDS, max_size=6).map(" ".join)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "bug", "Bug", "task"]), st.sampled_from([None, "api", "reports"]), TEXTS, TEXTS
        ),
        max_size=12,
    )
)
def test_the_columnar_rules_are_the_plain_ones(rows):
    table = wordings(*rows)
    assert list(first_rules(table, POLICY)) == [plain_rule(row) for row in table.to_pylist()]


def counted(previous: pa.Table | None = None, document: Document[DefectThemePolicy] = DOCUMENT) -> Themes:
    words = wordings(("bug", "api", "slow", None), ("bug", None, "odd", None), (None, None, None, None))
    rows = tickets(
        ("a", 0, True, True, True),
        ("a", 0, False, True, False),
        ("b", 0, False, True, False),
        ("c", 0, False, False, True),  # older and still open: a ticket of the theme, no account of 91 days
        ("b", 1, True, True, True),
        ("a", 2, True, True, False),
    )
    accounts = health(("a", Decimal("100.00")), ("b", None), ("c", Decimal("7.00")), ("quiet", Decimal("1.00")))
    before = empty_table("defect_themes_weekly") if previous is None else previous
    return theme_weeks(rows, words, accounts, [WEEK], [WEEK], document, before)


def test_accounts_count_once_and_unknown_revenue_apart():
    found = {row["theme"]: row for row in counted().themes.to_pylist()}
    assert list(found) == ["slow", "export", "other", "no_theme"]
    slow = found["slow"]
    assert (slow["accounts"], slow["tickets_28d"], slow["tickets_91d"], slow["open_tickets"]) == (2, 1, 3, 2)
    assert (slow["arr_reporting"], slow["accounts_without_arr"]) == (Decimal("100.00"), 1)
    assert (slow["rules"], slow["features"]) == ("slow_api (3)", "api (3)")
    # Nobody speaks of it: that is known to be nothing. All that speak of it have unknown revenue: that is not.
    assert (found["export"]["accounts"], found["export"]["arr_reporting"]) == (0, Decimal("0.00"))
    assert (found["other"]["accounts"], found["other"]["arr_reporting"]) == (1, None)
    assert found["other"]["accounts_without_arr"] == 1
    assert found["no_theme"]["rules"] == f"{NOTHING_KNOWN} (1)"
    assert {row["policy_version"] for row in found.values()} == {"hash-1"}


def test_every_ticket_is_in_one_theme_and_parts_sum_to_the_whole():
    found = counted()
    accounts = found.accounts.to_pylist()
    for column, whole in (("tickets_91d", 5), ("tickets_28d", 3), ("open_tickets", 3)):
        assert sum(row[column] for row in accounts) == whole
        assert sum(row[column] for row in found.themes.to_pylist()) == whole
    assert {(row["account_id"], row["rule"], row["feature_key"]) for row in accounts if row["theme"] == "slow"} == {
        ("a", "slow_api", "api"),
        ("b", "slow_api", "api"),
        ("c", "slow_api", "api"),
    }


def test_changes_are_against_the_same_themes_of_last_week():
    last = counted().themes.to_pylist()
    for row in last:
        row.update(week=WEEK.shift(-1).monday, accounts=5, tickets_91d=1)
    previous = pa.Table.from_pylist(last, schema=mart_tables()["defect_themes_weekly"].arrow_schema)
    found = {row["theme"]: row for row in counted(previous).themes.to_pylist()}
    slow = found["slow"]
    assert (slow["accounts_change"], slow["tickets_91d_change"], slow["arr_reporting_change"]) == (
        -3,
        2,
        Decimal("0.00"),
    )
    assert found["other"]["arr_reporting_change"] is None
    other_rules = Document("defect_themes", Path("defect_themes.yaml"), POLICY, "hash-2")
    assert {row["accounts_change"] for row in counted(previous, other_rules).themes.to_pylist()} == {None}
    assert {row["accounts_change"] for row in counted().themes.to_pylist()} == {None}


def test_two_weeks_in_one_run_are_two_runs():
    before, words = WEEK.shift(-1), wordings(("bug", "api", "slow", None))
    rows = pa.concat_tables([tickets(("a", 0, True, True, True), week=before), tickets(("a", 0, True, True, True))])
    accounts = pa.concat_tables([health(("a", Decimal(10)), week=before), health(("a", Decimal(10)))])
    empty = empty_table("defect_themes_weekly")
    both = theme_weeks(rows, words, accounts, [before, WEEK], [before, WEEK], DOCUMENT, empty)
    first = theme_weeks(rows.slice(0, 1), words, accounts, [before], [before], DOCUMENT, empty)
    second = theme_weeks(rows.slice(1, 1), words, accounts.slice(1, 1), [WEEK], [WEEK], DOCUMENT, first.themes)
    assert both.themes.equals(pa.concat_tables([first.themes, second.themes]))
    assert both.themes.to_pylist()[4]["accounts_change"] == 0


def test_without_a_support_desk_nothing_is_said():
    empty = empty_table("defect_themes_weekly")
    found = theme_weeks(tickets(), wordings(), health(("a", None)), [WEEK], [], DOCUMENT, empty)
    assert (found.themes.num_rows, found.accounts.num_rows) == (0, 0)
    # A desk that is connected and silent: every theme is there, with zero.
    silent = theme_weeks(tickets(), wordings(), health(("a", None)), [WEEK], [WEEK], DOCUMENT, empty)
    assert {row["tickets_91d"] for row in silent.themes.to_pylist()} == {0}
    assert silent.themes.num_rows == 4


def test_no_word_of_a_ticket_is_in_what_is_published():
    words = wordings(("bug", "api", "slow: ring Jane Roe on 555-0199", "the secret sauce"))
    found = theme_weeks(
        tickets(("a", 0, True, True, True)),
        words,
        health(("a", Decimal(1))),
        [WEEK],
        [WEEK],
        DOCUMENT,
        empty_table("defect_themes_weekly"),
    )
    text = str(found.themes.to_pylist()) + str(found.accounts.to_pylist())
    assert "slow_api" in text
    for word in ("Jane", "555", "secret", "ring"):
        assert word not in text
