{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
{%- set record_columns = [
    'week', 'account_id', 'source_kind', 'source_system', 'source_instance', 'note_id', 'load_id', 'occurred_at', 'available_at',
] -%}
{%- set record = record_columns | join(', ') -%}
-- Notes are read once for each thing they show: of all notes of all time few are pulses, half are touches, and meetings are of a quarter.
with notes_of_touches as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at') }}

),

touches as (

    select
        {{ record }},
        {{ elapsed_days('occurred_at', 'as_of_at') }} as age_days,
        row_number() over (
            partition by week, account_id
            order by occurred_at desc nulls last, note_id asc nulls last
        ) as recency
    from notes_of_touches
    where direction = 'two_way' and not {{ is_pulse('activity_type') }}

),

notes_of_pulses as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at') }}

),

rated as (

    select
        {{ record }},
        {{ json_number('custom', 'csm_sentiment') }} as csm_sentiment
    from notes_of_pulses
    where custom is not null

),

pulses as (

    select
        *,
        row_number() over (
            partition by week, account_id
            order by occurred_at desc nulls last, note_id desc nulls last
        ) as recency
    from rated
    where csm_sentiment between 1 and 5

),

sponsors as (

    select
        people.week,
        people.account_id,
        lower(trim(versions.email)) as contact_email
    from {{ ref('int_packet_stakeholders_weekly') }} as people
    inner join {{ weeks }} as weeks on people.week = weeks.week
    inner join {{ ref('int_crm_contact_versions') }} as versions
        on
            people.source_kind = versions.source_kind
            and people.source_system = versions.source_system
            and people.source_instance = versions.source_instance
            and people.contact_id = versions.contact_id
            and {{ valid_at('versions', 'weeks.known_at') }}
    where people.is_there and people.role in ('champion', 'decision_maker', 'economic_buyer') and trim(versions.email) <> ''

),

notes_of_meetings as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at', 91) }}

),

meetings as (

    select
        {{ record }},
        invited_emails
    from notes_of_meetings
    where invited_emails is not null

),

invited_parts as (

    {{ split_rows('meetings', record_columns, 'invited_emails', 'invited') }}

),

sponsor_meetings as (

    select
        invited.*,
        attendees.note_id is not null as is_attended
    from invited_parts as invited
    inner join sponsors
        on
            invited.week = sponsors.week
            and invited.account_id = sponsors.account_id
            and lower(trim(invited.invited)) = sponsors.contact_email
    left join {{ ref('int_cs_note_attendees') }} as attendees
        on
            invited.source_kind = attendees.source_kind
            and invited.source_system = attendees.source_system
            and invited.source_instance = attendees.source_instance
            and invited.note_id = attendees.note_id
            and sponsors.contact_email = attendees.attendee_email

),

-- several sponsors at one meeting: it is one record
sponsor_meeting_notes as (

    select
        {{ record }},
        {{ any_true('is_attended') }} as is_any_there,
        {{ any_true('not is_attended') }} as is_any_missing
    from sponsor_meetings
    group by {{ record }}

),

sets as (

    {%- set sets = {
        'two_way_touches': ('touches', 'recency <= 3', 'age_days'),
        'pulses': ('pulses', 'recency = 1', 'csm_sentiment'),
        'meetings_missed_by_sponsor': ('sponsor_meeting_notes', 'is_any_missing', 'null'),
        'meetings_with_sponsor': ('sponsor_meeting_notes', 'is_any_there', 'null'),
    } %}
    {% for name, (relation, condition, value) in sets.items() -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        'cs_note' as source_table,
        note_id as source_record_id,
        load_id,
        occurred_at as observed_at,
        available_at,
        '{{ name }}' as record_set,
        cast({{ value }} as double) as value
    from {{ relation }}
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from sets
