{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_goals as (

    {{ known_records(weeks, links, ref('int_cs_goal_versions')) }}

),

dated_goals as (

    select
        *,
        {{ lifecycle_time('known_goals', 'achieved_at', 'cs', 'as_of_at', 'known_at') }} as achieved_then_at,
        case when last_validated_at < as_of_at then last_validated_at end as validated_then_at,
        case when source_updated_at < as_of_at then source_updated_at end as stated_then_at
    from known_goals
    where start_date is null or start_date < cast(as_of_at as date)

),

goals as (

    select
        *,
        achieved_then_at is not null or (achieved_at is null and coalesce(status, '') = 'achieved') as is_achieved
    from dated_goals

),

goal_sets as (

    {%- set sets = {
        'overdue_goals': (
            "not is_achieved and due_date < cast(as_of_at as date) and status <> 'cancelled'",
            'cast(due_date as timestamp)', elapsed_days('cast(due_date as timestamp)', 'as_of_at')
        ),
        'goals_off_track': (
            "not is_achieved and status in ('at_risk', 'missed')", 'coalesce(stated_then_at, cast(start_date as timestamp))', 'null'
        ),
        'goals_on_track': (
            "is_achieved or status = 'on_track'",
            'coalesce(achieved_then_at, stated_then_at, validated_then_at, cast(start_date as timestamp))', 'null'
        ),
        'validated_goals': (
            'validated_then_at is not null', 'validated_then_at', elapsed_days('validated_then_at', 'as_of_at')
        ),
    } %}
    {% for name, (condition, observed_at, value) in sets.items() -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        'cs_goal' as source_table,
        goal_id as source_record_id,
        load_id,
        {{ observed_at }} as observed_at,
        valid_from as available_at,
        '{{ name }}' as record_set,
        cast({{ value }} as double) as value
    from goals
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from goal_sets
