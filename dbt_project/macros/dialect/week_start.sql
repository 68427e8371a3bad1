{# The Monday 00:00 of a moment's week, as a date. BigQuery's week starts on Sunday unless told otherwise. #}
{% macro week_start(moment) -%}
    cast(date_trunc('week', {{ moment }}) as date)
{%- endmacro %}
