"""The review of a company that sells services, end to end: no product use, and a policy of its own."""

from __future__ import annotations

from datetime import date

import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.mart.published import read_published
from health_pipeline.orchestration.demo import configure_sources, reviewed_by
from health_pipeline.orchestration.run import run_weekly
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import BUILT_IN
from health_pipeline.policy.health_score import load_health_score
from health_pipeline.settings import Settings
from health_pipeline.sources.pull import SourcesError, pull

WEEKS = [Week(date(2026, 3, 23)), Week(date(2026, 3, 30))]
OWN_POLICY = BUILT_IN / "professional_services"


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory) -> Settings:
    settings = reviewed_by(Settings(home=tmp_path_factory.mktemp("services"), policy=None), "services")
    configure_sources(settings, seed=3, accounts=60, kind="services")
    assert run_weekly(settings, WEEKS).is_published
    return settings


def test_the_policy_for_services_applies_where_no_other_is_named(tmp_path):
    assert reviewed_by(Settings(home=tmp_path, policy=None), "services").policy == OWN_POLICY
    assert reviewed_by(Settings(home=tmp_path, policy=None), "software").policy is None
    assert reviewed_by(Settings(home=tmp_path, policy=tmp_path), "services").policy == tmp_path


@pytest.mark.long
def test_use_is_not_applicable_and_leaves_the_denominator_of_the_coverage(reviewed):
    features = read_published(reviewed, "account_features_weekly").to_pylist()
    assert len(features) > 90
    assert {row["usage_status"] for row in features} == {"not_applicable"}
    assert {row["active_users_28d"] for row in features} == {None}
    health = read_published(reviewed, "account_health_weekly").to_pylist()
    # Full coverage is reached without any use: it is not in the denominator.
    assert max(row["coverage"] for row in health) == pytest.approx(1.0, abs=1e-9)
    scored = [row["tier"] for row in health if row["tier"] != "not_scored"]
    assert len(scored) > 0.9 * len(health)
    assert 0 < scored.count("at_risk") / len(scored) < 0.3
    policy = load_health_score(OWN_POLICY)
    contributions = read_published(reviewed, "score_contributions_weekly").to_pylist()
    measures = {row["measure"] for row in contributions}
    assert measures <= set(policy.model.measures)
    assert not any(policy.model.measures[name].domain == "usage" for name in measures)


@pytest.mark.long
def test_the_report_names_what_does_not_apply(reviewed):
    report = (reviewed.reports / f"weekly-{WEEKS[-1]}.html").read_text(encoding="utf-8")
    assert "Not applicable to this company: usage" in report
    freshness = read_published(reviewed, "source_freshness_weekly").to_pylist()
    assert {row["source_kind"]: row["is_connected"] for row in freshness}["usage"] is False


def test_a_policy_that_wants_use_measured_is_refused(tmp_path):
    settings = Settings(home=tmp_path, policy=None)
    configure_sources(settings, seed=3, accounts=60, kind="services")
    with pytest.raises(SourcesError, match=r"set HEALTH_POLICY=.*professional_services"):
        pull(settings, load_company(None).model, WEEKS[-1].known_at(6))
