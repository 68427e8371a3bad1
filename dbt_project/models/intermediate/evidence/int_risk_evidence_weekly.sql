{{ config(materialized='table') }}
{%- set parts = [
    ref('int_evidence_usage_weekly'),
    ref('int_evidence_support_weekly'),
    ref('int_evidence_outcomes_weekly'),
    ref('int_evidence_engagement_weekly'),
    ref('int_evidence_money_weekly'),
    ref('int_evidence_crm_weekly'),
    ref('int_evidence_answers_weekly'),
] %}
{%- set columns = [
    'account_id', 'week', 'record_set', 'source_kind', 'source_system', 'source_instance', 'source_table', 'source_record_id',
    'load_id', 'value', 'observed_at', 'available_at', 'text_field', 'span_start', 'span_end'
] %}
with records as (

    {% for part in parts -%}
    select
        {{ columns[:-3] | join(', ') }},
        cast(null as varchar) as text_field,
        cast(null as bigint) as span_start,
        cast(null as bigint) as span_end
    from {{ part }}
    union all
    {% endfor -%}
    select {{ columns | join(', ') }}
    from {{ ref('int_evidence_texts_weekly') }}

),

-- What happened at as_of_at or later, or was known later, is no evidence of the week, whatever a record says of itself.
of_the_week as (

    select
        {% for column in columns %}records.{{ column }},
        {% endfor %}
        spine.as_of_at,
        spine.known_at
    from records
    inner join {{ ref('int_account_week_spine') }} as spine
        on records.account_id = spine.account_id and records.week = spine.week
    where records.observed_at < spine.as_of_at and records.available_at <= spine.known_at

),

ranked as (

    select
        *,
        row_number() over (
            partition by week, account_id, record_set
            order by
                -- of touches and validations the newest tells most, of answers the lowest, of what is late the latest
                case when record_set in ('two_way_touches', 'validated_goals', 'low_nps_answers', 'nps_answers') then -value else value end
                desc nulls last,
                observed_at desc nulls last,
                source_kind asc nulls last,
                source_system asc nulls last,
                source_instance asc nulls last,
                source_table asc nulls last,
                source_record_id asc nulls last,
                text_field asc nulls last,
                span_start asc nulls last,
                -- two phrases may begin at one word: the longer one says more
                span_end desc nulls last,
                load_id asc nulls last
        ) as place
    from of_the_week

)

select
    {{ columns | join(', ') }},
    as_of_at,
    known_at,
    cast(place as bigint) as place
from ranked
where place <= 3
