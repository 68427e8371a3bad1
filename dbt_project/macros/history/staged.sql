{#
  A landing table with the kind of source of its load. CRM probability and forecast fields stop here: they are somebody's
  guess about a named account.
#}
{% macro staged(table, relation, loads) %}
{%- set left_out = {'crm_opportunity': ['probability', 'forecast_category']}.get(table, []) -%}
select
    loads.source_kind,
{%- for column in landing_columns()[table]['types'] if column not in left_out and column != 'is_deleted' %}
    landed.{{ column }},
{%- endfor %}
    coalesce(landed.is_deleted, false) as is_deleted
from {{ relation }} as landed
inner join {{ loads }} as loads
    on landed.load_id = loads.load_id and loads.table_name = '{{ table }}'
{% endmacro %}

{# The own columns of a landing table that history keeps beside the key: texts stay in the landing. #}
{% macro kept_columns(table) %}
    {%- set left_out = ['probability', 'forecast_category', 'body', 'comment', 'description', 'mitigation', 'properties'] -%}
    {%- set kept = [] -%}
    {%- for column in landing_columns()[table]['own'] if column not in left_out and column not in landing_columns()[table]['key'] -%}
        {%- do kept.append(column) -%}
    {%- endfor -%}
    {{ return(kept) }}
{% endmacro %}

{# What names a record: where it comes from and its own key. One system may know an id as two kinds of record. #}
{% macro record_key(table) %}
    {{ return(['source_kind', 'source_system', 'source_instance'] + landing_columns()[table]['key']) }}
{% endmacro %}

{% macro same_key(first, second, columns) -%}
    {%- for column in columns -%}
        {{ first }}.{{ column }} = {{ second }}.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
