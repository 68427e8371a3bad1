{%- set spine = ref('int_account_week_spine') -%}
with known_projects as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_pm_project_versions')) }}

),

projects as (

    select
        *,
        {{ lifecycle_time('known_projects', 'completed_at', 'projects', 'as_of_at', 'known_at') }} as completed_then_at,
        lower(coalesce(status, '')) in ('completed', 'cancelled', 'canceled', 'closed', 'done') as is_over_by_status
    from known_projects
    where source_created_at is null or source_created_at < as_of_at

),

project_states as (

    select
        *,
        completed_then_at is null and not (completed_at is null and is_over_by_status) as is_open
    from projects

),

milestones as (

    select
        projects.week,
        projects.as_of_at,
        projects.known_at,
        projects.account_id,
        milestones.baseline_due_date,
        milestones.due_date,
        milestones.completed_at,
        milestones.is_available_at_imputed
    from project_states as projects
    inner join {{ ref('int_pm_milestone_versions') }} as milestones
        on
            projects.source_kind = milestones.source_kind
            and projects.source_system = milestones.source_system
            and projects.source_instance = milestones.source_instance
            and projects.project_id = milestones.project_id
            and {{ valid_at('milestones', 'projects.known_at') }}
    where projects.is_open and not milestones.is_deleted

),

open_milestones as (

    select
        *,
        -- past its day and not there: it has slipped to today at least
        case when due_date < cast(as_of_at as date) then cast(as_of_at as date) else due_date end as expected_date
    from milestones
    where
        baseline_due_date is not null
        and {{ lifecycle_time('milestones', 'completed_at', 'projects', 'as_of_at', 'known_at') }} is null

),

slips as (

    select
        week,
        account_id,
        max(
            case
                when expected_date > baseline_due_date then {{ days_between_dates('baseline_due_date', 'expected_date') }}
                else 0
            end
        ) as max_milestone_slip_days
    from open_milestones
    group by week, account_id

),

states as (

    select
        week,
        account_id,
        {{ count_where('is_open') }} as open_projects,
        {{ count_where("is_open and rag in ('amber', 'red')") }} as off_track_projects,
        {{ count_where("lower(name) like '%migrat%' and (is_open or completed_then_at >= " ~ plus_days('as_of_at', -56) ~ ')') }}
            as migration_projects,
        {{ any_true('is_open and rag is null') }} as is_any_state_unknown
    from project_states
    group by week, account_id

)

select
    spine.account_id,
    spine.week,
    cast(slips.max_milestone_slip_days as bigint) as max_milestone_slip_days,
    case
        when states.off_track_projects > 0 or not states.is_any_state_unknown then states.off_track_projects
    end as off_track_projects,
    states.migration_projects
from {{ spine }} as spine
left join slips on spine.week = slips.week and spine.account_id = slips.account_id
left join states on spine.week = states.week and spine.account_id = states.account_id
