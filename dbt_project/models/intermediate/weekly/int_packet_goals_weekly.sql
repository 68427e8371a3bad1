{{ config(materialized='view') }}
with known_goals as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_cs_goal_versions')) }}

),

goals as (

    {{ goal_states('known_goals') }}

)

select
    account_id,
    week,
    source_kind,
    source_system,
    source_instance,
    goal_id,
    load_id,
    name,
    unit,
    status_then as status,
    is_achieved,
    is_overdue,
    baseline_value,
    target_value,
    current_value,
    due_date,
    case when last_validated_at < as_of_at then last_validated_at end as last_validated_at
from goals
where coalesce(status_then, '') <> 'cancelled'
