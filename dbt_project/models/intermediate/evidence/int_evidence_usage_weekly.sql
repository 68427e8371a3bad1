{%- set links = ref('int_account_links_weekly') -%}
{%- set origin = ['source_kind', 'source_system', 'source_instance'] -%}
-- The newest use that counted in the week: its day knows the record.
with newest_days as (

    select
        links.week,
        links.account_id,
        {% for column in origin %}days.{{ column }},
        {% endfor %}
        days.source_account_id,
        max(days.last_occurred_at) as last_occurred_at
    from {{ ref('int_usage_days') }} as days
    inner join {{ links }} as links
        on
            days.counts_from_week <= links.week
            {% for column in origin %}
            and days.{{ column }} = links.{{ column }}
            {% endfor %}
            and days.source_account_id = links.source_account_id
    where days.events > 0
    group by
        links.week,
        links.account_id,
        {% for column in origin %}days.{{ column }},
        {% endfor %}days.source_account_id

)

select
    newest_days.account_id,
    newest_days.week,
    {% for column in origin %}newest_days.{{ column }},{% endfor %}
    case when days.is_roll_up then 'usage_daily' else 'usage_event' end as source_table,
    days.last_record_id as source_record_id,
    days.load_id,
    days.last_occurred_at as observed_at,
    days.last_available_at as available_at,
    'newest_use' as record_set,
    cast(null as double) as value
from newest_days
inner join {{ ref('int_usage_days') }} as days
    on
        {% for column in origin %}newest_days.{{ column }} = days.{{ column }}
        and {% endfor %}
        newest_days.source_account_id = days.source_account_id
        and newest_days.last_occurred_at = days.last_occurred_at
        and days.counts_from_week <= newest_days.week
where days.events > 0
