{# A literal or text as a naive UTC timestamp. With an offset in the text a plain cast would drop it. #}
{% macro utc_timestamp(text) -%}
    cast(cast({{ text }} as timestamptz) at time zone 'UTC' as timestamp)
{%- endmacro %}
