{# Records, facts and subscriptions as they were known at each week's known_at, with the account they belonged to then. #}

{# The versions of a mutable record that held at known_at. #}
{% macro known_records(weeks, links, versions) -%}
    select weeks.week, weeks.as_of_at, weeks.known_at, links.account_id, records.*
    from {{ weeks }} as weeks
    inner join {{ versions }} as records on {{ valid_at('records', 'weeks.known_at') }}
    inner join {{ links }} as links
        on
            weeks.week = links.week
            and records.source_kind = links.source_kind
            and records.source_system = links.source_system
            and records.source_instance = links.source_instance
            and records.source_account_id = links.source_account_id
    where not records.is_deleted
{%- endmacro %}

{# The events that had happened before as_of_at and were available by known_at; of the last n days where days is given. #}
{% macro known_events(weeks, links, events, occurred_at, days=none) -%}
    select weeks.week, weeks.as_of_at, weeks.known_at, links.account_id, events.*
    from {{ weeks }} as weeks
    inner join {{ events }} as events
        on
            events.{{ occurred_at }} < weeks.as_of_at
            {%- if days is not none %}
            and events.{{ occurred_at }} >= {{ plus_days('weeks.as_of_at', '-' ~ days) }}
            {%- endif %}
            and events.available_at <= weeks.known_at
    inner join {{ links }} as links
        on
            weeks.week = links.week
            and events.source_kind = links.source_kind
            and events.source_system = links.source_system
            and events.source_instance = links.source_instance
            and events.source_account_id = links.source_account_id
    where not events.is_deleted
{%- endmacro %}

{#
  Subscriptions active at a moment as they were known then. `weeks` has week, state_as_of_at and state_known_at: the state may lie
  before the week (the base of a change) or after it (a label); the account is the one by the links of `week`.
#}
{% macro active_subscriptions(weeks, links, versions) -%}
    select
        weeks.week,
        weeks.state_as_of_at,
        links.account_id,
        subscriptions.source_kind,
        subscriptions.source_system,
        subscriptions.source_instance,
        subscriptions.subscription_id,
        subscriptions.currency,
        subscriptions.arr,
        subscriptions.quantity,
        subscriptions.started_at,
        subscriptions.current_period_end,
        subscriptions.cancel_at,
        subscriptions.is_partial
    from {{ weeks }} as weeks
    inner join {{ versions }} as subscriptions on {{ valid_at('subscriptions', 'weeks.state_known_at') }}
    inner join {{ links }} as links
        on
            weeks.week = links.week
            and subscriptions.source_kind = links.source_kind
            and subscriptions.source_system = links.source_system
            and subscriptions.source_instance = links.source_instance
            and subscriptions.source_account_id = links.source_account_id
    where
        not subscriptions.is_deleted
        and subscriptions.started_at < weeks.state_as_of_at
        and {{ subscription_end('subscriptions', 'weeks.state_as_of_at', 'weeks.state_known_at') }} is null
{%- endmacro %}

{# When a subscription ended, as it could be read then; null while it runs. A source may say only by status that it ended. #}
{% macro subscription_end(alias, as_of_at, known_at) -%}
    case
        when {{ alias }}.canceled_at is not null then {{ lifecycle_time(alias, 'canceled_at', 'billing', as_of_at, known_at) }}
        when lower({{ alias }}.status) in ('canceled', 'cancelled', 'ended', 'expired', 'churned', 'incomplete_expired')
            then {{ alias }}.valid_from
    end
{%- endmacro %}

{# An amount in another currency by the week's rates; null where the policy has no rate. Cents stay exact where nothing is converted. #}
{% macro converted(amount, from_currency, to_currency, from_rate, to_rate) -%}
    case
        when {{ from_currency }} = {{ to_currency }} then {{ amount }}
        else cast(round(cast({{ amount }} as double) * {{ from_rate }} / {{ to_rate }}, 2) as decimal(18, 2))
    end
{%- endmacro %}
