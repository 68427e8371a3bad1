{%- set spine = ref('int_account_week_spine') -%}
{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_tickets as (

    {{ known_records(weeks, links, ref('int_support_ticket_versions')) }}

),

tickets as (

    select
        week,
        as_of_at,
        known_at,
        account_id,
        source_kind,
        source_system,
        source_instance,
        ticket_id,
        valid_from,
        lower(type) as ticket_type,
        lower({{ json_text('custom', 'feature_key') }}) as feature_key,
        created_at,
        minutes_spent,
        {{ lifecycle_time('known_tickets', 'first_response_at', 'support', 'as_of_at', 'known_at') }} as replied_at,
        {{ lifecycle_time('known_tickets', 'solved_at', 'support', 'as_of_at', 'known_at') }} as solved_then_at,
        {{ lifecycle_time('known_tickets', 'closed_at', 'support', 'as_of_at', 'known_at') }} as closed_then_at,
        solved_at is null and closed_at is null and coalesce(status, 'open') in ('solved', 'closed') as is_resolved_some_time
    from known_tickets
    where created_at < as_of_at

),

judged as (

    select
        tickets.*,
        {{ in_window('created_at', 'as_of_at', 28) }} as is_of_28d,
        {{ in_window('created_at', 'as_of_at', 91) }} as is_of_91d,
        solved_then_at is null and closed_then_at is null and not is_resolved_some_time as is_open
    from tickets

)

-- Without a ticket's words: who matches phrases reads them from the version that `valid_from` names.
select
    judged.week,
    judged.account_id,
    judged.source_kind,
    judged.source_system,
    judged.source_instance,
    judged.ticket_id,
    judged.valid_from,
    judged.ticket_type,
    judged.feature_key,
    judged.created_at,
    judged.is_of_28d,
    judged.is_of_91d,
    judged.is_open,
    judged.is_open and judged.replied_at is null as is_unreplied,
    judged.minutes_spent
from judged
inner join {{ spine }} as spine on judged.week = spine.week and judged.account_id = spine.account_id
where judged.is_of_91d or judged.is_open
