{# What the newest row of the group says; of several at one moment the one with the last id, so that it is always the same. #}
{% macro at_newest(value, moment, id) -%}
    max_by({{ value }}, struct_pack(moment := {{ moment }}, id := {{ id }}))
{%- endmacro %}
