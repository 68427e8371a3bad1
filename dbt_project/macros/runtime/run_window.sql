{# What the run's variables say, as rows and conditions: its weeks, the policy's rates, the kinds of source. #}

{#
  The run's first and last week. A run says them in its environment: were they among --vars, each new week would make dbt parse the
  whole project again. Where it says nothing (dbt parse, unit tests, dbt by hand) the variables hold.
#}
{% macro run_first_week() %}
    {{ return(env_var('HEALTH_FIRST_WEEK', '') or var('first_week')) }}
{% endmacro %}

{% macro run_last_week() %}
    {{ return(env_var('HEALTH_LAST_WEEK', '') or var('last_week')) }}
{% endmacro %}

{# A day of the run as a literal, some days from its first or last week. #}
{% macro run_date(week, days=0) -%}
    cast('{{ (modules.datetime.datetime.strptime(week, '%Y-%m-%d') + modules.datetime.timedelta(days=days)).strftime('%Y-%m-%d') }}' as date)
{%- endmacro %}

{% macro run_weeks() %}
    {%- set first = modules.datetime.datetime.strptime(run_first_week(), '%Y-%m-%d') -%}
    {%- set last = modules.datetime.datetime.strptime(run_last_week(), '%Y-%m-%d') -%}
    {%- if first.weekday() != 0 or last.weekday() != 0 or first > last -%}
        {{ exceptions.raise_compiler_error(
            'first_week ' ~ run_first_week() ~ ' and last_week ' ~ run_last_week() ~ ' must be Mondays in order'
        ) }}
    {%- endif -%}
    {%- for n in range(((last - first).days // 7) + 1) -%}
    select cast('{{ (first + modules.datetime.timedelta(days=7 * n)).strftime('%Y-%m-%d') }}' as date) as week
    {{ 'union all ' if not loop.last }}
    {%- endfor -%}
{% endmacro %}

{% macro policy_rates() %}
    select
        '{{ var('reporting_currency') }}' as currency,
        cast('0001-01-01' as date) as valid_from,
        cast(1.0 as double) as rate
    {%- for entry in var('rates') %}
    union all
    select
        '{{ entry['currency'] }}' as currency,
        cast('{{ entry['valid_from'] }}' as date) as valid_from,
        cast({{ entry['rate'] }} as double) as rate
    {%- endfor %}
{% endmacro %}

{% macro policy_source_kinds() %}
    {%- for kind, policy in var('source_kinds').items() %}
    select
        '{{ kind }}' as source_kind,
        cast({{ policy['is_required'] | string | lower }} as boolean) as is_required,
        {{ policy['stale_after_days'] }} as stale_after_days
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{% endmacro %}

{# Of the run's weeks, or of no week at all. #}
{% macro of_run_weeks(week) -%}
    (({{ week }} >= {{ run_date(run_first_week()) }} and {{ week }} <= {{ run_date(run_last_week()) }}) or {{ week }} is null)
{%- endmacro %}
