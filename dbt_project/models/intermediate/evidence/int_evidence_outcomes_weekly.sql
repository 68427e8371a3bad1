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

),

known_projects as (

    {{ known_records(weeks, links, ref('int_pm_project_versions')) }}

),

projects as (

    select
        *,
        {{ lifecycle_time('known_projects', 'completed_at', 'projects', 'as_of_at', 'known_at') }} as completed_then_at,
        coalesce(
            case when source_updated_at < as_of_at then source_updated_at end, source_created_at, cast(start_date as timestamp)
        ) as stated_then_at,
        lower(coalesce(status, '')) in ('completed', 'cancelled', 'canceled', 'closed', 'done') as is_over_by_status
    from known_projects

),

project_states as (

    select
        *,
        completed_then_at is null and not (completed_at is null and is_over_by_status) as is_open
    from projects

),

milestones as (

    select
        projects.account_id,
        projects.week,
        projects.as_of_at,
        milestones.source_kind,
        milestones.source_system,
        milestones.source_instance,
        milestones.milestone_id,
        milestones.load_id,
        milestones.valid_from,
        milestones.baseline_due_date,
        milestones.is_go_live,
        case when milestones.source_updated_at < projects.as_of_at then milestones.source_updated_at end as updated_then_at,
        -- past its day and not there: it has slipped to as_of_at at least
        case
            when milestones.due_date < cast(projects.as_of_at as date) then cast(projects.as_of_at as date)
            else milestones.due_date
        end as expected_date,
        cast(milestones.due_date as timestamp) as due_at,
        {{ lifecycle_time('milestones', 'completed_at', 'projects', 'projects.as_of_at', 'projects.known_at') }} as completed_then_at,
        projects.is_open as is_project_open
    from project_states as projects
    inner join {{ ref('int_pm_milestone_versions') }} as milestones
        on
            projects.source_kind = milestones.source_kind
            and projects.source_system = milestones.source_system
            and projects.source_instance = milestones.source_instance
            and projects.project_id = milestones.project_id
            and {{ valid_at('milestones', 'projects.known_at') }}
    where not milestones.is_deleted

),

project_sets as (

    -- a slip is seen when the date was moved, or when it passed
    {%- set sets = {
        'off_track_projects': (
            'project_states', 'pm_project', 'project_id', "is_open and rag in ('amber', 'red')", 'stated_then_at', 'null'
        ),
        'green_projects': ('project_states', 'pm_project', 'project_id', "is_open and rag = 'green'", 'stated_then_at', 'null'),
        'migration_projects': (
            'project_states', 'pm_project', 'project_id',
            "lower(name) like '%migrat%' and (is_open or completed_then_at >= " ~ plus_days('as_of_at', -56) ~ ')',
            'stated_then_at', 'null'
        ),
        'slipped_milestones': (
            'milestones', 'pm_milestone', 'milestone_id',
            'is_project_open and completed_then_at is null and expected_date > baseline_due_date',
            'coalesce(updated_then_at, due_at)', days_between_dates('baseline_due_date', 'expected_date')
        ),
        'open_go_lives': (
            'milestones', 'pm_milestone', 'milestone_id', 'is_go_live and completed_then_at is null',
            'coalesce(updated_then_at, due_at)', 'null'
        ),
        'completed_milestones': (
            'milestones', 'pm_milestone', 'milestone_id', in_window('completed_then_at', 'as_of_at', 91), 'completed_then_at', 'null'
        ),
    } %}
    {% for name, (relation, table, key, condition, observed_at, value) in sets.items() -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        '{{ table }}' as source_table,
        {{ key }} as source_record_id,
        load_id,
        {{ observed_at }} as observed_at,
        valid_from as available_at,
        '{{ name }}' as record_set,
        cast({{ value }} as double) as value
    from {{ relation }}
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from goal_sets
union all
select * from project_sets
