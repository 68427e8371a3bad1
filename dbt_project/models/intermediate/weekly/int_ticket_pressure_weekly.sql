{%- set spine = ref('int_account_week_spine') -%}
with known_tickets as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_support_ticket_versions')) }}

),

tickets as (

    {{ ticket_states('known_tickets') }}

),

counted as (

    select
        week,
        account_id,
        max(
            case
                when is_open and lower(priority) in ('urgent', 'high') then {{ elapsed_days('created_at', 'as_of_at') }}
            end
        ) as oldest_open_high_priority_ticket_days,
        {{ count_where(in_window('created_at', 'as_of_at', 28)) }} as tickets_28d,
        {{ count_where(in_window('created_at', 'as_of_at', 112)) }} - {{ count_where(in_window('created_at', 'as_of_at', 28)) }}
            as tickets_84d_before,
        {{ count_where(
            "lower(type) in ('bug', 'incident', 'problem', 'defect') and " ~ in_window('created_at', 'as_of_at', 28)
        ) }} as defect_tickets_28d,
        {{ count_where('is_open and is_escalated') }} as escalated_open_tickets,
        max(created_at) as last_created_at
    from tickets
    group by week, account_id

)

select
    spine.account_id,
    spine.week,
    case
        when spine.is_support_ticket_connected then coalesce(counted.oldest_open_high_priority_ticket_days, 0)
    end as oldest_open_high_priority_ticket_days,
    case
        when spine.is_support_ticket_connected then cast(coalesce(counted.tickets_84d_before, 0) / 3.0 as double)
    end as ticket_baseline_28d,
    case
        when spine.is_support_ticket_connected and counted.tickets_84d_before > 0
            then cast(3.0 * counted.tickets_28d / counted.tickets_84d_before as double)
    end as ticket_volume_ratio_28d,
    case when spine.is_support_ticket_connected then coalesce(counted.defect_tickets_28d, 0) end as defect_tickets_28d,
    case when spine.is_support_ticket_connected then coalesce(counted.escalated_open_tickets, 0) end as escalated_open_tickets,
    counted.last_created_at
from {{ spine }} as spine
left join counted on spine.week = counted.week and spine.account_id = counted.account_id
