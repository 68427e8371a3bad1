-- Judged accounts that the mart does not have in that week.
select account_id, week
from account_health_weekly as health
where week in (select week from run_weeks)
    and not exists (
        select 1 from account_features_weekly as features
        where features.account_id = health.account_id and features.week = health.week
    )
order by week, account_id
