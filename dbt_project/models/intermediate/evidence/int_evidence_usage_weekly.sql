{%- set links = ref('int_account_links_weekly') -%}
{%- set origin = ['source_kind', 'source_system', 'source_instance'] -%}
-- The newest use that counted in the week, by the roll-up of days; the record is looked up by its moment.
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

),

moments as (

    select
        newest_days.*,
        weeks.as_of_at,
        weeks.known_at,
        cast(newest_days.last_occurred_at as date) as usage_date
    from newest_days
    inner join {{ ref('int_week_spine') }} as weeks on newest_days.week = weeks.week

),

events as (

    select
        moments.account_id,
        moments.week,
        {% for column in origin %}moments.{{ column }},{% endfor %}
        'usage_event' as source_table,
        events.event_id as source_record_id,
        events.load_id,
        events.occurred_at as observed_at,
        events.available_at
    from moments
    inner join {{ ref('int_usage_event') }} as events
        on
            {% for column in origin %}moments.{{ column }} = events.{{ column }}
            and {% endfor %}
            moments.source_account_id = events.group_id
            and moments.last_occurred_at = events.occurred_at
    where not events.is_deleted and events.available_at <= moments.known_at

),

roll_ups as (

    select
        moments.account_id,
        moments.week,
        {% for column in origin %}moments.{{ column }},{% endfor %}
        'usage_daily' as source_table,
        daily.source_account_id || ' ' || cast(daily.usage_date as varchar) as source_record_id,
        daily.load_id,
        moments.last_occurred_at as observed_at,
        daily.available_at
    from moments
    inner join {{ ref('int_usage_daily') }} as daily
        on
            {% for column in origin %}moments.{{ column }} = daily.{{ column }}
            and {% endfor %}
            moments.source_account_id = daily.source_account_id
            and moments.usage_date = daily.usage_date
    where not daily.is_deleted and daily.available_at <= moments.known_at

)

select
    *,
    'newest_use' as record_set,
    cast(null as double) as value
from events
union all
select
    *,
    'newest_use' as record_set,
    cast(null as double) as value
from roll_ups
