{%- set spine = ref('int_account_week_spine') -%}
{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_tickets as (

    {{ known_records(weeks, links, ref('int_support_ticket_versions')) }}

),

tickets as (

    {{ ticket_states('known_tickets') }}

),

priorities as (

    select
        source_kind,
        source_system,
        source_instance,
        ticket_id,
        lower(priority) as first_priority,
        valid_from,
        row_number() over (
            partition by source_kind, source_system, source_instance, ticket_id order by valid_from nulls last
        ) as version_number
    from {{ ref('int_support_ticket_versions') }}
    where not is_partial and priority is not null

),

judged as (

    select
        tickets.*,
        priorities.first_priority
    from tickets
    left join priorities
        on
            tickets.source_kind = priorities.source_kind
            and tickets.source_system = priorities.source_system
            and tickets.source_instance = priorities.source_instance
            and tickets.ticket_id = priorities.ticket_id
            and priorities.version_number = 1
            and priorities.valid_from <= tickets.known_at

),

measured as (

    select
        week,
        account_id,
        {{ count_where(in_window('created_at', 'as_of_at', 28)) }} as tickets_opened_28d,
        {{ count_where(in_window('created_at', 'as_of_at', 91)) }} as tickets_opened_91d,
        {{ count_where('is_open') }} as open_backlog,
        max(case when is_open then {{ elapsed_days('created_at', 'as_of_at') }} end) as oldest_open_ticket_days,
        {{ count_where('is_open and replied_at is null') }} as unreplied_open_tickets,
        {{ median(
            'case when ' ~ in_window('created_at', 'as_of_at', 91) ~ ' then '
            ~ elapsed_minutes('created_at', 'replied_at') ~ ' end'
        ) }} as first_reply_minutes_median_91d,
        {{ median(
            'case when ' ~ in_window('resolved_at', 'as_of_at', 91) ~ ' then '
            ~ elapsed_minutes('created_at', 'resolved_at') ~ ' end'
        ) }} as full_resolution_minutes_median_91d,
        {{ count_where(in_window('created_at', 'as_of_at', 91) ~ ' and first_priority is not null') }} as prioritised_91d,
        {{ count_where(in_window('created_at', 'as_of_at', 91) ~ " and first_priority in ('urgent', 'high')") }} as urgent_high_91d,
        {{ later_of('max(created_at)', later_of('max(replied_at)', 'max(resolved_at)')) }} as newest_fact_at
    from judged
    group by week, account_id

),

own_answers as (

    {{ known_events(weeks, links, ref('int_survey_response'), 'responded_at', 91) }}

),

-- An answer that names only its ticket counts for the account the ticket was known to be of then.
ticket_answers as (

    select
        tickets.week,
        tickets.account_id,
        answers.survey_type,
        answers.score,
        answers.scale_min,
        answers.scale_max,
        answers.responded_at
    from known_tickets as tickets
    inner join {{ ref('int_survey_response') }} as answers
        on
            tickets.source_system = answers.source_system
            and tickets.source_instance = answers.source_instance
            and tickets.ticket_id = answers.ticket_id
    where
        answers.source_account_id is null
        and not answers.is_deleted
        and answers.available_at <= tickets.known_at
        and {{ in_window('answers.responded_at', 'tickets.as_of_at', 91) }}

),

answers as (

    select
        week,
        account_id,
        survey_type,
        score,
        scale_min,
        scale_max,
        responded_at
    from own_answers
    union all
    select
        week,
        account_id,
        survey_type,
        score,
        scale_min,
        scale_max,
        responded_at
    from ticket_answers

),

placed as (

    select
        week,
        account_id,
        responded_at,
        case when scale_max > scale_min then 1.0 * (score - scale_min) / (scale_max - scale_min) end as place
    from answers
    where survey_type = 'csat'

),

satisfaction as (

    -- the middle of the scale is neither good nor bad
    select
        week,
        account_id,
        {{ count_where('place >= 0.7') }} as good_91d,
        {{ count_where('place < 0.5') }} as bad_91d,
        max(responded_at) as newest_fact_at
    from placed
    group by week, account_id

),

joined as (

    select
        spine.*,
        measured.tickets_opened_28d,
        measured.tickets_opened_91d,
        measured.open_backlog,
        measured.oldest_open_ticket_days,
        measured.unreplied_open_tickets,
        measured.first_reply_minutes_median_91d,
        measured.full_resolution_minutes_median_91d,
        case
            when measured.prioritised_91d > 0 then cast(1.0 * measured.urgent_high_91d / measured.prioritised_91d as double)
        end as urgent_high_share_91d,
        case
            when satisfaction.good_91d + satisfaction.bad_91d > 0
                then cast(1.0 * satisfaction.good_91d / (satisfaction.good_91d + satisfaction.bad_91d) as double)
        end as csat_91d,
        {{ later_of('measured.newest_fact_at', 'satisfaction.newest_fact_at') }} as newest_fact_at
    from {{ spine }} as spine
    left join measured on spine.week = measured.week and spine.account_id = measured.account_id
    left join satisfaction on spine.week = satisfaction.week and spine.account_id = satisfaction.account_id

)

select
    account_id,
    week,
    case when is_support_ticket_connected then coalesce(tickets_opened_28d, 0) end as tickets_opened_28d,
    case when is_support_ticket_connected then coalesce(tickets_opened_91d, 0) end as tickets_opened_91d,
    case when is_support_ticket_connected then coalesce(open_backlog, 0) end as open_backlog,
    oldest_open_ticket_days,
    case when is_support_ticket_connected then coalesce(unreplied_open_tickets, 0) end as unreplied_open_tickets,
    cast(first_reply_minutes_median_91d as double) as first_reply_minutes_median_91d,
    cast(full_resolution_minutes_median_91d as double) as full_resolution_minutes_median_91d,
    urgent_high_share_91d,
    csat_91d,
    {{ domain_status('support', 'joined', 'joined.newest_fact_at', 'false') }} as support_status,
    {{ elapsed_days('newest_fact_at', 'as_of_at') }} as support_newest_fact_age_days
from joined
