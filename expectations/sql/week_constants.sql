-- as_of_at is the Monday after the week, known_at the same instant after it on every row of the week, week a Monday.
with stamped as (
    select distinct 'account_features_weekly' as table_name, week, as_of_at, known_at from account_features_weekly
    union all
    select distinct 'account_health_weekly' as table_name, week, as_of_at, known_at from account_health_weekly
    union all
    select distinct 'score_contributions_weekly' as table_name, week, as_of_at, known_at from score_contributions_weekly
    union all
    select distinct 'score_changes_weekly' as table_name, week, as_of_at, known_at from score_changes_weekly
    union all
    select distinct 'tier_movements_weekly' as table_name, week, as_of_at, known_at from tier_movements_weekly
    union all
    select distinct 'watermelon_accounts_weekly' as table_name, week, as_of_at, known_at from watermelon_accounts_weekly
    union all
    select distinct 'action_plan_weekly' as table_name, week, as_of_at, known_at from action_plan_weekly
    union all
    select distinct 'action_plan_accounts_weekly' as table_name, week, as_of_at, known_at from action_plan_accounts_weekly
    union all
    select distinct 'plan_capacity_weekly' as table_name, week, as_of_at, known_at from plan_capacity_weekly
    union all
    select distinct 'exception_queue_weekly' as table_name, week, as_of_at, known_at from exception_queue_weekly
    union all
    select distinct 'defect_themes_weekly' as table_name, week, as_of_at, known_at from defect_themes_weekly
    union all
    select distinct 'defect_theme_accounts_weekly' as table_name, week, as_of_at, known_at from defect_theme_accounts_weekly
    union all
    select distinct 'support_load_weekly' as table_name, week, as_of_at, known_at from support_load_weekly
    union all
    select distinct 'risk_packets' as table_name, week, as_of_at, known_at from risk_packets
    union all
    select distinct 'risk_evidence' as table_name, week, as_of_at, known_at from risk_evidence
    union all
    select distinct 'review_metrics_weekly' as table_name, week, as_of_at, known_at from review_metrics_weekly
    union all
    select distinct 'source_freshness_weekly' as table_name, week, as_of_at, known_at from source_freshness_weekly
),

constants as (
    select week, min(known_at) as known_at from account_features_weekly group by week
)

select distinct stamped.table_name, stamped.week
from stamped
left join constants on constants.week = stamped.week
where stamped.week in (select week from run_weeks)
    and (
        stamped.as_of_at is distinct from cast(stamped.week + 7 as timestamp)
        or stamped.known_at < stamped.as_of_at
        or stamped.known_at is distinct from constants.known_at
        or isodow(stamped.week) <> 1
    )
order by stamped.week, stamped.table_name
