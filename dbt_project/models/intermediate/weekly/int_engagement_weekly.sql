{%- set spine = ref('int_account_week_spine') -%}
{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_notes as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at') }}

),

notes as (

    select
        *,
        lower(activity_type) in (
            'meeting', 'call', 'video_call', 'business_review', 'qbr', 'ebr', 'onsite', 'workshop', 'training'
        ) as is_meeting,
        coalesce(direction, 'unknown') = 'two_way' as is_two_way
    from known_notes
    where not {{ is_pulse('activity_type') }}

),

touches as (

    select
        week,
        account_id,
        max(case when is_two_way then occurred_at end) as last_two_way_at,
        {{ count_where('is_meeting and ' ~ in_window('occurred_at', 'as_of_at', 91)) }} as meetings_91d,
        max(occurred_at) as newest_fact_at
    from notes
    group by week, account_id

),

contacts_met as (

    select distinct
        notes.week,
        notes.account_id,
        attendees.attendee_email
    from notes
    inner join {{ ref('int_cs_note_attendees') }} as attendees
        on
            notes.source_kind = attendees.source_kind
            and notes.source_system = attendees.source_system
            and notes.source_instance = attendees.source_instance
            and notes.note_id = attendees.note_id
    where
        notes.is_two_way
        and not attendees.is_internal
        and {{ in_window('notes.occurred_at', 'notes.as_of_at', 91) }}

),

contacts_counted as (

    select
        week,
        account_id,
        cast(count(*) as bigint) as engaged_contacts_91d
    from contacts_met
    group by week, account_id

),

joined as (

    select
        spine.*,
        touches.last_two_way_at,
        coalesce(touches.meetings_91d, 0) as meetings_91d,
        coalesce(contacts_counted.engaged_contacts_91d, 0) as engaged_contacts_91d,
        touches.newest_fact_at
    from {{ spine }} as spine
    left join touches on spine.week = touches.week and spine.account_id = touches.account_id
    left join contacts_counted
        on spine.week = contacts_counted.week and spine.account_id = contacts_counted.account_id

)

select
    account_id,
    week,
    {{ elapsed_days('last_two_way_at', 'as_of_at') }} as days_since_last_two_way_touch,
    case when is_cs_note_connected then meetings_91d end as meetings_91d,
    case when is_cs_note_connected then engaged_contacts_91d end as engaged_contacts_91d,
    {{ domain_status('engagement', 'joined', 'joined.newest_fact_at', 'false') }} as engagement_status,
    {{ elapsed_days('newest_fact_at', 'as_of_at') }} as engagement_newest_fact_age_days
from joined
