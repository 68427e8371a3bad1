{# Reading versions, links and lifecycle times as of a moment. Everything that decides what counts is here. #}

{# Half-open: known from valid_from on, until before valid_to. #}
{% macro valid_at(alias, moment) -%}
    ({{ alias }}.valid_from <= {{ moment }} and ({{ alias }}.valid_to is null or {{ moment }} < {{ alias }}.valid_to))
{%- endmacro %}

{# In the n days before as_of_at, half-open: [as_of_at - n days, as_of_at). #}
{% macro in_window(moment, as_of_at, days) -%}
    ({{ moment }} >= {{ plus_days(as_of_at, '-' ~ days) }} and {{ moment }} < {{ as_of_at }})
{%- endmacro %}

{#
  A lifecycle time as it could be read then: it had happened, and of a historical load (whose lifecycle times are known long before
  they happen) it could have been known by the source's stated latency. Null otherwise.
#}
{% macro lifecycle_time(alias, column, kind, as_of_at, known_at) -%}
    {%- set latency_hours = var('source_kinds')[kind]['latency_hours'] if kind in var('source_kinds') else var('review_latency_hours') -%}
    case
        when {{ alias }}.{{ column }} < {{ as_of_at }}
            and (
                not {{ alias }}.is_available_at_imputed
                or {{ plus_hours(alias ~ '.' ~ column, latency_hours) }} <= {{ known_at }}
            ) then {{ alias }}.{{ column }}
    end
{%- endmacro %}

{# The first week whose known_at is not before a moment. #}
{% macro first_week_known(available_at) -%}
    {{ week_start(just_before(plus_hours(available_at, '-' ~ var('cutoff_hours')))) }}
{%- endmacro %}

{# The first week a fact counts for: it happened before its as_of_at, and was available by its known_at. #}
{% macro first_week_counted(occurred_at, available_at) -%}
    greatest({{ week_start(occurred_at) }}, {{ first_week_known(available_at) }})
{%- endmacro %}

{# True where the condition holds for any row of the group. #}
{% macro any_true(condition) -%}
    max(case when {{ condition }} then 1 else 0 end) = 1
{%- endmacro %}

{# How many rows of the group meet the condition. #}
{% macro count_where(condition) -%}
    cast(count(case when {{ condition }} then 1 end) as bigint)
{%- endmacro %}
