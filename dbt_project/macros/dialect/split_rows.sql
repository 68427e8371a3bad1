{# A row per part of a separated text: `select <columns>, <part> from <relation>`; commas and semicolons separate. #}
{% macro split_rows(relation, columns, text, part) -%}
    select {{ columns | join(', ') }}, unnest(string_split(replace({{ text }}, ';', ','), ',')) as {{ part }}
    from {{ relation }}
{%- endmacro %}
