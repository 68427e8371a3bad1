{%- set spine = ref('int_account_week_spine') -%}
{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_goals as (

    {{ known_records(weeks, links, ref('int_cs_goal_versions')) }}

),

goals as (

    {{ goal_states('known_goals') }}

),

goals_counted as (

    select
        week,
        account_id,
        {{ count_where("is_achieved or status_then in ('not_started', 'on_track', 'at_risk', 'missed')") }} as goals,
        {{ count_where("is_achieved or status_then = 'on_track'") }} as goals_on_track,
        {{ count_where('is_overdue') }} as overdue_goals,
        -- of a goal whose attributes count only later neither the status nor the due date is known
        {{ any_true('is_partial and not is_achieved') }} as is_any_goal_unknown,
        max(case when last_validated_at < as_of_at then last_validated_at end) as last_validated_at,
        {{ later_of(
            'max(case when last_validated_at < as_of_at then last_validated_at end)',
            later_of('max(achieved_then_at)', 'max(case when source_updated_at < as_of_at then source_updated_at end)')
        ) }} as newest_update_at,
        max(cast(start_date as timestamp)) as newest_start_at
    from goals
    group by week, account_id

),

projects as (

    {{ known_records(weeks, links, ref('int_pm_project_versions')) }}

),

milestones as (

    select
        projects.week,
        projects.as_of_at,
        projects.known_at,
        projects.account_id,
        milestones.due_date,
        milestones.completed_at,
        milestones.is_go_live,
        milestones.is_available_at_imputed,
        milestones.source_updated_at
    from projects
    inner join {{ ref('int_pm_milestone_versions') }} as milestones
        on
            projects.source_kind = milestones.source_kind
            and projects.source_system = milestones.source_system
            and projects.source_instance = milestones.source_instance
            and projects.project_id = milestones.project_id
            and {{ valid_at('milestones', 'projects.known_at') }}
    where not milestones.is_deleted

),

dated_milestones as (

    select
        *,
        {{ lifecycle_time('milestones', 'completed_at', 'projects', 'as_of_at', 'known_at') }} as completed_then_at
    from milestones

),

milestones_counted as (

    select
        week,
        account_id,
        {{ count_where('due_date < cast(as_of_at as date)') }} as milestones_due,
        {{ count_where('due_date < cast(as_of_at as date) and completed_then_at is null') }} as milestones_overdue,
        {{ count_where('is_go_live') }} as go_lives,
        {{ count_where('is_go_live and completed_then_at is not null') }} as go_lives_completed,
        {{ later_of(
            'max(completed_then_at)', 'max(case when source_updated_at < as_of_at then source_updated_at end)'
        ) }} as newest_fact_at
    from dated_milestones
    group by week, account_id

),

joined as (

    select
        spine.*,
        coalesce(goals_counted.goals, 0) as goals,
        goals_counted.goals_on_track,
        coalesce(goals_counted.overdue_goals, 0) as overdue_goals,
        coalesce(goals_counted.is_any_goal_unknown, false) as is_any_goal_unknown,
        goals_counted.last_validated_at,
        coalesce(milestones_counted.milestones_due, 0) as milestones_due,
        milestones_counted.milestones_overdue,
        coalesce(milestones_counted.go_lives, 0) as go_lives,
        milestones_counted.go_lives_completed,
        {{ later_of(
            later_of('goals_counted.newest_update_at', 'goals_counted.newest_start_at'),
            'milestones_counted.newest_fact_at'
        ) }} as newest_fact_at
    from {{ spine }} as spine
    left join goals_counted on spine.week = goals_counted.week and spine.account_id = goals_counted.account_id
    left join milestones_counted
        on spine.week = milestones_counted.week and spine.account_id = milestones_counted.account_id

)

select
    account_id,
    week,
    case when goals > 0 and not is_any_goal_unknown then cast(1.0 * goals_on_track / goals as double) end as goals_on_track_share,
    case when is_cs_goal_connected and not is_any_goal_unknown then overdue_goals end as overdue_goals,
    {{ elapsed_days('last_validated_at', 'as_of_at') }} as days_since_goal_validated,
    case when milestones_due > 0 then cast(1.0 * milestones_overdue / milestones_due as double) end as milestones_overdue_share,
    case when go_lives > 0 then go_lives_completed > 0 end as onboarding_complete,
    {{ domain_status('outcomes', 'joined', 'joined.newest_fact_at') }} as outcomes_status,
    {{ elapsed_days('newest_fact_at', 'as_of_at') }} as outcomes_newest_fact_age_days
from joined
