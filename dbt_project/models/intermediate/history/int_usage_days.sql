{{ config(incremental_strategy='overwrite_loads') }}
with events as (

    select
        source_kind,
        source_system,
        source_instance,
        group_id as source_account_id,
        event_id,
        load_id,
        occurred_at,
        available_at,
        cast(occurred_at as date) as usage_date,
        {{ first_week_counted('occurred_at', 'available_at') }} as counts_from_week
    from {{ ref('int_usage_event') }}
    where
        not is_deleted
        {% if is_incremental() -%}
        and {{ of_pending_loads(source('landing', 'source_load')) }}
        {%- endif %}

),

roll_ups as (

    select
        source_kind,
        source_system,
        source_instance,
        source_account_id,
        load_id,
        usage_date,
        {{ first_week_counted('usage_date', 'available_at') }} as counts_from_week,
        events,
        active_users,
        features_used,
        {{ just_before(plus_days('usage_date', 1)) }} as last_occurred_at,
        source_account_id || ' ' || cast(usage_date as varchar) as last_record_id,
        available_at as last_available_at
    from {{ ref('int_usage_daily') }}
    where
        not is_deleted
        {% if is_incremental() -%}
        and {{ of_pending_loads(source('landing', 'source_load')) }}
        {%- endif %}

)

select
    source_kind,
    source_system,
    source_instance,
    source_account_id,
    usage_date,
    counts_from_week,
    load_id,
    false as is_roll_up,
    cast(count(*) as bigint) as events,
    cast(null as bigint) as active_users,
    cast(null as bigint) as features_used,
    max(occurred_at) as last_occurred_at,
    -- the record of the newest use: otherwise it is found again among all events, week after week
    {{ at_newest('event_id', 'occurred_at', 'event_id') }} as last_record_id,
    {{ at_newest('available_at', 'occurred_at', 'event_id') }} as last_available_at
from events
group by source_kind, source_system, source_instance, source_account_id, usage_date, counts_from_week, load_id
union all
select
    source_kind,
    source_system,
    source_instance,
    source_account_id,
    usage_date,
    counts_from_week,
    load_id,
    true as is_roll_up,
    events,
    active_users,
    features_used,
    last_occurred_at,
    last_record_id,
    last_available_at
from roll_ups
