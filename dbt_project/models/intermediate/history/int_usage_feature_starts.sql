{%- set key = ['source_kind', 'source_system', 'source_instance', 'source_account_id', 'feature_key'] -%}
{{ config(unique_key=key) }}
-- A late event may move the first use back, from the week it counts for and never before: then there is a row more. What an
-- earlier row says already is left out, so that a feature in steady use adds nothing.
with fresh as (

    select
        {{ key | join(', ') }},
        counts_from_week,
        min(usage_week) as first_used_week
    from {{ ref('int_usage_feature_weeks') }}
    {% if is_incremental() -%}
    where {{ of_pending_loads(source('landing', 'source_load')) }}
    {% endif -%}
    group by {{ key | join(', ') }}, counts_from_week

),

told as (

    select
        *,
        cast(null as date) as kept_week
    from fresh
    {% if is_incremental() -%}
    union all
    select
        {% for column in key %}kept.{{ column }}, {% endfor %}
        kept.counts_from_week,
        kept.first_used_week,
        kept.first_used_week as kept_week
    from {{ this }} as kept
    where
        exists (
            select 1
            from fresh
            where {{ same_key('fresh', 'kept', key) }}
        )
    {%- endif %}

),

by_week as (

    select
        {{ key | join(', ') }},
        counts_from_week,
        min(first_used_week) as first_used_week,
        min(kept_week) as kept_week
    from told
    group by {{ key | join(', ') }}, counts_from_week

),

ordered as (

    select
        *,
        min(first_used_week) over (
            partition by {{ key | join(', ') }}
            order by counts_from_week nulls last
            rows between unbounded preceding and 1 preceding
        ) as known_before
    from by_week

),

starts as (

    select
        *,
        max(case when kept_week is null or first_used_week < kept_week then 1 else 0 end) over (
            partition by {{ key | join(', ') }}
        ) as is_key_changed
    from ordered
    where known_before is null or first_used_week < known_before

)

select
    {{ key | join(', ') }},
    counts_from_week,
    first_used_week
from starts
where is_key_changed = 1
