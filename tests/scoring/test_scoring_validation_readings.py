"""What is joined with what, what stays out, when an account left, and how long before it was at risk: by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health_pipeline.policy.validation import load_validation
from health_pipeline.scoring.validation.assessment import (
    ALL,
    FEW_READINGS,
    GROWTH_LISTS,
    LISTS,
    NOT_ENOUGH,
    WITHOUT_NOTICE,
    assess,
)
from health_pipeline.scoring.validation.baselines import tenure_and_revenue_risk, usage_change_risk
from health_pipeline.scoring.validation.lead_time import lead_times, leaving_weeks
from health_pipeline.scoring.validation.readings import LABEL_WEEKS, OUTCOMES, join_readings, one_per_label
from health_pipeline.segmentation.methods.intervals import wilson

FIRST = pd.Timestamp("2026-01-05")
POLICY = load_validation(None).model


def monday(number):
    return FIRST + pd.Timedelta(weeks=number)


def company(last_reading, *, weeks=40, at_risk=None, notices=(), scores=None):
    """Tables of a company: accounts read weekly up to their last reading; labels follow from it by definition.

    Parameters
    ----------
    last_reading : account to the number of its last week; `weeks` - 1 where it stays
    at_risk : account to the weeks it was at risk in
    notices : pairs of account and week that were at risk by a decisive fact
    """
    health, outcomes = [], []
    for account, last in last_reading.items():
        for week in range(last + 1):
            key = {"account_id": account, "week": monday(week)}
            risky = week in (at_risk or {}).get(account, ()) or (account, week) in notices
            score = 40.0 if risky else 80.0
            health.append(
                {
                    **key,
                    "score": score if scores is None else scores(account, week),
                    "tier": "at_risk" if risky else "healthy",
                    "tier_reason": "decisive" if (account, week) in notices else "score",
                    "segment": "small",
                }
            )
            if week + LABEL_WEEKS <= weeks - 1:
                left = last < week + LABEL_WEEKS
                outcomes.append(
                    {**key, "has_churned_13w": left, "has_contracted_13w": False, "has_expanded_13w": False}
                )
    return pd.DataFrame(health), pd.DataFrame(outcomes)


def test_only_weeks_that_are_mature_as_known_come_in():
    health, outcomes = company({"a": 39, "b": 20})
    readings = join_readings(health, outcomes)
    assert readings.rows["week"].max() == monday(26)
    assert len(readings.rows) == 27 + 21
    assert readings.not_mature == 13
    assert len(readings.calendar) == 40 + 21
    assert readings.rows.loc[readings.rows["account_id"] == "b", "churned"].tolist() == [0.0] * 8 + [1.0] * 13


def test_a_label_that_its_table_calls_not_mature_is_never_used():
    health, outcomes = company({"a": 39})
    outcomes["is_mature"] = outcomes["week"] < monday(3)
    readings = join_readings(health, outcomes)
    assert readings.rows["week"].tolist() == [monday(0), monday(1), monday(2)]
    assert readings.not_mature == 37
    outcomes["is_mature"] = None
    assert join_readings(health, outcomes).rows.empty


def test_what_is_not_known_stays_out_and_is_counted():
    health, outcomes = company({"a": 39, "b": 39})
    outcomes = outcomes.astype({"has_churned_13w": object, "has_contracted_13w": object})
    outcomes.loc[outcomes["account_id"] == "b", ["has_churned_13w", "has_contracted_13w"]] = None
    readings = join_readings(health[health["week"] != monday(4)], outcomes)
    assert (readings.outcome_unknown, readings.not_published) == (27, 1)
    assert set(readings.rows["account_id"]) == {"a"}
    assert len(readings.rows) == 26


def test_losing_revenue_is_leaving_or_shrinking_and_unknown_where_one_is():
    health, outcomes = company({"a": 39})
    outcomes = outcomes.astype({"has_contracted_13w": object})
    outcomes.loc[0, "has_contracted_13w"] = True
    outcomes.loc[1, "has_contracted_13w"] = None
    rows = join_readings(health, outcomes).rows
    assert rows["lost_revenue"].head(3).tolist()[0] == 1
    assert np.isnan(rows["lost_revenue"].iloc[1])
    assert rows["lost_revenue"].iloc[2] == 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda h, o: (h.drop(columns="tier"), o), "the scores lack tier"),
        (lambda h, o: (h, o.drop(columns="has_churned_13w")), "the outcomes lack has_churned_13w"),
        (lambda h, o: (pd.concat([h, h.head(1)]), o), "account a twice in 2026-01-05"),
        (lambda h, o: (h, o.assign(week=o["week"] + pd.Timedelta(days=1))), "a week that is no Monday"),
    ],
)
def test_tables_that_can_not_be_joined_are_refused_in_one_sentence(spoil, message):
    with pytest.raises(ValueError, match=message):
        join_readings(*spoil(*company({"a": 39})))


def test_readings_apart_hold_every_event_once():
    health, outcomes = company({"a": 39, "b": 20, "c": 5, "d": 30})
    rows = join_readings(health, outcomes).rows
    apart = one_per_label(rows)
    assert sorted(apart["week"].unique()) == [monday(0), monday(13), monday(26)]
    assert apart.groupby("account_id")["churned"].sum().to_dict() == {"a": 0, "b": 1, "c": 1, "d": 1}


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 39), min_size=1))
def test_an_account_leaves_in_the_week_after_its_last_reading(last_reading):
    readings = join_readings(*company(last_reading))
    expected = {account: last + 1 for account, last in last_reading.items() if last < 39}
    found = leaving_weeks(readings)
    base = (FIRST - pd.Timestamp("1970-01-05")).days // 7
    assert dict(zip(found["account_id"], found["event_week"] - base, strict=True)) == expected


def test_a_customer_that_came_back_left_twice():
    health, outcomes = company({"a": 39})
    # Away in the weeks 20 to 22 and 34 on: by label, those that end in them; the account has no reading there.
    away = {20, 21, 22, *range(34, 53)}
    is_away = [monday(week) for week in away]
    health, outcomes = (table[~table["week"].isin(is_away)].copy() for table in (health, outcomes))
    number = (outcomes["week"] - FIRST).dt.days // 7
    outcomes["has_churned_13w"] = [n + LABEL_WEEKS in away for n in number]
    found = leaving_weeks(join_readings(health, outcomes))
    base = (FIRST - pd.Timestamp("1970-01-05")).days // 7
    assert (found["event_week"] - base).tolist() == [20, 34]


ARGUMENTS = {"weeks": (4, 8, 13), "lookback": 26, "minimum_events": 1, "confidence": 0.95}


def test_lead_times_by_hand():
    at_risk = {"left": range(10, 20), "late": [17], "stays": [15], "long": [1]}
    last = {"left": 19, "late": 19, "long": 34, "stays": 39, "calm": 39}
    readings = join_readings(*company(last, at_risk=at_risk))
    found = lead_times(readings, **ARGUMENTS)
    # Left in week 20: at risk from week 10, known the Monday after: 9 whole weeks. Late: 2. Long ago does not count.
    assert sorted(found.events["lead_weeks"].dropna()) == [2.0, 9.0]
    assert [(s.weeks, s.events, s.seen) for s in found.seen] == [(4, 3, 1), (8, 3, 1), (13, 3, 0)]
    # Each event looks at the two that stayed; one of them was at risk in week 15: 4 weeks before week 20, in which two
    # left, and 19 weeks before week 35.
    assert [s.stayers_share for s in found.seen] == pytest.approx([3 / 6, 1 / 6, 1 / 6])
    assert found.median.value == 5.5


def test_a_reading_in_the_last_week_is_no_whole_week_of_warning():
    readings = join_readings(*company({"a": 19, "b": 39}, at_risk={"a": [19]}))
    assert lead_times(readings, **ARGUMENTS).events["lead_weeks"].tolist() == [0.0]


def test_notices_can_be_left_out_of_the_warnings():
    notices = {("a", week) for week in range(14, 20)}
    readings = join_readings(*company({"a": 19, "b": 39}, notices=notices))
    assert lead_times(readings, **ARGUMENTS).seen[0].seen == 1
    assert lead_times(readings, **ARGUMENTS, counts_notices=False).seen[0].seen == 0


def test_events_that_could_not_have_been_seen_are_not_counted_as_missed():
    readings = join_readings(*company({"a": 5, "b": 39}))
    assert [s.events for s in lead_times(readings, **ARGUMENTS).seen] == [1, 0, 0]
    too_few = lead_times(readings, **{**ARGUMENTS, "minimum_events": 2})
    assert all(s.share is None for s in too_few.seen)
    assert too_few.median is None


def test_usage_change_ranks_falls_first_and_the_unknown_in_the_middle():
    rows = pd.DataFrame({"usage_change_share_4w": [-0.5, 0.2, np.nan, 0.0]})
    assert usage_change_risk(rows).tolist() == [0.5, -0.2, -0.0, -0.0]
    assert np.isnan(usage_change_risk(pd.DataFrame({"usage_change_share_4w": [np.nan]}))).all()


def young_leave(accounts=240, weeks=60, seed=2):
    """Accounts of which the young ones leave, in one row per account and week, with labels of 13 weeks."""
    random = np.random.default_rng(seed)
    rows = []
    for account in range(accounts):
        is_young = account % 2 == 0
        last = int(random.integers(5, weeks - 1)) if is_young and random.uniform() < 0.7 else weeks
        for week in range(min(last, weeks - LABEL_WEEKS)):
            tenure = week * 7 + (30 if is_young else 1500)
            rows.append((f"acc-{account}", week, tenure, 1000.0 * (1 + account % 7), float(last < week + LABEL_WEEKS)))
    columns = ["account_id", "week_number", "account_tenure_days", "arr_reporting", "churned"]
    return pd.DataFrame(rows, columns=columns)


def test_tenure_and_revenue_learn_from_what_was_known_before_each_week():
    rows = young_leave()
    risk = tenure_and_revenue_risk(rows, "churned", 20)
    first = rows["week_number"][~np.isnan(risk)].min()
    assert first >= LABEL_WEEKS
    ranked = ~np.isnan(risk)
    young = rows["account_tenure_days"] < 1000
    assert risk[ranked & young].min() > risk[ranked & ~young].max()


def test_nothing_of_later_labels_reaches_a_baseline():
    rows = young_leave()
    risk = tenure_and_revenue_risk(rows, "churned", 20)
    week = int(rows["week_number"][~np.isnan(risk)].min()) + 8
    changed = rows.assign(churned=rows["churned"].where(rows["week_number"] + LABEL_WEEKS <= week, 1 - rows["churned"]))
    again = tenure_and_revenue_risk(changed, "churned", 20)
    before = (rows["week_number"] <= week).to_numpy()
    assert np.array_equal(risk[before], again[before], equal_nan=True)
    assert not np.array_equal(risk, again, equal_nan=True)


def scored_by_tenure(rows):
    health = rows[["account_id"]].assign(
        week=[monday(week) for week in rows["week_number"]],
        score=np.where(rows["account_tenure_days"] < 1000, 40.0, 80.0),
        tier=np.where(rows["account_tenure_days"] < 1000, "at_risk", "healthy"),
        segment=np.where(rows["account_id"].isin(["acc-0", "acc-1", "acc-2"]), "few", "many"),
        account_tenure_days=rows["account_tenure_days"],
        arr_reporting=rows["arr_reporting"],
    )
    outcomes = health[["account_id", "week"]].assign(is_mature=True, has_churned_13w=rows["churned"] == 1)
    return health, outcomes


@pytest.fixture(scope="module")
def quick():
    return POLICY.model_copy(update={"resamples": 200})


def test_assessment_of_a_score_that_is_the_truth(quick):
    health, outcomes = scored_by_tenure(young_leave())
    found = assess(join_readings(health, outcomes, health), quick)
    area = found.figure("churned", "auc")
    assert area["low"] <= area["value"] <= area["high"]
    assert area["value"] > 0.75
    assert found.figure("churned", "recall", "at_risk")["value"] == 1.0
    # Tenure says the same as this score: it is not beaten, and the page must say so.
    difference = found.figure("churned", "auc_difference", "tenure_and_arr")
    assert difference["low"] <= 0.02
    assert found.figure("churned", "auc", "usage_change")["note"] == "no reading to judge"
    assert found.calibrations["churned"].tiers["tier"].tolist() == ["at_risk", "healthy"]


def test_a_cell_with_too_few_events_has_no_figure(quick):
    health, outcomes = scored_by_tenure(young_leave())
    found = assess(join_readings(health, outcomes, health), quick).figures
    few = found[found["population"] == "few"]
    of_tiers = few["statistic"] == "rate"
    assert set(few.loc[~of_tiers, "note"]) == {NOT_ENOUGH}
    assert set(few.loc[of_tiers, "note"]) == {FEW_READINGS}
    assert few[["value", "low", "high"]].isna().all(axis=None)
    with_figures = found[found["note"] == ""]
    # a rate may be small; it needs readings
    counted = with_figures["events"].mask(with_figures["statistic"] == "rate", with_figures["readings"])
    assert (counted >= quick.minimum_events).all()
    contracted = found[found["outcome"] == "contracted"]
    assert set(contracted["note"]) == {"no reading to judge"}


def test_rates_by_tier_and_lead_times_are_told_by_segment(quick):
    last = {"left": 19, "late": 19, "stays": 39, "big": 24, "moved": 19, "calm": 39}
    at_risk = {"left": range(10, 20), "late": [17], "big": [20], "moved": [5]}
    health, outcomes = company(last, at_risk=at_risk)
    is_large = health["account_id"].isin(["big", "calm"]) | (
        (health["account_id"] == "moved") & (health["week"] >= monday(10))
    )
    health["segment"] = is_large.map({True: "large", False: "small"})
    found = assess(join_readings(health, outcomes), quick.model_copy(update={"minimum_events": 1}))
    # Who left counts, with all its warnings, in the segment of its last reading: moved was at risk while it was small.
    shown = {
        name: [
            found.figure("churned", f"at_risk_{weeks}_weeks_before", "at_risk", name)["value"] for weeks in (4, 8, 13)
        ]
        for name in (ALL, "small", "large")
    }
    assert shown == {ALL: [3 / 4, 2 / 4, 1 / 4], "small": [1 / 2, 1 / 2, 0], "large": [1, 1 / 2, 1 / 2]}
    medians = [
        found.figure("churned", "lead_weeks_median", "at_risk", name)["value"] for name in (ALL, "small", "large")
    ]
    assert medians == [6.5, 5.5, 9]
    # Weeks 26, 13 and 0 of the small ones: of eight readings one was at risk and left, and one of seven healthy ones.
    rates = {tier: found.figure("churned", "rate", tier, "small") for tier in ("at_risk", "healthy")}
    counts = ["events", "accounts", "readings"]
    assert {tier: rate[counts].tolist() for tier, rate in rates.items()} == {"at_risk": [1, 1, 1], "healthy": [1, 4, 7]}
    limits = wilson(1, 7, quick.confidence)
    assert rates["healthy"][["value", "low", "high"]].tolist() == [1 / 7, limits.low, limits.high]


def test_nothing_known_gives_no_figure_and_no_error(quick):
    health, outcomes = company({"a": 39})
    outcomes["has_churned_13w"] = None
    found = assess(join_readings(health, outcomes), quick)
    assert found.figures["value"].isna().all()
    assert set(found.figures["note"]) == {"no reading to judge"}
    assert found.gain.empty
    assert set(found.figures["population"]) == {ALL}
    assert {(o, of) for o, of in zip(found.figures["outcome"], found.figures["of"], strict=True)} >= {
        (outcome, listed) for outcome, (_, falls) in OUTCOMES.items() for listed in (LISTS if falls else GROWTH_LISTS)
    }


def test_those_who_gave_notice_can_be_told_apart(quick):
    last = {f"n{n:02d}": 19 for n in range(30)} | {f"s{n:02d}": 39 for n in range(60)}
    notices = {(f"n{n:02d}", week) for n in range(30) for week in range(12, 20)}
    found = assess(join_readings(*company(last, notices=notices)), quick)
    # Week 7 to 19 are 13 labels, of which 8 fall on weeks with a notice; the score alone saw nobody.
    assert found.figure("churned", "recall", "at_risk")["value"] == pytest.approx(8 / 13)
    assert found.figure("churned", "recall", "at_risk_by_score")["value"] == 0.0
    assert found.figure("churned", "recall", "at_risk", WITHOUT_NOTICE)["value"] == 0.0
    assert [s.seen for s in found.leads.seen] == [30, 0, 0]
    assert [s.seen for s in found.leads_by_score.seen] == [0, 0, 0]
    with pytest.raises(KeyError, match="no figure of churned, auc, nothing"):
        found.figure("churned", "auc", "nothing")
