{# The later of two moments; the known one where one is null. `greatest` with a null differs from engine to engine. #}
{% macro later_of(first, second) -%}
    case
        when {{ first }} is null then {{ second }}
        when {{ second }} is null or {{ first }} >= {{ second }} then {{ first }}
        else {{ second }}
    end
{%- endmacro %}
