{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_tickets as (

    {{ known_records(weeks, links, ref('int_support_ticket_versions')) }}

),

tickets as (

    {{ ticket_states('known_tickets') }}

),

aged as (

    select
        *,
        {{ elapsed_days('created_at', 'as_of_at') }} as age_days,
        lower(coalesce(priority, '')) in ('urgent', 'high') as is_high_priority,
        lower(coalesce(type, '')) in ('bug', 'incident', 'problem', 'defect') as is_defect
    from tickets

),

ranked as (

    select
        *,
        row_number() over (
            partition by week, account_id order by created_at desc nulls last, ticket_id asc nulls last
        ) as recency
    from aged

),

sets as (

    {%- set sets = {
        'open_tickets': ('is_open', 'age_days'),
        'open_high_priority_tickets': ('is_open and is_high_priority', 'age_days'),
        'open_escalated_tickets': ('is_open and is_escalated', 'age_days'),
        'recent_tickets': (in_window('created_at', 'as_of_at', 28), 'null'),
        'recent_defect_tickets': ('is_defect and ' ~ in_window('created_at', 'as_of_at', 28), 'null'),
        'reopened_tickets': ('reopen_count > 0 and ' ~ in_window('created_at', 'as_of_at', 91), 'reopen_count'),
        'newest_ticket': ('recency = 1', 'age_days'),
    } %}
    {% for name, (condition, value) in sets.items() -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        'support_ticket' as source_table,
        ticket_id as source_record_id,
        load_id,
        created_at as observed_at,
        valid_from as available_at,
        '{{ name }}' as record_set,
        cast({{ value }} as double) as value
    from ranked
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from sets
