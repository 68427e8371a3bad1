{# Rows made of the run's variables: its weeks, the policy's rates, the kinds of source. #}

{% macro run_weeks() %}
    {%- set first = modules.datetime.datetime.strptime(var('first_week'), '%Y-%m-%d') -%}
    {%- set last = modules.datetime.datetime.strptime(var('last_week'), '%Y-%m-%d') -%}
    {%- if first.weekday() != 0 or last.weekday() != 0 or first > last -%}
        {{ exceptions.raise_compiler_error(
            'first_week ' ~ var('first_week') ~ ' and last_week ' ~ var('last_week') ~ ' must be Mondays in order'
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
