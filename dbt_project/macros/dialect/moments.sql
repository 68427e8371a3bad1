{# Arithmetic on moments and dates: the one place that knows how the dialect writes an interval. #}

{# A timestamp n days later; `date + interval` is a timestamp too, so it is cast either way. #}
{% macro plus_days(moment, days) -%}
    cast({{ moment }} + interval '1 day' * ({{ days }}) as timestamp)
{%- endmacro %}

{% macro plus_hours(moment, hours) -%}
    cast({{ moment }} + interval '1 hour' * ({{ hours }}) as timestamp)
{%- endmacro %}

{% macro plus_days_as_date(day, days) -%}
    cast({{ day }} + interval '1 day' * ({{ days }}) as date)
{%- endmacro %}

{# The instant before: a half-open bound made closed. #}
{% macro just_before(moment) -%}
    cast({{ moment }} - interval '1 microsecond' as timestamp)
{%- endmacro %}

{# Whole days between two moments; `datediff` would count midnights. #}
{% macro elapsed_days(from_moment, to_moment) -%}
    cast(floor(date_diff('microsecond', {{ from_moment }}, {{ to_moment }}) / 86400000000.0) as bigint)
{%- endmacro %}

{% macro elapsed_minutes(from_moment, to_moment) -%}
    date_diff('microsecond', {{ from_moment }}, {{ to_moment }}) / 60000000.0
{%- endmacro %}

{# Days between two dates. #}
{% macro days_between_dates(from_day, to_day) -%}
    cast(date_diff('day', {{ from_day }}, {{ to_day }}) as bigint)
{%- endmacro %}
