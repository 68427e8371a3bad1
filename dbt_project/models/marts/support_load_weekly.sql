{{ config(
    materialized='incremental',
    incremental_strategy='overwrite_weeks',
    on_schema_change='append_new_columns',
    full_refresh=false,
) }}
with measured as (

    select
        week,
        account_id,
        {{ count_where('is_of_28d') }} as tickets_opened_28d,
        {{ count_where('is_of_91d') }} as tickets_opened_91d,
        {{ count_where('is_open') }} as open_backlog,
        {{ count_where('is_unreplied') }} as unreplied_open_tickets,
        cast(sum(case when is_of_91d then minutes_spent end) as bigint) as minutes_spent_91d,
        {{ count_where('is_of_91d and minutes_spent is not null') }} as tickets_with_minutes_91d
    from {{ ref('int_support_tickets_weekly') }}
    group by week, account_id

),

totals as (

    select
        week,
        sum(tickets_opened_91d) as tickets_opened_91d
    from measured
    group by week

)

select
    features.account_id,
    features.week,
    features.owner_email,
    row_number() over (
        partition by features.week
        order by measured.tickets_opened_91d desc nulls last, measured.open_backlog desc nulls last, features.account_id asc nulls last
    ) as load_rank,
    measured.tickets_opened_28d,
    measured.tickets_opened_91d,
    case
        when totals.tickets_opened_91d > 0
            then cast(1.0 * measured.tickets_opened_91d / totals.tickets_opened_91d as double)
    end as tickets_share_91d,
    measured.open_backlog,
    features.oldest_open_ticket_days,
    measured.unreplied_open_tickets,
    features.urgent_high_share_91d,
    measured.minutes_spent_91d,
    measured.tickets_with_minutes_91d,
    features.arr_reporting,
    case
        when features.arr_reporting > 0
            then cast(100000.0 * measured.tickets_opened_91d / cast(features.arr_reporting as double) as double)
    end as tickets_91d_per_100k_arr,
    case
        when features.arr_reporting > 0
            then cast(100000.0 * measured.minutes_spent_91d / cast(features.arr_reporting as double) / 60.0 as double)
    end as hours_91d_per_100k_arr,
    features.as_of_at,
    features.known_at
from {{ ref('account_features_weekly') }} as features
inner join measured on features.week = measured.week and features.account_id = measured.account_id
inner join totals on features.week = totals.week
