{{ config(incremental_strategy='overwrite_loads') }}
{%- set tables = {
    'source_account': ref('stg_source_account'),
    'crm_contact': ref('stg_crm_contact'),
    'crm_opportunity': ref('stg_crm_opportunity'),
    'billing_subscription': ref('stg_billing_subscription'),
    'billing_invoice': ref('stg_billing_invoice'),
    'billing_payment': ref('stg_billing_payment'),
    'support_ticket': ref('stg_support_ticket'),
    'support_message': ref('stg_support_message'),
    'survey_response': ref('stg_survey_response'),
    'usage_event': ref('stg_usage_event'),
    'usage_daily': ref('stg_usage_daily'),
    'cs_note': ref('stg_cs_note'),
    'cs_goal': ref('stg_cs_goal'),
    'pm_project': ref('stg_pm_project'),
    'pm_milestone': ref('stg_pm_milestone'),
    'risk': ref('stg_risk'),
    'risk_history': ref('stg_risk_history'),
    'treatment': ref('stg_treatment'),
    'tier_override': ref('stg_tier_override'),
    'review_event': ref('stg_review_event'),
    'text_reading': ref('stg_text_reading'),
    'text_phrase': ref('stg_text_phrase'),
} %}
with landed as (

    {% for table, relation in tables.items() -%}
    select
        load_id,
        '{{ table }}' as table_name,
        available_at,
        {% set event = landing_columns()[table]['event_time'] -%}
        cast({{ event if event else 'null' }} as timestamp) as occurred_at
    from {{ relation }}
    {% if not loop.last %}union all
    {% endif %}
    {%- endfor %}

),

placed as (

    select
        load_id,
        table_name,
        available_at,
        occurred_at,
        {{ first_week_known('available_at') }} as known_from_week,
        {{ week_start('occurred_at') }} as occurred_week
    from landed

)

select
    load_id,
    table_name,
    known_from_week,
    occurred_week,
    cast(count(*) as bigint) as records,
    min(available_at) as first_available_at,
    max(available_at) as newest_available_at,
    max(occurred_at) as newest_occurred_at
from placed
group by load_id, table_name, known_from_week, occurred_week
