{# A cast that gives null where the text is something else; `dbt.safe_cast` is a plain cast on DuckDB. #}
{% macro try_cast(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}
