{{ config(
    materialized='incremental',
    incremental_strategy='overwrite_weeks',
    unique_key=['known_week'],
    on_schema_change='append_new_columns',
    full_refresh=false,
) }}
-- Of the features of thirteen weeks before each of the run's weeks, as the end is known in the run's week.
with weeks as (

    select
        {{ plus_days_as_date('week', -91) }} as week,
        week as known_week,
        as_of_at as state_as_of_at,
        known_at as state_known_at
    from {{ ref('int_week_spine') }}

),

links as (

    select
        weeks.week,
        links.account_id,
        links.source_kind,
        links.source_system,
        links.source_instance,
        links.source_account_id
    from weeks
    inner join {{ source('landing', 'identity_link') }} as links on {{ valid_at('links', 'weeks.state_known_at') }}

),

subscriptions as (

    {{ active_subscriptions('weeks', 'links', ref('int_billing_subscription_versions')) }}

),

endings as (

    select
        week,
        account_id,
        cast(count(*) as bigint) as subscriptions,
        {{ count_where('arr is null') }} as unknown_amounts,
        min(currency) as currency,
        max(currency) as other_currency,
        sum(arr) as arr
    from subscriptions
    group by week, account_id

),

merged as (

    -- of an account merged since, what became of it can't be told from what became of the other
    select distinct
        weeks.week,
        accounts.account_id
    from weeks
    inner join {{ source('landing', 'identity_account') }} as accounts
        on accounts.merged_at > {{ plus_days('weeks.state_known_at', -91) }} and accounts.merged_at <= weeks.state_known_at
    where accounts.merged_into_account_id is not null

),

joined as (

    select
        features.account_id,
        features.week,
        weeks.known_week,
        weeks.state_as_of_at,
        weeks.state_known_at,
        features.arr is not null and merged.account_id is null as is_known,
        features.arr as arr_start,
        features.currency,
        coalesce(endings.subscriptions, 0) as subscriptions,
        case
            when endings.subscriptions is null then 0
            when endings.unknown_amounts > 0 or endings.currency <> endings.other_currency then null
            when endings.currency = features.currency then endings.arr
        end as arr_end
    from {{ ref('account_features_weekly') }} as features
    inner join weeks on features.week = weeks.week
    left join endings on features.week = endings.week and features.account_id = endings.account_id
    left join merged on features.week = merged.week and features.account_id = merged.account_id

)

select
    account_id,
    week,
    known_week,
    case when is_known then subscriptions = 0 end as has_churned_13w,
    case when is_known then subscriptions > 0 and arr_end < arr_start end as has_contracted_13w,
    case when is_known then subscriptions > 0 and arr_end > arr_start end as has_expanded_13w,
    arr_start,
    case when is_known then cast(arr_end as decimal(18, 2)) end as arr_end,
    currency,
    state_as_of_at as as_of_at,
    state_known_at as known_at
from joined
