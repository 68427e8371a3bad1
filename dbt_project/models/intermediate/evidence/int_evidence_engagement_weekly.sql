{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_notes as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at') }}

),

notes as (

    select
        *,
        lower(activity_type) in ('pulse', 'sentiment', 'csm_pulse') as is_pulse,
        coalesce(direction, 'unknown') = 'two_way' as is_two_way,
        {{ json_number('custom', 'csm_sentiment') }} as csm_sentiment
    from known_notes

),

ranked as (

    select
        *,
        {{ elapsed_days('occurred_at', 'as_of_at') }} as age_days,
        row_number() over (
            partition by week, account_id, is_two_way and not is_pulse
            order by occurred_at desc nulls last, note_id asc nulls last
        ) as recency,
        row_number() over (
            partition by week, account_id, coalesce(csm_sentiment between 1 and 5, false)
            order by occurred_at desc nulls last, note_id desc nulls last
        ) as pulse_recency
    from notes

),

sets as (

    {%- set sets = {
        'two_way_touches': ('is_two_way and not is_pulse and recency <= 3', 'age_days'),
        'pulses': ('csm_sentiment between 1 and 5 and pulse_recency = 1', 'csm_sentiment'),
    } %}
    {% for name, (condition, value) in sets.items() -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        'cs_note' as source_table,
        note_id as source_record_id,
        load_id,
        occurred_at as observed_at,
        available_at,
        '{{ name }}' as record_set,
        cast({{ value }} as double) as value
    from ranked
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from sets
