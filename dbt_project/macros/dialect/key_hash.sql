{# A number made of a key: equal keys have equal numbers, and unequal ones nearly always another. Small to group by. #}
{% macro key_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}
