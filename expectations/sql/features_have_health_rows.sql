-- Accounts of the mart that nobody judged in that week.
select account_id, week
from account_features_weekly as features
where week in (select week from run_weeks)
    and not exists (
        select 1 from account_health_weekly as health
        where health.account_id = features.account_id and health.week = features.week
    )
order by week, account_id
