with placed as (

    -- an event that was landed late counts in the week in which it became known, and in no other
    select
        *,
        {{ first_week_counted('occurred_at', 'available_at') }} as counted_week
    from {{ ref('int_review_event') }}
    where event_type <> 'event_lost'

)

select
    weeks.week,
    placed.source_system,
    placed.source_instance,
    placed.event_id,
    placed.seq,
    placed.case_id,
    placed.source_account_id as account_id,
    placed.side,
    placed.event_type,
    placed.measured_as,
    placed.is_by_person,
    placed.occurred_at,
    placed.response,
    placed.has_reason,
    placed.outcome
from {{ ref('int_week_spine') }} as weeks
inner join placed on weeks.week = placed.counted_week
