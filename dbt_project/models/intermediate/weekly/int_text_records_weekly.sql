{%- set spine = ref('int_account_week_spine') -%}
{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
{%- set same_record = "records.source_kind = readings.record_kind and records.source_system = readings.record_system and "
    ~ "records.source_instance = readings.record_instance" -%}
-- Messages, and answers that name no account (one that does is that account's), with the ticket they belong to.
with of_a_ticket as (

    select
        'support_message' as record_table,
        source_kind,
        source_system,
        source_instance,
        message_id as record_id,
        ticket_id
    from {{ ref('int_support_message') }}
    where not is_deleted
    union all
    select
        'survey_response' as record_table,
        source_kind,
        source_system,
        source_instance,
        response_id as record_id,
        ticket_id
    from {{ ref('int_survey_response') }}
    where source_account_id is null and not is_deleted

),

known_readings as (

    select
        weeks.week,
        weeks.as_of_at,
        weeks.known_at,
        readings.*,
        -- The ticket that says whose words they are. Looked up before the window function (joined after it, the message
        -- met every ticket of the week), and by equal columns alone: a condition on one side of an outer join met all
        -- with all, hours for 10,000 accounts.
        case when readings.record_table = 'support_ticket' then readings.record_id else of_a_ticket.ticket_id end as ticket_id,
        row_number() over (
            partition by
                weeks.week,
                readings.record_table,
                readings.record_kind,
                readings.record_system,
                readings.record_instance,
                readings.record_id
            order by
                readings.text_available_at desc nulls last,
                readings.available_at desc nulls last,
                readings.record_load_id desc nulls last
        ) as recency
    from {{ weeks }} as weeks
    inner join {{ ref('int_text_reading') }} as readings
        on
            {{ in_window('readings.occurred_at', 'weeks.as_of_at', 91) }}
            and readings.text_available_at <= weeks.known_at
    left join of_a_ticket
        on
            readings.record_table = of_a_ticket.record_table
            and readings.record_kind = of_a_ticket.source_kind
            and readings.record_system = of_a_ticket.source_system
            and readings.record_instance = of_a_ticket.source_instance
            and readings.record_id = of_a_ticket.record_id
    where readings.rule_version = '{{ var("text_rule_version") }}'

),

-- What was written last counts, and nothing of a record that is gone.
readings as (

    select * from known_readings
    where recency = 1 and not is_deleted and characters > 0

),

tickets as (

    {{ known_records(weeks, links, ref('int_support_ticket_versions')) }}

),

notes as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at', 91) }}

),

own_answers as (

    {{ known_events(weeks, links, ref('int_survey_response'), 'responded_at', 91) }}

),

placed as (

    select
        readings.*,
        records.account_id,
        true as is_customer_side,
        false as is_sensitive
    from readings
    inner join tickets as records
        on readings.week = records.week and {{ same_record }} and readings.ticket_id = records.ticket_id
    where readings.record_table in ('support_ticket', 'support_message')
    union all
    -- What we wrote ourselves is no word of the customer; a note about them is.
    select
        readings.*,
        records.account_id,
        coalesce(records.direction, '') <> 'outbound' as is_customer_side,
        coalesce(records.sensitivity, '') = 'sensitive' as is_sensitive
    from readings
    inner join notes as records
        on readings.week = records.week and {{ same_record }} and readings.record_id = records.note_id
    where readings.record_table = 'cs_note'
    union all
    select
        readings.*,
        records.account_id,
        true as is_customer_side,
        false as is_sensitive
    from readings
    inner join own_answers as records
        on readings.week = records.week and {{ same_record }} and readings.record_id = records.response_id
    where readings.record_table = 'survey_response'
    union all
    -- An answer that names only its ticket counts for the account the ticket was known to be of then.
    select
        readings.*,
        tickets.account_id,
        true as is_customer_side,
        false as is_sensitive
    from readings
    inner join tickets
        on
            readings.week = tickets.week
            and readings.record_system = tickets.source_system
            and readings.record_instance = tickets.source_instance
            and readings.ticket_id = tickets.ticket_id
    where readings.record_table = 'survey_response'

)

select
    placed.week,
    placed.account_id,
    placed.record_table,
    placed.record_kind as source_kind,
    placed.record_system as source_system,
    placed.record_instance as source_instance,
    placed.record_id as source_record_id,
    placed.record_load_id as load_id,
    placed.occurred_at,
    placed.text_available_at as available_at,
    placed.characters,
    placed.language,
    placed.is_scored,
    placed.sentiment,
    placed.is_customer_side,
    placed.is_sensitive,
    placed.rule_version,
    -- the same words again (a ticket and its first message, a mail that two systems keep) are one text
    row_number() over (
        partition by placed.week, placed.account_id, placed.text_digest
        order by
            case when placed.is_customer_side then 0 else 1 end,
            placed.occurred_at asc nulls last,
            case when placed.record_table = 'support_ticket' then 0 else 1 end,
            placed.record_table asc nulls last,
            placed.record_kind asc nulls last,
            placed.record_system asc nulls last,
            placed.record_instance asc nulls last,
            placed.record_id asc nulls last
    ) > 1 as is_repeated
from placed
inner join {{ spine }} as spine on placed.week = spine.week and placed.account_id = spine.account_id
