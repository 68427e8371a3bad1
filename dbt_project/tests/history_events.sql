-- Each fact is there once. Of use only the stretch that the pending loads touch is looked at.
{{ config(meta={'dagster': {'ref': {'name': 'int_usage_event'}}}) }}
{%- set tables = {
    'billing_payment': ref('int_billing_payment'),
    'support_message': ref('int_support_message'),
    'survey_response': ref('int_survey_response'),
    'cs_note': ref('int_cs_note'),
    'risk_history': ref('int_risk_history'),
    'treatment': ref('int_treatment'),
    'usage_daily': ref('int_usage_daily'),
    'review_event': ref('int_review_event'),
    'text_reading': ref('int_text_reading'),
    'text_phrase': ref('int_text_phrase'),
} %}
{% for table, relation in tables.items() %}
select
    '{{ table }}' as table_name,
    source_kind,
    source_system,
    source_instance,
    cast({{ landing_columns()[table]['key'][0] }} as varchar) as record_id,
    count(*) as facts
from {{ relation }}
group by source_kind, source_system, source_instance, {{ landing_columns()[table]['key'] | join(', ') }}
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
where occurred_at >= (select min(staged.occurred_at) from {{ ref('stg_usage_event') }} as staged)
group by source_kind, source_system, source_instance, event_id
having count(*) > 1
