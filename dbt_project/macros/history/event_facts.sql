{#
  Facts that never change: appended, one row per key, the first one available wins. Only the stretch of history from the earliest
  event of the pending loads on is looked at for duplicates.
#}
{% macro event_facts(table, staged, columns=none) %}
{%- set contract = landing_columns()[table] -%}
{%- set key = record_key(table) -%}
{%- set event = contract['event_time'] -%}
{%- set own = kept_columns(table) if columns is none else columns -%}
with ranked as (

    select
        {% for column in key %}{{ column }}, {% endfor %}
        {% for column in own %}{{ column }}, {% endfor %}
        {% if columns is none %}custom,{% endif %}
        is_deleted,
        is_available_at_imputed,
        load_id,
        load_sequence,
        available_at,
        row_number() over (
            partition by {{ key | join(', ') }}
            order by
                available_at asc nulls last,
                load_sequence asc nulls last,
                {% for column in own %}{{ column }} asc nulls last{{ ',' if not loop.last }}
                {% endfor %}
        ) as arrival
    from {{ staged }}

),

first_arrivals as (

    select * from ranked
    where arrival = 1

)

select
    {% for column in key %}fresh.{{ column }}, {% endfor %}
    {% for column in own %}fresh.{{ column }}, {% endfor %}
    {% if columns is none %}fresh.custom,{% endif %}
    fresh.is_deleted,
    fresh.is_available_at_imputed,
    fresh.load_id,
    fresh.load_sequence,
    fresh.available_at
from first_arrivals as fresh
{% if is_incremental() %}
left join {{ this }} as kept
    on
        {{ same_key('fresh', 'kept', key) }}
        and kept.{{ event }} >= (select min(first_arrivals.{{ event }}) from first_arrivals)
where
    kept.load_id is null
    or fresh.available_at < kept.available_at
{% endif %}
{% endmacro %}
