-- Each fact is there once. Only what the pending loads tell is looked at: a build tests what it integrates (`dbt run` by hand does not).
{{ config(meta={'dagster': {'ref': {'name': 'int_usage_event'}}}) }}
{%- set tables = {
    'billing_payment': [ref('int_billing_payment'), ref('stg_billing_payment')],
    'support_message': [ref('int_support_message'), ref('stg_support_message')],
    'survey_response': [ref('int_survey_response'), ref('stg_survey_response')],
    'cs_note': [ref('int_cs_note'), ref('stg_cs_note')],
    'risk_history': [ref('int_risk_history'), ref('stg_risk_history')],
    'treatment': [ref('int_treatment'), ref('stg_treatment')],
    'usage_daily': [ref('int_usage_daily'), ref('stg_usage_daily')],
    'review_event': [ref('int_review_event'), ref('stg_review_event')],
    'text_reading': [ref('int_text_reading'), ref('stg_text_reading')],
    'text_phrase': [ref('int_text_phrase'), ref('stg_text_phrase')],
} %}
{% for table, relations in tables.items() %}
{%- set key = record_key(table) | join(', ') %}
select
    '{{ table }}' as table_name,
    source_kind,
    source_system,
    source_instance,
    cast({{ landing_columns()[table]['key'][0] }} as varchar) as record_id,
    count(*) as facts
from {{ relations[0] }}
where ({{ key }}) in (select {{ key }} from {{ relations[1] }})
group by {{ key }}
having count(*) > 1
union all
{% endfor %}
select
    'usage_event' as table_name,
    source_kind,
    source_system,
    source_instance,
    event_id as record_id,
    count(*) as facts
from {{ ref('int_usage_event') }}
where
    -- A moment even where nothing is pending: compared with nothing, every event of all time was read. Models have it as a literal;
    -- a test is compiled where nothing was built yet.
    occurred_at >= (
        select coalesce(min(staged.occurred_at), cast('9999-12-31' as timestamp)) from {{ ref('stg_usage_event') }} as staged
    )
group by source_kind, source_system, source_instance, event_id
having count(*) > 1
