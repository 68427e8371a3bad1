with landed_events as (

    select
        weeks.week,
        weeks.as_of_at,
        events.*
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ ref('int_review_event') }} as events
        on events.occurred_at < weeks.as_of_at and events.available_at <= weeks.known_at

),

lost_events as (

    -- what a restored ledger lacks, and an admin has given up: `lost-` and the event's id
    select
        week,
        source_system,
        source_instance,
        substring(event_id, 6) as event_id
    from landed_events
    where event_type = 'event_lost'

),

known_events as (

    select landed.*
    from landed_events as landed
    left join lost_events as lost
        on
            landed.week = lost.week
            and landed.source_system = lost.source_system
            and landed.source_instance = lost.source_instance
            and landed.event_id = lost.event_id
    where landed.event_type <> 'event_lost' and lost.event_id is null

),

ranked as (

    -- the ledger's own order: its number, which its lock gives out one by one
    select
        *,
        row_number() over (
            partition by week, source_system, source_instance, case_id
            order by seq desc nulls last, event_id desc nulls last
        ) as age_rank
    from known_events

),

histories as (

    select
        week,
        source_system,
        source_instance,
        case_id,
        min(case when event_type = 'risk_detected' then occurred_at end) as detected_at,
        min(case when event_type in ('approved', 'rejected', 'dismissed') then occurred_at end) as first_decided_at,
        max(case when event_type in ('closed', 'dismissed', 'superseded') then occurred_at end) as last_ended_at,
        max(case when event_type = 'reopened' then occurred_at end) as last_reopened_at,
        max(case when event_type = 'approved' then seq end) as approved_seq,
        {{ any_true("measured_as = 'action_taken'") }} as has_action,
        {{ count_where("measured_as = 'action_taken'") }} as actions_taken,
        {{ count_where("measured_as = 'response_recorded'") }} as responses_recorded,
        {{ any_true("event_type = 'outcome_recorded' and outcome = 'unresolved' and has_reason") }} as has_unresolved_reason
    from known_events
    group by week, source_system, source_instance, case_id

)

select
    newest.week,
    newest.source_system,
    newest.source_instance,
    newest.case_id,
    newest.source_account_id as account_id,
    newest.seq,
    newest.case_version,
    newest.side,
    newest.state,
    newest.state in ('closed', 'dismissed', 'superseded') as is_ended,
    -- a person's: no path of the pipeline confirms or refutes anything
    case
        when newest.outcome = 'false_positive' then 'refuted'
        when
            newest.confirmed_severity is not null
            or newest.confirmed_causes is not null
            or approvals.seq is not null then 'confirmed'
        else 'unconfirmed'
    end as risk_status,
    newest.suggested_severity,
    newest.confirmed_severity,
    newest.confirmed_causes,
    newest.settled_assumptions,
    newest.escalation,
    -- what ended keeps what was approved of it
    coalesce(newest.decision, approvals.decision) as decision,
    coalesce(newest.approved_at, approvals.approved_at) as approved_at,
    newest.assigned_owner_email,
    newest.follow_up_date,
    coalesce(newest.residual_target, approvals.residual_target) as residual_target,
    newest.residual_actual,
    newest.outcome,
    newest.dismissal_reason,
    histories.detected_at,
    histories.first_decided_at,
    case when newest.state in ('closed', 'dismissed', 'superseded') then histories.last_ended_at end as ended_at,
    histories.last_reopened_at,
    histories.has_action,
    histories.actions_taken,
    histories.responses_recorded,
    histories.has_unresolved_reason
from ranked as newest
inner join histories
    on
        newest.week = histories.week
        and newest.source_system = histories.source_system
        and newest.source_instance = histories.source_instance
        and newest.case_id = histories.case_id
left join known_events as approvals
    on
        newest.week = approvals.week
        and newest.source_system = approvals.source_system
        and newest.source_instance = approvals.source_instance
        and newest.case_id = approvals.case_id
        and histories.approved_seq = approvals.seq
where newest.age_rank = 1
