"""Methods on outcomes: known answers from papers, other libraries, and cases counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from health_pipeline.segmentation.methods import intervals
from health_pipeline.segmentation.methods.claims import Claim, judge_claim, judge_conjunction, overlap
from health_pipeline.segmentation.methods.doubly_robust import adjusted_effect, heterogeneity, mean_effect
from health_pipeline.segmentation.methods.intervals import newcombe, ratio_of_sums
from health_pipeline.segmentation.methods.multiplicity import benjamini_hochberg, cohens_h, g_test, holm, is_enough
from health_pipeline.segmentation.methods.nadeau_bengio import corrected_difference
from health_pipeline.segmentation.methods.nested import log_loss_gain, nested_test
from health_pipeline.segmentation.methods.reconciliation import cramers_v, team_agreement, theils_u
from health_pipeline.segmentation.methods.survival import hazard_ratios, log_rank
from health_pipeline.segmentation.methods.treatment import SegmentCounts, count_arms, interaction, uplift

# Newcombe (1998), table II, method 10: events and rows of both samples, and the published interval.
NEWCOMBE_TABLE = [
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0)),
    ((10, 10, 0, 10), (0.6075, 1.0)),
]


@pytest.mark.parametrize(("counts", "limits"), NEWCOMBE_TABLE)
def test_newcombes_table(counts: tuple[int, int, int, int], limits: tuple[float, float]) -> None:
    found = newcombe(*counts)
    assert (found.low, found.high) == (pytest.approx(limits[0], abs=1e-4), pytest.approx(limits[1], abs=1e-4))


def test_a_ratio_of_sums_weighs_by_the_denominator() -> None:
    start, end = np.array([100.0, 100, 800]), np.array([100.0, 0, 800])
    found = ratio_of_sums(end, start, resamples=400, seed=1)
    assert found.value == pytest.approx(0.9)
    assert found.low < 0.9 <= found.high <= 1
    assert ratio_of_sums(start, start, 50, 1) == ratio_of_sums(start, start, 50, 1)
    with pytest.raises(ValueError, match="above 0"):
        ratio_of_sums(start, np.zeros(3), 10, 1)


def test_a_ratio_of_sums_is_drawn_in_parts_that_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    start, end = rng.uniform(1, 2, 50), rng.uniform(1, 2, 50)
    whole = ratio_of_sums(end, start, 200, 1)
    monkeypatch.setattr(intervals, "COUNTS_AT_ONCE", 50 * 7)
    parts = ratio_of_sums(end, start, 200, 1)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=1e-12)


def test_a_ratio_of_means_varies_as_theory_says() -> None:
    rng = np.random.default_rng(5)
    start = np.full(400, 10.0)
    end = start * (rng.random(400) > 0.2)
    found = ratio_of_sums(end, start, resamples=2000, seed=2)
    error = np.sqrt(found.value * (1 - found.value) / 400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_holm_and_benjamini_hochberg_by_hand() -> None:
    # Holm (1979): smallest times 4, next times 3, never less than the one before. BH: times 4/rank from above.
    values = [0.01, 0.04, 0.03, 0.005]
    assert holm(values) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert benjamini_hochberg(values) == pytest.approx((0.02, 0.04, 0.04, 0.02))
    assert benjamini_hochberg(values) == pytest.approx(tuple(stats.false_discovery_control(values)))
    with_unknown = holm([0.01, float("nan"), 0.02])
    assert with_unknown[0] == pytest.approx(0.02)
    assert np.isnan(with_unknown[1])


def test_effect_sizes_and_enough_events() -> None:
    # Cohen (1988), table 6.2.2: phi(.5) = 1.571, phi(.25) = 1.047.
    assert cohens_h(0.5, 0.25) == pytest.approx(1.571 - 1.047, abs=1e-3)
    assert cohens_h(0.3, 0.3) == 0
    statistic, freedom, p_value = g_test([10, 20], [100, 100])
    by_hand = 2 * (10 * np.log(10 / 15) + 20 * np.log(20 / 15) + 90 * np.log(90 / 85) + 80 * np.log(80 / 85))
    assert (statistic, freedom) == (pytest.approx(by_hand), 1)
    assert p_value == pytest.approx(stats.chi2.sf(by_hand, 1))
    assert np.isnan(g_test([0, 0], [10, 10])[2])
    assert is_enough(30, 5)
    assert not is_enough(29, 12)
    assert not is_enough(300, 4)


def test_nadeau_and_bengios_correction_by_hand() -> None:
    found = corrected_difference(np.array([1.0, 2, 3, 4]), train_rows=90, test_rows=10)
    # Mean 2.5, variance 5/3; standard error sqrt((1/4 + 1/9) * 5/3).
    error = np.sqrt((1 / 4 + 1 / 9) * 5 / 3)
    assert found.t == pytest.approx(2.5 / error)
    assert found.p_value == pytest.approx(2 * stats.t.sf(2.5 / error, 3))
    assert found.difference.high - found.difference.low == pytest.approx(2 * stats.t.ppf(0.975, 3) * error)
    # Without the correction it is the t test.
    assert corrected_difference(np.array([1.0, 2, 3, 4]), 1, 0).p_value == pytest.approx(
        stats.ttest_1samp([1, 2, 3, 4], 0).pvalue
    )
    assert corrected_difference(np.zeros(5), 80, 20).p_value == 1
    with pytest.raises(ValueError, match="there is 1"):
        corrected_difference(np.ones(1), 80, 20)


def test_log_rank_and_cox_by_statsmodels_published_example() -> None:
    # Freireich et al. (1963), remission of leukaemia in weeks, 6-MP against placebo: log-rank chi-square 16.79, and
    # Cox's hazard ratio exp(1.57) = 4.82 with Efron's ties (R's survival, and Kleinbaum and Klein, chapter 3).
    treated = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    relapsed = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    time = np.array(treated + placebo, dtype=float)
    status = np.array(relapsed + [1] * 21, dtype=float)
    group = np.array(["6-MP"] * 21 + ["placebo"] * 21, dtype=object)
    entry = np.zeros(42)
    found = log_rank(entry, time, status, group)
    assert found.chi_square == pytest.approx(16.79, abs=0.01)
    assert (found.degrees_of_freedom, found.events, found.accounts) == (1, 30, 42)
    (ratio,) = hazard_ratios(entry, time, status, group, reference="6-MP")
    assert ratio.ratio.value == pytest.approx(4.82, abs=0.01)
    assert (ratio.segment, ratio.reference, ratio.events) == ("placebo", "6-MP", 21)


def test_left_truncation_counts_only_who_could_have_been_seen() -> None:
    # Two segments with the same hazard; those of `old` are only looked at from an age of 50 on. Without entries, the
    # old ones' survival up to 50 would count for them.
    rng = np.random.default_rng(3)
    lives = rng.exponential(40, 4000)
    segment = np.where(np.arange(4000) % 2 == 0, "old", "young").astype(object)
    entry = np.where(segment == "old", 50.0, 0.0)
    seen = lives > entry
    exit_time, churned = np.minimum(lives, 120)[seen], (lives <= 120).astype(float)[seen]
    (ratio,) = hazard_ratios(entry[seen], exit_time, churned, segment[seen], reference="young")
    assert ratio.ratio.low < 1 < ratio.ratio.high
    (naive,) = hazard_ratios(np.zeros(seen.sum()), exit_time, churned, segment[seen], reference="young")
    assert naive.ratio.high < 0.5


def test_survival_refuses_what_has_no_answer() -> None:
    group = np.array(["a", "b"], dtype=object)
    with pytest.raises(ValueError, match="one segment"):
        log_rank(np.zeros(2), np.ones(2), np.ones(2), np.array(["a", "a"], dtype=object))
    with pytest.raises(ValueError, match="no account churned"):
        log_rank(np.zeros(2), np.ones(2), np.zeros(2), group)
    with pytest.raises(ValueError, match="must be after entry"):
        log_rank(np.ones(2), np.ones(2), np.ones(2), group)
    with pytest.raises(ValueError, match="no account of 'a' churned"):
        hazard_ratios(np.zeros(2), np.array([1.0, 2]), np.array([0.0, 1]), group, reference="a")


COUNTS = (
    SegmentCounts("large", 60, 12, 55, 20),
    SegmentCounts("small", 80, 30, 90, 22),
    SegmentCounts("new", 40, 9, 45, 11),
)


def test_interaction_on_log_odds_is_the_deviance_of_the_additive_model() -> None:
    rows = []
    for one in COUNTS:
        rows += [(one.segment, 1, one.treated_events, one.treated - one.treated_events)]
        rows += [(one.segment, 0, one.control_events, one.control - one.control_events)]
    frame = pd.DataFrame(rows, columns=["segment", "treated", "yes", "no"])
    design = pd.get_dummies(frame["segment"], drop_first=True, dtype=float).assign(treated=frame["treated"], one=1.0)
    model = sm.GLM(frame[["yes", "no"]], design, family=sm.families.Binomial()).fit()
    found = interaction(COUNTS, "log_odds")
    assert found.chi_square == pytest.approx(model.deviance, abs=1e-4)
    assert found.degrees_of_freedom == 2
    assert found.common == pytest.approx(model.params["treated"], abs=1e-4)
    # Breslow and Day's test of the same question is close by.
    table = StratifiedTable(
        [
            np.array(
                [[c.treated_events, c.treated - c.treated_events], [c.control_events, c.control - c.control_events]]
            )
            for c in COUNTS
        ]
    )
    assert found.chi_square == pytest.approx(table.test_equal_odds().statistic, rel=0.05)


def test_interaction_on_differences_is_the_deviance_of_the_identity_model() -> None:
    found = interaction(COUNTS, "risk_difference")
    # The likelihood on a fine grid of the common difference, each segment's level on a grid of its own.
    levels = np.linspace(0.001, 0.999, 1999)
    best = []
    for effect in np.linspace(found.common - 0.01, found.common + 0.01, 41):
        total = 0.0
        for one in COUNTS:
            both = levels[(levels + effect > 0.0005) & (levels + effect < 0.9995)]
            total += (
                stats.binom.logpmf(one.control_events, one.control, both)
                + stats.binom.logpmf(one.treated_events, one.treated, both + effect)
            ).max()
        best.append(total)
    saturated = sum(
        stats.binom.logpmf(e, n, e / n)
        for one in COUNTS
        for e, n in ((one.treated_events, one.treated), (one.control_events, one.control))
    )
    assert found.chi_square == pytest.approx(2 * (saturated - max(best)), abs=0.01)
    assert abs(int(np.argmax(best)) - 20) <= 2


def test_the_scales_can_disagree() -> None:
    # The same difference of .1 at two levels: no interaction on one scale, one on the other.
    same = (SegmentCounts("low", 4000, 480, 4000, 80), SegmentCounts("high", 4000, 2400, 4000, 2000))
    assert interaction(same, "risk_difference").p_value > 0.9
    assert interaction(same, "risk_difference").common == pytest.approx(0.1, abs=1e-3)
    assert interaction(same, "log_odds").p_value < 1e-6


def test_cells_without_an_event_are_no_reason_to_fail() -> None:
    empty = (SegmentCounts("a", 30, 0, 30, 0), SegmentCounts("b", 30, 3, 30, 0), SegmentCounts("c", 30, 30, 30, 30))
    for scale in ("risk_difference", "log_odds"):
        found = interaction(empty, scale)  # type: ignore[arg-type]
        assert 0 <= found.p_value <= 1
        assert np.isfinite(found.common)
    with pytest.raises(ValueError, match="1 segments have accounts in both arms"):
        interaction((SegmentCounts("a", 30, 1, 30, 2), SegmentCounts("b", 30, 1, 0, 0)), "log_odds")


def test_arms_are_counted_and_uplift_is_newcombes() -> None:
    (found,) = count_arms(["s"] * 5, [True, True, False, False, False], [True, False, False, True, False])
    assert found == SegmentCounts("s", 2, 1, 3, 1)
    assert uplift(found) == newcombe(1, 2, 1, 3)


@pytest.mark.parametrize("seed", range(3))
def test_a_confounded_strategy_looks_good_and_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    health = rng.normal(size=3000)
    treated = rng.random(3000) < 1 / (1 + np.exp(-health))
    churned = rng.random(3000) < 1 / (1 + np.exp(1.5 + health))
    found = adjusted_effect(health[:, None], treated, churned, seed=1)
    assert found.raw is not None
    assert found.raw < -0.08
    assert found.effect is not None
    assert found.effect.low < 0 < found.effect.high
    assert found.overlap.reason is None
    assert found.overlap.largest_difference > 0.5


def test_an_effect_that_differs_is_seen_and_what_cannot_be_compared_is_said() -> None:
    rng = np.random.default_rng(1)
    health, large = rng.normal(size=4000), rng.random(4000) < 0.5
    treated = rng.random(4000) < 1 / (1 + np.exp(-0.7 * health))
    churned = rng.random(4000) < np.where(large & treated, 0.1, 0.3)
    covariates = np.column_stack([health, large])
    found = adjusted_effect(covariates, treated, churned, seed=1)
    segment = np.where(large[found.inside], "large", "small").astype(object)
    means = {name: mean_effect(found.influence[segment == name]) for name in ("large", "small")}
    assert means["large"].low < -0.2 < means["large"].high
    assert means["small"].low < 0 < means["small"].high
    assert heterogeneity(found.influence, segment)[2] < 1e-6
    sure = adjusted_effect(covariates, health > 0, churned, seed=1)
    assert sure.effect is None
    assert sure.overlap.reason is not None
    assert "no like to compare with" in sure.overlap.reason
    few = adjusted_effect(covariates[:40], np.arange(40) < 5, churned[:40])
    assert few.overlap.reason == "5 accounts in the smaller arm, 30 are needed"


def test_nested_test_is_wilks_on_a_table() -> None:
    # A group column alone: the likelihood ratio of a logistic model is the G test of the table.
    events, rows = [12, 25, 9], [60, 70, 80]
    group = np.repeat([0, 1, 2], rows)
    event = np.concatenate([np.arange(n) < e for e, n in zip(events, rows, strict=True)]).astype(float)
    dummies = np.column_stack([group == 1, group == 2]).astype(float)
    found = nested_test(np.empty((210, 0)), dummies, event)
    statistic, freedom, p_value = g_test(events, rows)
    assert (found.chi_square, found.degrees_of_freedom) == (pytest.approx(statistic, abs=1e-6), freedom)
    assert found.p_value == pytest.approx(p_value, rel=1e-4)
    again = nested_test(dummies, dummies[:, :1], event)
    assert again.reason == "the added columns say nothing that the others do not"
    apart = nested_test(np.empty((210, 0)), event[:, None], event)
    assert apart.reason is not None
    assert np.isnan(apart.p_value)


def test_log_loss_gains_where_there_is_something_to_gain() -> None:
    rng = np.random.default_rng(8)
    base, added = rng.normal(size=(600, 1)), rng.normal(size=(600, 1))
    event = (rng.random(600) < 1 / (1 + np.exp(-base[:, 0] - 1.2 * added[:, 0]))).astype(float)
    found = log_loss_gain(base, added, event, folds=5, repeats=2, seed=1)
    assert found.gain.difference.low > 0
    assert found.without - found.with_added == pytest.approx(found.gain.difference.value)
    assert found.gain.resamples == 10
    noise = log_loss_gain(base, rng.normal(size=(600, 1)), event, folds=5, repeats=2, seed=1)
    assert noise.gain.difference.low < 0 < noise.gain.difference.high
    with pytest.raises(ValueError, match="the rarer outcome has 3 accounts"):
        log_loss_gain(base[:50], added[:50], np.r_[np.ones(3), np.zeros(47)])


def test_cramers_v_of_bergsma_by_hand() -> None:
    table = np.array([[30.0, 10], [10, 30]])
    # phi^2 = 1/4; corrected 1/4 - 1/79; both sides 2 - 1/79; V = sqrt(.2373 / .9873).
    assert cramers_v(table) == pytest.approx(np.sqrt((0.25 - 1 / 79) / (2 - 1 / 79 - 1)))
    assert cramers_v(np.array([[10.0, 10], [10, 10]])) == 0
    assert cramers_v(np.array([[10.0, 10]])) == 0
    assert cramers_v(np.diag([40.0, 40])) == pytest.approx(1)


def test_theils_u_goes_one_way() -> None:
    halves, quarters = [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]
    assert theils_u(halves, quarters) == pytest.approx(1)
    assert theils_u(quarters, halves) == pytest.approx(0.5)
    assert theils_u(halves, [0] * 8) == pytest.approx(0, abs=1e-12)
    assert theils_u([0] * 8, halves) == 1


def test_kappa_of_cohens_textbook_table_and_only_of_the_same_words() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed .70, expected .50, kappa .40.
    one = ["yes"] * 25 + ["no"] * 25
    two = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = team_agreement(one, two)
    assert found.kappa == pytest.approx(0.4)
    assert found.matched == {"no": "no", "yes": "yes"}
    assert found.matched_share == pytest.approx(0.7)
    other = team_agreement(["large" if word == "yes" else "small" for word in one], two)
    assert other.kappa is None
    assert other.cramers_v == pytest.approx(found.cramers_v)
    assert other.accounts == 50


def test_claims_are_supported_contradicted_or_untestable() -> None:
    values = pd.Series([10.0] * 90 + [1.0] * 10 + [1.0] * 80 + [10.0] * 20)
    segment = pd.Series([True] * 100 + [False] * 100)
    found = judge_claim(Claim("seats", ">=", 5), values, segment, at_least=0.6)
    assert found.verdict == "supported"
    assert found.hit_rate is not None
    assert found.hit_rate.value == pytest.approx(0.9)
    assert found.lift == pytest.approx(0.9 / 0.2)
    assert found.difference == newcombe(90, 100, 20, 100)
    assert found.median == 10
    assert found.distance == pytest.approx((5 - 10) / values.std(ddof=0))
    assert judge_claim(Claim("seats", "<", 5), values, segment, at_least=0.6).verdict == "contradicted"
    # True of nearly everybody: it does not tell the segment apart.
    everybody = judge_claim(Claim("seats", ">", 0), values, segment, at_least=0.6)
    assert everybody.verdict == "untestable"
    assert "does not tell the segment apart" in everybody.reason
    few = judge_claim(Claim("seats", ">", 0), values.where(values.index < 12), segment, at_least=0.6)
    assert (few.verdict, few.hit_rate, few.known) == ("untestable", None, 12)
    assert few.reason == "seats is known of 12 of the segment's 100 accounts; 30 are needed"


def test_a_conjunction_falls_with_each_claim_and_may_be_nobody() -> None:
    features = pd.DataFrame({"a": [1.0, 2, 3, 4, np.nan], "b": [1.0, 1, 5, 5, 5]})
    segment = pd.Series([False, False, True, True, True])
    both = judge_conjunction([Claim("a", ">", 1), Claim("b", ">", 4)], features, segment)
    assert both.falls == (0.75, 0.5)
    assert both.known == 4
    assert both.prevalence is not None
    assert both.prevalence.value == 0.5
    assert both.in_segment is not None
    assert both.in_segment.value == 1
    assert both.meets.isna().tolist() == [False] * 4 + [True]
    nobody = judge_conjunction([Claim("a", ">", 9)], features, segment)
    assert nobody.prevalence is not None
    assert nobody.prevalence.value == 0
    assert overlap(both, nobody) == 0
    assert overlap(both, both) == 1
    assert overlap(nobody, nobody) is None
