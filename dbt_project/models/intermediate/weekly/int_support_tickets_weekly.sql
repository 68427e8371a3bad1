{%- set spine = ref('int_account_week_spine') -%}
{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_tickets as (

    {{ known_records(weeks, links, ref('int_support_ticket_versions')) }}

),

states as (

    {{ ticket_states('known_tickets') }}

),

tickets as (

    select
        *,
        {{ in_window('created_at', 'as_of_at', 28) }} as is_of_28d,
        {{ in_window('created_at', 'as_of_at', 91) }} as is_of_91d
    from states

)

-- Without a ticket's words: who matches phrases reads them from the version that `valid_from` names.
select
    tickets.week,
    tickets.account_id,
    tickets.source_kind,
    tickets.source_system,
    tickets.source_instance,
    tickets.ticket_id,
    tickets.valid_from,
    lower(tickets.type) as ticket_type,
    lower({{ json_text('tickets.custom', 'feature_key') }}) as feature_key,
    tickets.created_at,
    tickets.is_of_28d,
    tickets.is_of_91d,
    tickets.is_open,
    tickets.is_open and tickets.replied_at is null as is_unreplied,
    tickets.minutes_spent
from tickets
inner join {{ spine }} as spine on tickets.week = spine.week and tickets.account_id = spine.account_id
where tickets.is_of_91d or tickets.is_open
