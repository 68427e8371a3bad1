select
    health.account_id,
    health.week,
    health.segment,
    health.lifecycle_stage,
    health.tier,
    health.effective_tier,
    health.owner_email,
    health.score,
    health.coverage,
    health.arr_reporting,
    case when health.score is not null then health.arr_reporting end as arr_reporting_scored,
    health.score * cast(health.arr_reporting as double) as score_times_arr,
    case when health.effective_tier = 'at_risk' then health.arr_reporting end as arr_reporting_at_risk,
    features.ultimate_parent_account_id,
    features.mrr_movement,
    features.open_risks
from {{ source('published', 'account_health_weekly') }} as health
inner join {{ source('published', 'account_features_weekly') }} as features
    on health.week = features.week and health.account_id = features.account_id
