{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_contacts as (

    {{ known_records(weeks, links, ref('int_crm_contact_versions')) }}

),

dated as (

    select
        *,
        lower(trim(email)) as contact_email,
        {{ lifecycle_time('known_contacts', 'left_at', 'crm', 'as_of_at', 'known_at') }} as left_then_at
    from known_contacts
    where source_created_at is null or source_created_at < as_of_at

),

contacts as (

    select
        *,
        case when left_at is not null then left_then_at is null else coalesce(is_active, true) end as is_there
    from dated

),

-- Two readings of the notes, each of few columns: one that served both kept the invitations of all time.
notes_of_touches as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at') }}

),

attended as (

    select
        notes.week,
        notes.account_id,
        attendees.attendee_email as contact_email,
        max(notes.occurred_at) as last_two_way_at
    from notes_of_touches as notes
    inner join {{ ref('int_cs_note_attendees') }} as attendees
        on
            notes.source_kind = attendees.source_kind
            and notes.source_system = attendees.source_system
            and notes.source_instance = attendees.source_instance
            and notes.note_id = attendees.note_id
    where notes.direction = 'two_way' and not attendees.is_internal
    group by notes.week, notes.account_id, attendees.attendee_email

),

notes_of_meetings as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at', 91) }}

),

meetings as (

    select
        week,
        account_id,
        source_kind,
        source_system,
        source_instance,
        note_id,
        occurred_at,
        invited_emails
    from notes_of_meetings
    where invited_emails is not null

),

invited_parts as (

    {{ split_rows(
        'meetings',
        ['week', 'account_id', 'source_kind', 'source_system', 'source_instance', 'note_id', 'occurred_at'],
        'invited_emails',
        'invited'
    ) }}

),

invitations as (

    select distinct
        week,
        account_id,
        source_kind,
        source_system,
        source_instance,
        note_id,
        occurred_at,
        lower(trim(invited)) as contact_email
    from invited_parts

),

-- Invited and not there, since the person was last there.
missed as (

    select
        invitations.week,
        invitations.account_id,
        invitations.contact_email,
        cast(count(*) as bigint) as meetings_missed
    from invitations
    left join {{ ref('int_cs_note_attendees') }} as attendees
        on
            invitations.source_kind = attendees.source_kind
            and invitations.source_system = attendees.source_system
            and invitations.source_instance = attendees.source_instance
            and invitations.note_id = attendees.note_id
            and invitations.contact_email = attendees.attendee_email
    left join attended
        on
            invitations.week = attended.week
            and invitations.account_id = attended.account_id
            and invitations.contact_email = attended.contact_email
    where
        attendees.note_id is null
        and (attended.last_two_way_at is null or invitations.occurred_at > attended.last_two_way_at)
    group by invitations.week, invitations.account_id, invitations.contact_email

)

select
    contacts.account_id,
    contacts.week,
    contacts.source_kind,
    contacts.source_system,
    contacts.source_instance,
    contacts.contact_id,
    contacts.load_id,
    contacts.full_name,
    contacts.title,
    contacts.role,
    contacts.is_there,
    cast(contacts.left_then_at as date) as left_on,
    attended.last_two_way_at,
    coalesce(missed.meetings_missed, 0) as meetings_missed
from contacts
left join attended
    on
        contacts.week = attended.week
        and contacts.account_id = attended.account_id
        and contacts.contact_email = attended.contact_email
left join missed
    on
        contacts.week = missed.week
        and contacts.account_id = missed.account_id
        and contacts.contact_email = missed.contact_email
