"""The dbt SQL agrees with a slow reference in plain Python and pandas, on random companies full of edges."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from reference_company import ACCOUNTS, WEEKS, Company, companies, edge_company, random_company
from reference_compiled import CompiledMart
from reference_features import is_live, reference_features

from health_pipeline.policy.features import features


def differences(computed: list[dict[str, Any]], company: Company) -> list[str]:
    """What differs between the mart and the reference, a sentence each."""
    rows = {(row["account_id"], row["week"]): row for row in computed}
    found = []
    for account in ACCOUNTS:
        for number, week in enumerate(WEEKS):
            row = rows.pop((account, week.monday), None)
            if is_live(company, account, number) is not (row is not None):
                found.append(f"{account} {week} row: the mart has {'none' if row is None else 'one'}")
            if row is None or not is_live(company, account, number):
                continue
            for name, expected in reference_features(company, account, number).items():
                if not is_same(row[name], expected):
                    found.append(f"{account} {week} {name}: the mart says {row[name]!r}, the reference {expected!r}")
    return found


def is_same(computed: Any, expected: Any) -> bool:
    if computed is None or expected is None:
        return computed is None and expected is None
    if isinstance(expected, str | bool):
        return bool(computed == expected)
    return float(computed) == pytest.approx(float(expected), rel=1e-9, abs=1e-6)


def check(compiled: CompiledMart, company: Company) -> list[str]:
    return differences(compiled.features(company.landed, company.loads, company.identity).to_pylist(), company)


IN_MEMORY = settings(derandomize=True, suppress_health_check=list(HealthCheck))


# Told at once what differs; the long test shrinks it.
@settings(IN_MEMORY, max_examples=12, phases=[Phase.explicit, Phase.generate])
@given(company=companies())
def test_the_sql_agrees_with_the_reference(compiled: CompiledMart, company: Company) -> None:
    assert check(compiled, company) == []


@pytest.mark.parametrize("seed", range(2))
def test_the_sql_agrees_with_the_reference_on_every_edge(compiled: CompiledMart, seed: int) -> None:
    assert check(compiled, edge_company(seed)) == []


@pytest.mark.long
@settings(IN_MEMORY, max_examples=400)
@given(company=companies(most=16))
def test_the_sql_agrees_with_the_reference_on_many_companies(compiled: CompiledMart, company: Company) -> None:
    assert check(compiled, company) == []


def test_the_reference_covers_every_domain(compiled: CompiledMart) -> None:
    company = random_company(1)
    named = set(reference_features(company, "a0", 2))
    domains = {features()[name].domain for name in named & set(features())}
    assert domains == {"commercial", "payment", "usage", "support", "engagement", "sentiment", "outcomes", "risk"}
    assert len(named) >= 45


# One boundary or rule moved by the least there is, in one model each.
DEFECTS = {
    "a window is a day longer": ("int_support_weekly", "interval '1 day' * (-91)", "interval '1 day' * (-92)"),
    "what comes at known_at is too late": (
        "int_sentiment_weekly",
        "available_at <= weeks.known_at",
        "available_at < weeks.known_at",
    ),
    "a version counts a moment later": (
        "int_risk_weekly",
        "records.valid_from <= weeks.known_at",
        "records.valid_from < weeks.known_at",
    ),
    "missed goals are left out": ("int_outcomes_weekly", "'at_risk', 'missed'", "'at_risk'"),
    "a window holds its end": (
        "int_engagement_weekly",
        "events.occurred_at < weeks.as_of_at",
        "events.occurred_at <= weeks.as_of_at",
    ),
    "a link lasts a moment longer": (
        "int_account_links_weekly",
        "weeks.known_at < links.valid_to",
        "weeks.known_at <= links.valid_to",
    ),
    "the due day is past due": (
        "int_payment_weekly",
        "due_date < cast(as_of_at as date)",
        "due_date <= cast(as_of_at as date)",
    ),
    "gaps are not bridged": ("int_commercial_weekly", "* (31)", "* (0)"),
    "passives are promoters": ("int_sentiment_weekly", "points >= 9", "points >= 8"),
    "weak answers are good": ("int_support_weekly", "place >= 0.7", "place >= 0.5"),
    "colleagues are contacts": ("int_engagement_weekly", "not attendees.is_internal", "true"),
    "roll-ups are counted beside events": (
        "int_usage_weekly",
        "where preference = 1 and events > 0",
        "where events > 0",
    ),
}


# The first of them with every run of the tests, all of them with the long ones.
@pytest.mark.parametrize(
    "defect", [pytest.param(name, marks=[pytest.mark.long] * (n >= 4)) for n, name in enumerate(DEFECTS)]
)
def test_a_defect_is_noticed(compiled: CompiledMart, defect: str) -> None:
    name, right, wrong = DEFECTS[defect]
    models = [
        replace(model, sql=model.sql.replace(right, wrong)) if model.name == name else model
        for model in compiled.models
    ]
    assert models != compiled.models, f"{name} no longer says {right!r}"
    defective = CompiledMart(models, compiled.identity)
    dense = (edge_company(seed) for seed in range(2))
    sparse = (random_company(seed, most=4 + 16 * (seed % 2)) for seed in range(24))
    assert any(check(defective, company) for company in chain(dense, sparse))
