{# A text of a JSON text by its key; null where there is none, or the text is no JSON. #}
{% macro json_text(column, key) -%}
    case when json_valid({{ column }}) then json_extract_string({{ column }}, '$.{{ key }}') end
{%- endmacro %}
