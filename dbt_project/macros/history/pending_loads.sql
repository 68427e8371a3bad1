{# What the pending loads brought, told apart from what history holds already. #}

{#
  Only rows that the pending loads brought. Beside the loads stand the first and last of their ids, as literals: an id begins with the
  load's time and history lies in the order of its loads, so that the engine skips what lies before them and never reads it.
#}
{% macro of_pending_loads(loads) -%}
    load_id in (select pending.load_id from {{ loads }} as pending where pending.is_pending)
    {%- if execute %}
        {%- set ends = run_query('select min(load_id), max(load_id) from ' ~ loads ~ ' where is_pending').rows[0] %}
        {%- if ends[0] is none %}
    and false
        {%- else %}
    and load_id >= '{{ ends[0] }}' and load_id <= '{{ ends[1] }}'
        {%- endif %}
    {%- endif %}
{%- endmacro %}

{# Not before the earliest event of the pending loads: the stretch of history that one of them may tell again. A literal too. #}
{% macro since_first_pending(table, staged) -%}
    {%- set event = landing_columns()[table]['event_time'] -%}
    {%- if execute %}
        {%- set first = run_query('select cast(min(' ~ event ~ ') as varchar) from ' ~ staged).rows[0][0] %}
        {%- if first is none -%}
    false
        {%- else -%}
    {{ event }} >= cast('{{ first }}' as {{ landing_columns()[table]['types'][event] }})
        {%- endif %}
    {%- else -%}
    true
    {%- endif %}
{%- endmacro %}
