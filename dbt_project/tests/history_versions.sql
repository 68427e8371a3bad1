-- The versions of a record: none twice, none empty, each ending where the next begins, and the last one open.
{{ config(meta={'dagster': {'ref': {'name': 'int_source_account_versions'}}}) }}
{%- set tables = {
    'source_account': ref('int_source_account_versions'),
    'crm_contact': ref('int_crm_contact_versions'),
    'crm_opportunity': ref('int_crm_opportunity_versions'),
    'billing_subscription': ref('int_billing_subscription_versions'),
    'billing_invoice': ref('int_billing_invoice_versions'),
    'support_ticket': ref('int_support_ticket_versions'),
    'cs_goal': ref('int_cs_goal_versions'),
    'pm_project': ref('int_pm_project_versions'),
    'pm_milestone': ref('int_pm_milestone_versions'),
    'risk': ref('int_risk_versions'),
    'tier_override': ref('int_tier_override_versions'),
} %}
with versions as (

    {% for table, relation in tables.items() %}
    {{ 'union all' if not loop.first }}
    select
        '{{ table }}' as table_name,
        source_kind,
        source_system,
        source_instance,
        {{ landing_columns()[table]['key'][0] }} as record_id,
        valid_from,
        valid_to
    from {{ relation }}
    {% endfor %}

),

followed as (

    select
        *,
        lead(valid_from) over (
            partition by table_name, source_kind, source_system, source_instance, record_id
            order by valid_from nulls last, valid_to nulls last
        ) as next_valid_from
    from versions

)

select *
from followed
where
    valid_from is null
    or valid_to <= valid_from
    or coalesce(valid_to, cast('9999-12-31' as timestamp)) <> coalesce(next_valid_from, cast('9999-12-31' as timestamp))
