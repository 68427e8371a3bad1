{# The same values give the same text, null apart from ''. #}
{% macro row_fingerprint(columns) -%}
    md5(concat_ws('|', {% for column in columns %}coalesce('v' || cast({{ column }} as varchar), 'n'){{ ', ' if not loop.last }}{% endfor %}))
{%- endmacro %}
