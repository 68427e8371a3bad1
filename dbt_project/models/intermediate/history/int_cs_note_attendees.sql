{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'note_id']) }}
{%- set carried = ['source_kind', 'source_system', 'source_instance', 'note_id', 'load_id', 'author_email'] %}
with notes as (

    select
        source_kind,
        source_system,
        source_instance,
        note_id,
        load_id,
        author_email,
        attendee_emails
    from {{ ref('int_cs_note') }}
    where
        attendee_emails is not null
        {% if is_incremental() -%}
        and {{ of_pending_loads(source('landing', 'source_load')) }}
        {%- endif %}

),

attendees as (

    {{ split_rows('notes', carried, 'attendee_emails', 'attendee') }}

),

cleaned as (

    select
        *,
        lower(trim(attendee)) as attendee_email
    from attendees

)

select
    source_kind,
    source_system,
    source_instance,
    note_id,
    attendee_email,
    max(load_id) as load_id,
    -- a colleague of the author is no customer
    coalesce(
        {{ any_true("split_part(attendee_email, '@', 2) = lower(split_part(trim(author_email), '@', 2))") }},
        false
    ) as is_internal
from cleaned
where attendee_email like '%@%'
group by source_kind, source_system, source_instance, note_id, attendee_email
