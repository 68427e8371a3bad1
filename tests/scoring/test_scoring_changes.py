"""The change of a score by its causes: one thing is changed at a time, and it shows in exactly that part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from health_pipeline.contract.clocks import Week
from health_pipeline.policy.documents import BUILT_IN, Document
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.policy.kept import JudgingPolicy, KeptPolicies, KeptPolicyError
from health_pipeline.scoring import replay, scorer, tables
from health_pipeline.scoring.weekly import PreviousWeek, ScoredWeeks, policy_version

PARTS = ("code", "policy", "scorecard", "coverage", "data")
Score = Callable[..., ScoredWeeks]
Rows = Callable[..., pa.Table]


@pytest.fixture
def two_weeks(score: Score, one_account: Rows, first_week: Week) -> Callable[..., dict[str, Any]]:
    """The second week's change, each week judged by a run of its own that is handed the published rows of the first."""

    def run(
        values: Sequence[dict[str, Any]],
        first: dict[str, Any] | None = None,
        second: dict[str, Any] | None = None,
        policies: dict[str, Any] | None = None,
        has_features: bool = True,
        old_code: Callable[[], Any] | None = None,
    ) -> dict[str, Any]:
        table = one_account(values)
        with old_code() if old_code is not None else pytest.MonkeyPatch.context():
            before = score(table, weeks=[first_week], **(first or {}))
        kept = table if has_features else table.slice(0, 0)
        previous = PreviousWeek(before.health, before.contributions, kept, policies or {})
        after = score(table, weeks=[first_week.shift(1)], previous=previous, **(second or {}))
        return after.changes.to_pylist()[0]

    return run


def parts(change: dict[str, Any]) -> dict[str, float]:
    """The parts that are not nothing."""
    named = {part: change[f"change_from_{part}"] for part in PARTS}
    assert sum(named.values()) == pytest.approx(change["score_change"], abs=1e-9)
    return {part: value for part, value in named.items() if value != 0}


def old_code_context() -> Any:
    """Code of another version, which gave every measure a tenth less."""
    patch = pytest.MonkeyPatch()
    plain = scorer.evaluate_curve
    patch.setattr(scorer, "evaluate_curve", lambda measure, raw: 0.9 * plain(measure, raw))
    patch.setattr(tables, "CODE_VERSION", "scoring-0")

    class Context:
        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            patch.undo()

    return Context()


def heavier(changed: Callable[..., Document[HealthScorePolicy]], policy: Document[HealthScorePolicy]) -> Any:
    return changed(groups=policy.model.groups | {"support": 29.0})


def test_nothing_changed_is_no_part(two_weeks: Callable[..., dict[str, Any]]) -> None:
    change = two_weeks([{}, {}])
    assert (change["score_change"], parts(change), change["not_split_reason"]) == (0, {}, None)


def test_other_code_is_code(two_weeks: Callable[..., dict[str, Any]]) -> None:
    change = two_weeks([{}, {}], old_code=old_code_context)
    assert list(parts(change)) == ["code"]
    # Every curve gave nine tenths, so the score did, but for what is worth points without a value.
    assert change["score_after"] * 0.9 == pytest.approx(change["score_before"], rel=0.01)
    assert change["change_from_code"] == pytest.approx(change["score_after"] - change["score_before"], abs=1e-9)


def test_another_policy_is_policy(
    two_weeks: Callable[..., dict[str, Any]], changed: Callable[..., Any], policy: Any
) -> None:
    change = two_weeks([{"open_backlog": 8}] * 2, second={"policy": heavier(changed, policy)})
    assert list(parts(change)) == ["policy"]
    assert change["change_from_policy"] < -0.5


@pytest.mark.parametrize(
    ("values", "segments"),
    [
        ([{"lifecycle_stage": "onboarding"}, {"lifecycle_stage": "established"}], ["b", "b"]),
        ([{"meetings_91d": 0}] * 2, ["high usage, high revenue", "low usage, low revenue"]),
    ],
    ids=["another stage", "another segment"],
)
def test_another_scorecard_is_scorecard(
    two_weeks: Callable[..., dict[str, Any]], first_week: Week, values: Any, segments: list[str]
) -> None:
    given = pd.DataFrame(
        {
            "account_id": ["a", "a"],
            "week": [first_week.monday, first_week.shift(1).monday],
            "segment": segments,
            "segment_model_id": ["m", "m"],
        }
    )
    change = two_weeks(values, first={"segments": given}, second={"segments": given})
    assert list(parts(change)) == ["scorecard"]
    assert abs(change["change_from_scorecard"]) > 0.1


@pytest.mark.parametrize(
    "gone", [{"csm_sentiment": None}, {"sentiment_status": "stale"}, {"support_status": "missing"}]
)
def test_what_vanishes_or_appears_is_coverage(two_weeks: Callable[..., dict[str, Any]], gone: dict[str, Any]) -> None:
    plain = {"csm_sentiment": 1.0, "csat_91d": 0.2}
    for values in ([plain, plain | gone], [plain | gone, plain]):
        assert list(parts(two_weeks(values))) == ["coverage"]


def test_another_value_is_data(two_weeks: Callable[..., dict[str, Any]]) -> None:
    change = two_weeks([{}, {"open_backlog": 10, "csm_sentiment": 2.0}])
    assert list(parts(change)) == ["data"]
    assert change["change_from_data"] < -1


def test_everything_at_once_is_told_apart_in_order(
    two_weeks: Callable[..., dict[str, Any]], changed: Callable[..., Any], policy: Any, company: Any
) -> None:
    values = [
        {"lifecycle_stage": "onboarding", "open_backlog": 8, "csm_sentiment": 1.0},
        {"lifecycle_stage": "established", "open_backlog": 1, "csm_sentiment": None},
    ]
    new = heavier(changed, policy)
    kept = {policy_version(policy, company): JudgingPolicy(policy.model, company.model)}
    change = two_weeks(values, second={"policy": new}, policies=kept, old_code=old_code_context)
    named = parts(change)
    assert list(named) == list(PARTS)
    # Code alone: the same week, old policy, new code.
    alone = two_weeks([values[0]] * 2, old_code=old_code_context)
    assert named["code"] == pytest.approx(alone["change_from_code"], abs=1e-9)
    # Policy alone: the same week, judged by the new policy, on the stage's own scorecard.
    alone = two_weeks([values[0]] * 2, second={"policy": new})
    assert named["policy"] == pytest.approx(alone["change_from_policy"], abs=1e-9)
    alone = two_weeks([values[0], values[0] | {"lifecycle_stage": "established"}], {"policy": new}, {"policy": new})
    assert named["scorecard"] == pytest.approx(alone["change_from_scorecard"], abs=1e-9)


def test_a_lost_policy_is_said_where_the_code_changed_too(
    two_weeks: Callable[..., dict[str, Any]], changed: Callable[..., Any], policy: Any
) -> None:
    second = {"policy": heavier(changed, policy)}
    for policies, reason in (({}, "policy_not_kept"), ("policy_not_readable", "policy_not_readable")):
        given = policies if isinstance(policies, dict) else dict.fromkeys(_versions(policy), policies)
        change = two_weeks([{}, {}], second=second, policies=given, old_code=old_code_context)
        assert change["not_split_reason"] == reason
        assert [change[f"change_from_{part}"] for part in PARTS] == [None] * 5
        assert change["score_change"] is not None


def _versions(policy: Any) -> list[str]:
    from health_pipeline.policy.company import load_company

    return [policy_version(policy, load_company(None))]


def test_a_lost_policy_costs_nothing_while_the_code_is_the_same(
    two_weeks: Callable[..., dict[str, Any]], changed: Callable[..., Any], policy: Any
) -> None:
    change = two_weeks([{"open_backlog": 8}] * 2, second={"policy": heavier(changed, policy)})
    assert (list(parts(change)), change["not_split_reason"]) == (["policy"], None)


def test_lost_inputs_are_said_where_a_replay_needs_them(
    two_weeks: Callable[..., dict[str, Any]], changed: Callable[..., Any], policy: Any
) -> None:
    second = {"policy": heavier(changed, policy)}
    change = two_weeks([{}, {"open_backlog": 8}], second=second, has_features=False)
    assert change["not_split_reason"] == "inputs_not_kept"
    assert [change[f"change_from_{part}"] for part in PARTS] == [None] * 5
    stage = two_weeks([{"lifecycle_stage": "onboarding"}, {}], has_features=False)
    assert stage["not_split_reason"] == "inputs_not_kept"
    # The same code, policy and scorecard: the published contributions are enough.
    assert list(parts(two_weeks([{}, {"open_backlog": 8}], has_features=False))) == ["data"]


def test_parts_sum_to_the_change_whatever_changed(
    score: Score, drifting: Rows, first_week: Week, changed: Callable[..., Any], policy: Any, company: Any
) -> None:
    weeks = [first_week.shift(n) for n in range(2)]
    table = drifting(150, weeks, seed=5)
    with old_code_context():
        before = score(table, weeks=weeks[:1])
    kept = {policy_version(policy, company): JudgingPolicy(policy.model, company.model)}
    previous = PreviousWeek(before.health, before.contributions, table, kept)
    changes = score(table, weeks=weeks[1:], policy=heavier(changed, policy), previous=previous).changes.to_pandas()
    known = changes.dropna(subset=["score_change"])
    assert len(known) > 80
    named = known[[f"change_from_{part}" for part in PARTS]]
    np.testing.assert_allclose(named.sum(axis=1), known["score_change"], atol=1e-9, rtol=0)
    assert (named.abs().max() > 0.1).all()
    assert changes["not_split_reason"].isna().all()


def test_the_replay_of_a_week_by_its_own_judge_is_that_week(
    score: Score, drifting: Rows, first_week: Week, policy: Any, company: Any
) -> None:
    table = drifting(60, [first_week], seed=3)
    published = score(table).health.to_pandas()
    inputs = table.to_pandas().merge(published[["account_id", "segment", "score"]], on="account_id")
    version = policy_version(policy, company)
    inputs = inputs.assign(policy_version="another", code_version="scoring-0")
    judge = scorer.HealthScorer(policy.model).fit()
    again = replay.replay_week(judge, inputs, version, {"another": JudgingPolicy(policy.model, company.model)})
    scored = inputs["score"].notna().to_numpy()
    np.testing.assert_array_equal(again.after_code[scored], inputs["score"][scored])
    np.testing.assert_array_equal(again.after_policy[scored], inputs["score"][scored])


def test_kept_policies_are_found_by_the_version_on_the_rows(tmp_path: Path, policy: Any, company: Any) -> None:
    kept = KeptPolicies(tmp_path)
    version = policy_version(policy, company)
    kept.keep(version, (policy, company))
    assert kept.read(version) == JudgingPolicy(policy.model, company.model)
    names = {path.name for path in (tmp_path / "documents").iterdir()}
    assert f"health_score-{policy.hash}.yaml" in names
    assert {name.rsplit("-", 1)[0] for name in names} == {path.stem for path in BUILT_IN.glob("*.yaml")}
    # Kept again with other comments: the first text stays.
    commented = tmp_path / "policy"
    commented.mkdir()
    (commented / "health_score.yaml").write_text("# ours\n" + policy.path.read_text())
    kept.keep(version, (load_health_score(commented), company), commented)
    assert {path.name for path in (tmp_path / "documents").iterdir()} == names
    assert (tmp_path / "documents" / f"health_score-{policy.hash}.yaml").read_text() == policy.text


@pytest.mark.parametrize(
    ("what", "reason", "words"),
    [
        ("version", "policy_not_kept", "is not there, so what policy"),
        ("document", "policy_not_kept", "is not there; restore it from a copy of"),
        ("changed", "policy_not_kept", "was changed: its content is"),
        ("unreadable", "policy_not_readable", "today's code can't read a kept policy"),
    ],
)
def test_a_policy_that_is_lost_says_so(
    tmp_path: Path, policy: Any, company: Any, what: str, reason: str, words: str
) -> None:
    kept = KeptPolicies(tmp_path)
    version = policy_version(policy, company)
    kept.keep(version, (policy, company))
    path = tmp_path / "documents" / f"health_score-{policy.hash}.yaml"
    if what == "version":
        version = "0000"
    elif what == "document":
        path.unlink()
    else:
        document = yaml.safe_load(path.read_text())
        change = {"margin": 7} if what == "changed" else {"margin": "wide"}
        path.write_text(yaml.safe_dump(document | change, sort_keys=False))
    with pytest.raises(KeptPolicyError, match=words) as caught:
        kept.read(version)
    assert caught.value.reason == reason
