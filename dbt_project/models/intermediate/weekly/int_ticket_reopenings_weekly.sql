{%- set key = 'source_kind, source_system, source_instance, ticket_id' -%}
with states as (

    select
        *,
        solved_at is not null or closed_at is not null or coalesce(status, 'open') in ('solved', 'closed') as is_resolved,
        coalesce(solved_at, closed_at, case when status in ('solved', 'closed') then source_updated_at end) as resolved_at
    from {{ ref('int_support_ticket_versions') }}
    where not is_deleted

),

versions as (

    select
        *,
        not is_resolved
        and lag(is_resolved) over (partition by {{ key }} order by valid_from nulls last) as is_reopening,
        min(case when is_available_at_imputed then 0 else 1 end) over (partition by {{ key }}) = 1 as is_followed
    from states

),

known_tickets as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), 'versions') }}

),

-- What was seen of a ticket up to then: its last resolution, and whether one was taken back.
seen as (

    select
        tickets.week,
        tickets.account_id,
        tickets.as_of_at,
        tickets.created_at,
        tickets.reopen_count,
        tickets.is_followed,
        max({{ lifecycle_time('versions', 'resolved_at', 'support', 'tickets.as_of_at', 'tickets.known_at') }}) as last_resolved_at,
        {{ any_true(
            'versions.is_reopening and (versions.source_updated_at is null or versions.source_updated_at < tickets.as_of_at)'
        ) }} as is_seen_reopened
    from known_tickets as tickets
    inner join versions
        on
            tickets.source_kind = versions.source_kind
            and tickets.source_system = versions.source_system
            and tickets.source_instance = versions.source_instance
            and tickets.ticket_id = versions.ticket_id
            and versions.valid_from <= tickets.known_at
    where tickets.created_at < tickets.as_of_at
    group by
        tickets.week, tickets.account_id, tickets.as_of_at, tickets.created_at, tickets.reopen_count, tickets.is_followed,
        tickets.source_kind, tickets.source_system, tickets.source_instance, tickets.ticket_id

),

judged as (

    select
        week,
        account_id,
        as_of_at,
        -- who was reopened was resolved before, if nobody knows when: after it was made
        coalesce(last_resolved_at, case when reopen_count > 0 then created_at end) as resolved_at,
        is_seen_reopened or coalesce(reopen_count, 0) > 0 as is_reopened,
        is_seen_reopened or is_followed or reopen_count is not null as is_known
    from seen

),

counted as (

    select
        week,
        account_id,
        {{ count_where('is_known and ' ~ in_window('resolved_at', 'as_of_at', 91)) }} as resolved_91d,
        {{ count_where('is_reopened and ' ~ in_window('resolved_at', 'as_of_at', 91)) }} as reopened_91d
    from judged
    group by week, account_id

)

select
    spine.account_id,
    spine.week,
    case
        when counted.resolved_91d > 0 then cast(1.0 * counted.reopened_91d / counted.resolved_91d as double)
    end as reopen_rate_91d
from {{ ref('int_account_week_spine') }} as spine
left join counted on spine.week = counted.week and spine.account_id = counted.account_id
