{%- set spine = ref('int_account_week_spine') -%}
-- Channels: use of the product, tickets, two-way touches. A channel that is not connected is not silent.
with channels as (

    select
        spine.account_id,
        spine.week,
        {%- set bound = plus_days('spine.as_of_at', -60) %}
        case when spine.knows_usage and {{ is_applicable('usage') }} then 1 else 0 end as has_use,
        case
            when spine.knows_usage and {{ is_applicable('usage') }} and coalesce(usage.days_since_last_activity, 60) >= 60 then 1
            else 0
        end as is_use_silent,
        case when spine.is_support_ticket_connected then 1 else 0 end as has_tickets,
        case
            when spine.is_support_ticket_connected and (tickets.last_created_at is null or tickets.last_created_at < {{ bound }}) then 1
            else 0
        end as are_tickets_silent,
        case when spine.is_cs_note_connected then 1 else 0 end as has_touches,
        case
            when spine.is_cs_note_connected and coalesce(engagement.days_since_last_two_way_touch, 60) >= 60 then 1
            else 0
        end as are_touches_silent
    from {{ spine }} as spine
    inner join {{ ref('int_usage_weekly') }} as usage
        on spine.week = usage.week and spine.account_id = usage.account_id
    inner join {{ ref('int_ticket_pressure_weekly') }} as tickets
        on spine.week = tickets.week and spine.account_id = tickets.account_id
    inner join {{ ref('int_engagement_weekly') }} as engagement
        on spine.week = engagement.week and spine.account_id = engagement.account_id

)

select
    account_id,
    week,
    case
        when has_use + has_tickets + has_touches >= 2
            then cast(is_use_silent + are_tickets_silent + are_touches_silent as bigint)
    end as silent_channels_60d
from channels
