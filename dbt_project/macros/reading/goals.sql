{# What a goal's state was at as_of_at, said once for the features and for what a packet shows of it. #}

{# What was achieved after as_of_at was under way then; a goal past its date and not achieved is overdue, also where it is marked missed. #}
{% macro goal_states(known_goals) -%}
    select
        states.*,
        coalesce(
            not states.is_achieved and states.due_date < cast(states.as_of_at as date) and states.status_then <> 'cancelled', false
        ) as is_overdue
    from (
        select
            dated.*,
            dated.achieved_then_at is not null or (dated.achieved_at is null and coalesce(dated.status, '') = 'achieved') as is_achieved,
            case
                when dated.status = 'achieved' and dated.achieved_at is not null and dated.achieved_then_at is null then 'on_track'
                else dated.status
            end as status_then
        from (
            select
                {{ known_goals }}.*,
                {{ lifecycle_time(known_goals, 'achieved_at', 'cs', 'as_of_at', 'known_at') }} as achieved_then_at
            from {{ known_goals }}
            where start_date is null or start_date < cast(as_of_at as date)
        ) as dated
    ) as states
{%- endmacro %}
