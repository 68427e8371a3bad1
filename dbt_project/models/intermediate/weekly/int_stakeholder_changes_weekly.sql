{%- set spine = ref('int_account_week_spine') -%}
with sponsors as (

    select
        people.week,
        people.account_id,
        people.is_there,
        people.meetings_missed,
        people.last_two_way_at,
        weeks.as_of_at,
        people.left_on >= {{ plus_days_as_date('weeks.as_of_at', -90) }} as has_left_90d
    from {{ ref('int_packet_stakeholders_weekly') }} as people
    inner join {{ ref('int_week_spine') }} as weeks on people.week = weeks.week
    where people.role in ('champion', 'decision_maker', 'economic_buyer')

),

counted as (

    select
        week,
        account_id,
        {{ any_true('has_left_90d') }} as sponsor_left_90d,
        max(case when is_there then meetings_missed end) as sponsor_meetings_missed_91d,
        max(case when is_there then last_two_way_at end) as last_sponsor_touch_at,
        min(as_of_at) as as_of_at
    from sponsors
    group by week, account_id

)

select
    spine.account_id,
    spine.week,
    case when spine.is_crm_contact_connected then coalesce(counted.sponsor_left_90d, false) end as sponsor_left_90d,
    -- nobody is known as sponsor: who should have come is not known
    case
        when spine.is_crm_contact_connected and spine.is_cs_note_connected then cast(counted.sponsor_meetings_missed_91d as bigint)
    end as sponsor_meetings_missed_91d,
    {{ elapsed_days('counted.last_sponsor_touch_at', 'counted.as_of_at') }} as days_since_last_sponsor_touch
from {{ spine }} as spine
left join counted on spine.week = counted.week and spine.account_id = counted.account_id
