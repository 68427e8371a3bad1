with known_risks as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_risk_versions')) }}

),

dated as (

    select
        *,
        {{ lifecycle_time('known_risks', 'closed_at', 'risk', 'as_of_at', 'known_at') }} as closed_then_at
    from known_risks
    where identified_at < as_of_at

),

risks as (

    select
        *,
        closed_then_at is null and not (closed_at is null and coalesce(status, 'open') = 'closed') as is_open
    from dated

),

counted as (

    select
        week,
        account_id,
        {{ count_where('is_open') }} as open_risks,
        max(case when is_open then likelihood * impact end) as max_open_risk_severity,
        {{ later_of(
            'max(identified_at)',
            later_of('max(closed_then_at)', 'max(case when source_updated_at < as_of_at then source_updated_at end)')
        ) }} as newest_fact_at
    from risks
    group by week, account_id

),

joined as (

    select
        spine.*,
        coalesce(counted.open_risks, 0) as open_risks,
        counted.max_open_risk_severity,
        counted.newest_fact_at
    from {{ ref('int_account_week_spine') }} as spine
    left join counted on spine.week = counted.week and spine.account_id = counted.account_id

)

select
    account_id,
    week,
    case when is_risk_connected then open_risks end as open_risks,
    cast(max_open_risk_severity as bigint) as max_open_risk_severity,
    {{ domain_status('risk', 'joined', 'joined.newest_fact_at', 'joined.open_risks > 0') }} as risk_status,
    {{ elapsed_days('newest_fact_at', 'as_of_at') }} as risk_newest_fact_age_days
from joined
