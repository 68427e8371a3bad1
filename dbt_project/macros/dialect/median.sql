{# The median of what is not null. #}
{% macro median(expression) -%}
    median({{ expression }})
{%- endmacro %}
