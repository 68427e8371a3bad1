{#
  Use by week of use and first week it counts for, per account key and one more thing: a user, a feature. `sql` names the thing on an
  event, `name` its column. Made load by load: of each load the events that named it.
#}
{% macro usage_weeks(sql, name) %}
with events as (

    select
        source_kind,
        source_system,
        source_instance,
        group_id as source_account_id,
        load_id,
        {{ sql }} as {{ name }},
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
    {{ name }},
    cast(count(*) as bigint) as events
from events
where {{ name }} is not null
group by source_kind, source_system, source_instance, source_account_id, usage_week, counts_from_week, load_id, {{ name }}
{% endmacro %}
