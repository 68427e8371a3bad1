-- Weeks in which hours or accounts of the plan differ by account, by group and by owner.
with by_owner as (
    select
        week,
        sum(hours_needed) as needed,
        sum(hours_within_capacity) as fits,
        sum(accounts_below_line) as below
    from plan_capacity_weekly
    group by week
),

by_account as (
    select
        week,
        sum(hours_needed) as needed,
        sum(case when is_within_capacity then hours_needed else 0 end) as fits,
        sum(case when is_within_capacity then 0 else 1 end) as below
    from action_plan_accounts_weekly
    group by week
)

select run_weeks.week
from run_weeks
left join by_owner on by_owner.week = run_weeks.week
left join by_account on by_account.week = run_weeks.week
where abs(coalesce(by_owner.needed, 0) - coalesce(by_account.needed, 0)) > $tolerance
    or abs(coalesce(by_owner.fits, 0) - coalesce(by_account.fits, 0)) > $tolerance
    or coalesce(by_owner.below, 0) <> coalesce(by_account.below, 0)
order by run_weeks.week
