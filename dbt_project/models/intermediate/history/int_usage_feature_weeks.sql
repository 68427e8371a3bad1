{{ config(unique_key=['load_id']) }}
with events as (

    select
        source_kind,
        source_system,
        source_instance,
        group_id as source_account_id,
        load_id,
        coalesce(feature_key, event_name) as feature_key,
        {{ week_start('occurred_at') }} as usage_week,
        {{ first_week_counted('occurred_at', 'available_at') }} as counts_from_week
    from {{ ref('int_usage_event') }}
    where
        group_id is not null
        and not is_deleted
        {% if is_incremental() -%}
        and {{ of_pending_loads(source('landing', 'source_load')) }}
        {%- endif %}

)

select
    source_kind,
    source_system,
    source_instance,
    source_account_id,
    usage_week,
    counts_from_week,
    load_id,
    feature_key,
    cast(count(*) as bigint) as events
from events
where feature_key is not null
group by source_kind, source_system, source_instance, source_account_id, usage_week, counts_from_week, load_id, feature_key
