{#
  Facts that never change: appended, one row per key, the first one available wins. What history holds was available first: a load that
  comes out of order makes history anew. Only the stretch of it from the earliest event of the pending loads on is looked at. Few facts come twice: keys that may (by a hash, which is small to
  group by) are ranked, the others pass as they come, in their order. Ranking all of 22 million took twice the time and memory.
#}
{% macro event_facts(table, staged, loads, columns=none) %}
{%- set contract = landing_columns()[table] -%}
{%- set key = record_key(table) -%}
{%- set own = kept_columns(table) if columns is none else columns -%}
{%- set carried = key + own + (['custom'] if columns is none else []) + [
    'is_deleted', 'is_available_at_imputed', 'load_id', 'load_sequence', 'available_at'
] -%}
with repeated as (

    select {{ key_hash(key) }} as repeated_hash
    from {{ staged }}
    group by {{ key_hash(key) }}
    having count(*) > 1

),

ranked as (

    select
        {% for column in carried %}staged.{{ column }}, {% endfor %}
        row_number() over (
            partition by {% for column in key %}staged.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
            order by
                staged.available_at asc nulls last,
                staged.load_sequence asc nulls last,
                {% for column in own %}staged.{{ column }} asc nulls last{{ ',' if not loop.last }}
                {% endfor %}
        ) as arrival
    from {{ staged }} as staged
    inner join repeated on {{ key_hash(key) }} = repeated.repeated_hash

),

first_arrivals as (

    select
        {% for column in carried %}staged.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    from {{ staged }} as staged
    left join repeated on {{ key_hash(key) }} = repeated.repeated_hash
    where repeated.repeated_hash is null
    union all
    select
        {{ carried | join(', ') }}
    from ranked
    where arrival = 1

)
{%- if is_incremental() %},

kept as (

    select {{ key | join(', ') }}
    from {{ this }}
    where
        {{ since_first_pending(table, staged) }}
        and load_id not in (select pending.load_id from {{ loads }} as pending where pending.is_pending)

)
{%- endif %}

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
left join kept on {{ same_key('fresh', 'kept', key) }}
where kept.{{ key[0] }} is null
{% endif %}
{% endmacro %}
