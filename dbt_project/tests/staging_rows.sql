-- Staging neither loses nor multiplies a landed row: as many per table as the pending loads say they brought.
{{ config(meta={'dagster': {'ref': {'name': 'stg_usage_event'}}}) }}
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
with staged as (

    {% for table, relation in tables.items() %}
    select
        '{{ table }}' as table_name,
        count(*) as staged_rows
    from {{ relation }}
    union all
    {% endfor %}
    select
        '' as table_name,
        0 as staged_rows

),

announced as (

    select
        table_name,
        sum(rows) as announced_rows
    from {{ source('landing', 'source_load') }}
    where is_pending
    group by table_name

)

select
    staged.table_name,
    staged.staged_rows,
    announced.announced_rows
from staged
left join announced on staged.table_name = announced.table_name
where staged.staged_rows <> coalesce(announced.announced_rows, 0)
