"""Guardrails of the demo company: churn, expansion, effect sizes, and that each planted story shows where it should."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from health_pipeline.policy.company import load_company
from health_pipeline.sources.demo import DemoCompany
from health_pipeline.sources.demo.calendar import WEEKS, week_index
from health_pipeline.sources.demo.stories import STORY_NAMES
from health_pipeline.sources.demo.truth import Truth
from health_pipeline.sources.demo.world import simulate_world

SEED = 7
FIRST_DAY = pd.Timestamp("2024-11-18")


@cache
def company() -> DemoCompany:
    return DemoCompany(seed=SEED)


@cache
def truth() -> Truth:
    return company().truth()


@cache
def delivered(kind: str, table: str) -> pd.DataFrame:
    """Every record of a table as it stood last."""
    frames = [
        part.data.to_pandas() for load in range(53) for part in company()._tables(kind, load) if part.table == table
    ]
    rows = pd.concat(frames, ignore_index=True)
    key = {"source_account": "source_account_id", "usage_event": "event_id"}.get(table, rows.columns[0])
    return rows.drop_duplicates(key, keep="last")


def crm_ids(kind: str, source_ids: pd.Series) -> pd.Series:
    """The CRM id behind the ids of another system."""
    world = company()._world
    of = dict(zip(world.source_ids[kind].to_pylist(), world.source_ids["crm"].to_pylist(), strict=True))
    return source_ids.map(of)


def story(name: str) -> pd.DataFrame:
    return truth().stories.query("story == @name").set_index("crm_id")


def in_story(rows: pd.DataFrame, kind: str, at: str, name: str, column: str = "source_account_id") -> pd.DataFrame:
    """The rows of accounts in that story, while it was on."""
    rows = rows.assign(crm_id=crm_ids(kind, rows[column])).merge(
        story(name)[["start_week", "end_week"]], left_on="crm_id", right_index=True
    )
    return rows[(rows[at] >= rows["start_week"]) & (rows[at] < rows["end_week"])]


@pytest.mark.parametrize("seed", range(6))
def test_churn_expansion_and_number_of_customers_are_those_of_an_ordinary_company(seed):
    world = simulate_world(seed, 400)
    live = world.contracts.is_live.sum(axis=0)
    assert live[52:].min() >= 330
    ended = week_index(world.contracts.ended_at)
    changes = world.contracts.changes
    grows = np.append(False, (np.diff(changes.seats) > 0) & (np.diff(changes.account) == 0))
    # What a planted strategy adds is not of an ordinary company.
    grows &= week_index(changes.at) != world.trials.grows_in_week[changes.account]
    for begin in (0, 52):
        year = range(begin, begin + 52)
        assert 0.07 < np.isin(ended, year).sum() / live[begin] < 0.17
        growing = set(changes.account[grows & np.isin(week_index(changes.at), year)])
        assert 0.1 < len(growing) / live[begin] < 0.22
    joined = week_index(world.accounts.started_at)
    assert 30 < ((joined >= 0) & (joined < 52)).sum() < 80
    assert 30 < ((joined >= 52) & (joined < WEEKS)).sum() < 80


def test_the_company_grows_with_its_parameter():
    assert simulate_world(1, 60).contracts.is_live[:, 60].sum() == pytest.approx(60, rel=0.15)
    assert simulate_world(1, 1500).contracts.is_live[:, 60].sum() == pytest.approx(1500, rel=0.15)


def test_no_ordinary_load_of_the_demo_waits_for_a_person():
    band = load_company(None).model.source("usage").volume_band
    rows: dict[tuple[str, str], list[int]] = {}
    for load in range(1, 53):
        for extract in company().extracts(load):
            for part in extract.tables:
                rows.setdefault((extract.source_kind, part.table), []).append(part.data.num_rows)
    for table, counts in rows.items():
        for place in range(4, len(counts)):
            usual = np.median(counts[max(0, place - 12) : place])
            assert counts[place] <= band[1] * max(usual, 50), (table, place)
            assert usual < 50 or counts[place] >= band[0] * usual, (table, place)


def test_every_story_is_planted_in_several_accounts_with_dates():
    counts = truth().stories["story"].value_counts()
    assert set(counts.index) == set(STORY_NAMES)
    assert counts.min() >= 4
    assert truth().stories["crm_id"].is_unique
    assert truth().stories["start_week"].between("2024-11-18", "2026-11-09").all()
    # Most of them can be seen in the weeks under review.
    assert (truth().stories["end_week"] > "2025-11-17").mean() > 0.75
    assert (truth().latent[["value", "sponsorship", "quality", "price_pressure"]].stack().between(0, 1)).all()


def test_no_story_can_be_read_from_an_extract():
    for load in (0, 40):
        for extract in company().extracts(load):
            for part in extract.tables:
                assert not set(part.data.column_names) & {"story", "value", "sponsorship", "trouble"}
                for name in ("name", "custom", "properties"):
                    if name in part.data.column_names and part.data.num_rows:
                        texts = part.data[name].to_pandas().dropna().astype(str)
                        assert not texts.str.contains("|".join(STORY_NAMES)).any()


def test_risk_stories_end_in_leaving_far_more_often_than_lookalikes():
    ends = truth().ends.set_index("crm_id")["ended_at"]
    stories = truth().stories.assign(ended_at=lambda rows: rows["crm_id"].map(ends))
    left = stories["ended_at"].between(stories["start_week"], stories["end_week"] + timedelta(weeks=20))
    share = left.groupby(stories["meaning"]).mean()
    assert share["risk"] > 0.2
    assert share["lookalike"] < 0.05
    assert share["growth"] < share["risk"] / 2
    assert set(truth().ends["reason"]) == {"not_renewed", "not_paid"}


def test_latent_trouble_precedes_leaving_but_does_not_decide_it():
    world = company()._world
    trouble = world.state.trouble()
    ended = week_index(world.contracts.ended_at)
    left = np.flatnonzero((ended >= 25) & (ended < WEEKS))
    before = np.array([trouble[account, ended[account] - 20 : ended[account] - 10].mean() for account in left])
    stayed = np.flatnonzero((ended >= WEEKS) & world.contracts.is_live[:, 40])
    usual = trouble[stayed, 40:50].mean(axis=1)
    chance = (before[:, None] > usual[None, :]).mean()
    assert 0.68 < chance < 0.9


def test_use_is_lower_before_leaving():
    events = delivered("usage", "usage_event")
    events = events.assign(
        crm_id=crm_ids("usage", events["group_id"]), week=(events["occurred_at"] - FIRST_DAY).dt.days // 7
    )
    events = events[~events["user_id"].str.startswith("service-")]
    weekly = events.groupby(["crm_id", "week"]).size().unstack(fill_value=0).reindex(columns=range(WEEKS), fill_value=0)
    world = company()._world
    ids = world.source_ids["crm"].to_pylist()
    ended = pd.Series(week_index(world.contracts.ended_at), index=ids)
    weekly = weekly.div(pd.Series(world.accounts.seats, index=ids).reindex(weekly.index), axis=0)
    left = [name for name in weekly.index if 30 <= ended[name] < WEEKS]
    stayed = [name for name in weekly.index if ended[name] >= WEEKS and weekly.loc[name, 40:44].sum() > 0]
    before = np.array([weekly.loc[name, ended[name] - 12 : ended[name] - 5].mean() for name in left])
    usual = weekly.loc[stayed, 40:47].mean(axis=1).to_numpy()
    effect = (usual.mean() - before.mean()) / usual.std()
    assert 0.3 < effect < 1.5


def test_unhappy_people_give_lower_marks():
    world = company()._world
    answers = delivered("survey", "survey_response")
    state = pd.DataFrame({"crm_id": world.source_ids["crm"].to_pylist(), "value": world.state.value.mean(axis=1)})
    means = answers.groupby(crm_ids("survey", answers["source_account_id"]))["score"].mean().rename("score")
    both = state.set_index("crm_id").join(means, how="inner")
    assert 0.3 < both["score"].corr(both["value"]) < 0.9
    promoters, detractors = (answers["score"] >= 9).mean(), (answers["score"] <= 6).mean()
    assert 0 < promoters - detractors < 0.6
    pulses = delivered("cs", "cs_note").query("activity_type == 'sentiment'")
    assert pulses["custom"].str.extract(r"(\d)")[0].astype(int).mean() == pytest.approx(3.6, abs=0.4)


def test_a_sponsor_who_leaves_is_gone_from_the_contacts():
    contacts = delivered("crm", "crm_contact")
    champions = contacts[
        (contacts["role"] == "champion") & contacts["source_account_id"].isin(story("sponsor_leaves").index)
    ]
    left = champions.dropna(subset="left_at").set_index("source_account_id")["left_at"]
    starts = story("sponsor_leaves")["start_week"]
    assert len(left) >= 0.7 * len(starts)
    assert ((left - starts.reindex(left.index)).dt.days.between(0, 6)).all()


def test_value_never_reached_hides_behind_busy_logins_and_workarounds():
    tickets = in_story(delivered("support", "support_ticket"), "support", "created_at", "value_never_reached")
    everywhere = delivered("support", "support_ticket")
    assert tickets["body"].str.contains("workaround", case=False).mean() > 0.3
    assert everywhere["body"].str.contains("workaround", case=False).mean() < 0.1
    meetings = delivered("engagement", "cs_note").query("activity_type == 'meeting'")
    invited = in_story(meetings, "engagement", "occurred_at", "value_never_reached")

    def attending(rows: pd.DataFrame) -> float:
        counts = rows[["attendee_emails", "invited_emails"]].apply(lambda column: column.str.count("@"))
        return counts["attendee_emails"].sum() / counts["invited_emails"].sum()

    assert attending(invited) < attending(meetings) - 0.15
    world = company()._world
    on = world.stories.is_on("value_never_reached") & world.contracts.is_live
    levels = company()._usage.levels
    assert levels.attendance[on].mean() > levels.attendance[world.contracts.is_live].mean()
    assert levels.breadth[on].mean() < 3
    goals = delivered("cs", "cs_goal")
    of_story = goals[crm_ids("cs", goals["source_account_id"]).isin(story("value_never_reached").index)]
    assert (of_story["status"] == "achieved").mean() < (goals["status"] == "achieved").mean()


def test_a_defect_storm_brings_urgent_tickets():
    tickets = delivered("support", "support_ticket")
    storm = in_story(tickets, "support", "created_at", "defect_storm")
    weeks = story("defect_storm").shape[0] * 11
    assert len(storm) / weeks > 3 * len(tickets) / company()._world.contracts.is_live.sum()
    assert storm["priority"].isin(["high", "urgent"]).mean() > tickets["priority"].isin(["high", "urgent"]).mean() + 0.2


def test_payment_trouble_shows_in_failed_payments_and_open_invoices():
    payments = delivered("billing", "billing_payment")
    trouble = in_story(payments, "billing", "occurred_at", "payment_trouble")
    assert (trouble["status"] == "failed").mean() > 0.5
    assert (payments["status"] == "failed").mean() < 0.15
    subscriptions = pd.concat(
        [part.data.to_pandas() for load in range(53) for part in company()._tables("billing", load)
         if part.table == "billing_subscription"]
    )  # fmt: skip
    assert "past_due" in set(subscriptions["status"])
    ended = delivered("billing", "billing_subscription").query("status == 'canceled'")
    assert ended["canceled_at"].notna().all()


def test_a_competitor_is_named_in_tickets_and_notes():
    tickets = in_story(delivered("support", "support_ticket"), "support", "created_at", "competitor_evaluation")
    notes = in_story(delivered("cs", "cs_note"), "cs", "occurred_at", "competitor_evaluation")
    assert tickets["body"].str.contains("evaluating alternatives|notice period").any()
    assert notes["body"].str.contains("evaluating alternatives|another vendor").mean() > 0.15


def test_a_delivery_that_slips_turns_red_and_moves_its_milestones():
    projects, milestones = delivered("projects", "pm_project"), delivered("projects", "pm_milestone")
    every = pd.concat([part.data.to_pandas() for load in (0, 10, 20, 30, 40, 52)
                       for part in company()._tables("projects", load) if part.table == "pm_project"])  # fmt: skip
    reds = crm_ids("projects", every[every["rag"] == "red"]["source_account_id"])
    assert set(reds) & set(story("delivery_slip").index)
    assert reds.isin(story("delivery_slip").index).all()
    slipped = projects[crm_ids("projects", projects["source_account_id"]).isin(story("delivery_slip").index)]
    moved = milestones[milestones["project_id"].isin(slipped["project_id"])]
    later = (pd.to_datetime(moved["due_date"]) - pd.to_datetime(moved["baseline_due_date"])).dt.days
    assert (later > 60).mean() > 0.2


def test_a_quiet_decline_is_quiet_and_a_pull_uses_every_seat():
    world, levels = company()._world, company()._usage.levels
    live = world.contracts.is_live
    decline = world.stories.intensity("quiet_decline") * world.stories.is_on("quiet_decline")
    assert levels.attendance[(decline > 0.8) & live].mean() < 0.75 * levels.attendance[live].mean()
    tickets = in_story(delivered("support", "support_ticket"), "support", "created_at", "quiet_decline")
    weeks = (world.stories.is_on("quiet_decline") & live).sum()
    assert len(tickets) / weeks < len(delivered("support", "support_ticket")) / live.sum()
    pulled = world.stories.intensity("expansion_pull") * live > 0.9
    assert (levels.enrolled / np.maximum(world.contracts.seats, 1))[pulled].mean() > 0.88


def test_lookalikes_dip_and_recover_without_any_trouble():
    world, levels = company()._world, company()._usage.levels
    for name in ("seasonal_dip", "holiday"):
        on = world.stories.is_on(name)
        rows = np.flatnonzero(on.any(axis=1))
        before = np.array(
            [levels.attendance[row, max(np.argmax(on[row]) - 6, 0) : np.argmax(on[row])].mean() for row in rows]
        )
        during = np.array([levels.attendance[row][on[row]].mean() for row in rows])
        assert during.mean() < 0.5 * before.mean(), name
        trouble = world.state.trouble()
        assert trouble[on].mean() < trouble[world.contracts.is_live].mean() + 1.0
    burst = in_story(delivered("usage", "usage_event"), "usage", "occurred_at", "automation_burst", "group_id")
    by_service = burst["user_id"].str.startswith("service-")
    assert by_service.mean() > 0.6
    assert set(burst[by_service]["feature_key"]) == {"api"}


def test_notice_is_given_before_the_end_and_renewal_deals_are_lost_for_it():
    subscriptions = pd.concat(
        [part.data.to_pandas().assign(load=load) for load in range(1, 53)
         for part in company()._tables("billing", load) if part.table == "billing_subscription"]
    )  # fmt: skip
    noticed = subscriptions[subscriptions["cancel_at"].notna() & (subscriptions["status"] == "active")]
    assert len(noticed) > 15
    assert (noticed["cancel_at"] > noticed["source_updated_at"]).all()
    assert not noticed["auto_renew"].any()
    deals = delivered("crm", "crm_opportunity")
    lost = deals[(deals["type"] == "renewal") & (deals["stage"] == "closed_lost")]
    assert len(lost) > 30
    assert lost["loss_reason"].notna().all()
    assert (deals["is_won"] == (deals["stage"] == "closed_won")).all()
