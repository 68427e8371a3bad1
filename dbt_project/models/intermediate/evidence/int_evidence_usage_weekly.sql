{%- set links = ref('int_account_links_weekly') -%}
{%- set origin = ['source_kind', 'source_system', 'source_instance'] -%}
-- The newest use that counted in the week, by its week: its day knows the record.
with newest_uses as (

    select
        links.week,
        links.account_id,
        {% for column in origin %}uses.{{ column }},
        {% endfor %}
        uses.source_account_id,
        max(uses.last_occurred_at) as last_occurred_at
    from {{ ref('int_usage_account_weeks') }} as uses
    inner join {{ links }} as links
        on
            uses.counts_from_week <= links.week
            {% for column in origin %}
            and uses.{{ column }} = links.{{ column }}
            {% endfor %}
            and uses.source_account_id = links.source_account_id
    group by
        links.week,
        links.account_id,
        {% for column in origin %}uses.{{ column }},
        {% endfor %}uses.source_account_id

)

select
    newest_uses.account_id,
    newest_uses.week,
    {% for column in origin %}newest_uses.{{ column }},{% endfor %}
    case when days.is_roll_up then 'usage_daily' else 'usage_event' end as source_table,
    days.last_record_id as source_record_id,
    days.load_id,
    days.last_occurred_at as observed_at,
    days.last_available_at as available_at,
    'newest_use' as record_set,
    cast(null as double) as value
from newest_uses
inner join {{ ref('int_usage_days') }} as days
    on
        {% for column in origin %}newest_uses.{{ column }} = days.{{ column }}
        and {% endfor %}
        newest_uses.source_account_id = days.source_account_id
        and newest_uses.last_occurred_at = days.last_occurred_at
        and days.counts_from_week <= newest_uses.week
where days.events > 0
