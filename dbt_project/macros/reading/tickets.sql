{#
  The tickets that were there at as_of_at, with the state they were in then. `known_tickets` are their versions as known_records gives them.
  Lifecycle times count as they could be read then; the status of today says nothing about the past, and decides only where a source
  gives neither time.
#}
{% macro ticket_states(known_tickets) -%}
    select
        states.*,
        coalesce(states.solved_then_at, states.closed_then_at) as resolved_at,
        states.solved_then_at is null and states.closed_then_at is null and not states.is_resolved_some_time as is_open
    from (
        select
            {{ known_tickets }}.*,
            {{ lifecycle_time(known_tickets, 'first_response_at', 'support', 'as_of_at', 'known_at') }} as replied_at,
            {{ lifecycle_time(known_tickets, 'solved_at', 'support', 'as_of_at', 'known_at') }} as solved_then_at,
            {{ lifecycle_time(known_tickets, 'closed_at', 'support', 'as_of_at', 'known_at') }} as closed_then_at,
            solved_at is null and closed_at is null and coalesce(status, 'open') in ('solved', 'closed') as is_resolved_some_time
        from {{ known_tickets }}
        where created_at < as_of_at
    ) as states
{%- endmacro %}
