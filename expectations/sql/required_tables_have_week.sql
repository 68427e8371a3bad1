-- Weeks of the run that a table every review needs does not have.
with needed as (
    select 'account_features_weekly' as table_name, week from run_weeks
    union all
    select 'account_health_weekly' as table_name, week from run_weeks
    union all
    select 'source_freshness_weekly' as table_name, week from run_weeks
),

there as (
    select distinct 'account_features_weekly' as table_name, week from account_features_weekly
    union all
    select distinct 'account_health_weekly' as table_name, week from account_health_weekly
    union all
    select distinct 'source_freshness_weekly' as table_name, week from source_freshness_weekly
)

select needed.table_name, needed.week
from needed
left join there on there.table_name = needed.table_name and there.week = needed.week
where there.week is null
order by needed.week, needed.table_name
