-- Plan rows whose account was not judged in that week, or in another effective tier.
select plan.account_id, plan.week
from action_plan_accounts_weekly as plan
left join account_health_weekly as health
    on health.account_id = plan.account_id and health.week = plan.week
where plan.week in (select week from run_weeks)
    and health.effective_tier is distinct from plan.effective_tier
order by plan.week, plan.account_id
