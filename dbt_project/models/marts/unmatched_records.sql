{{ config(materialized='table') }}
{#- Per table: the model, when a record could first be known, and how records are told apart. -#}
{%- set reporting = "'" ~ var('reporting_currency') ~ "'" -%}
{%- set versions = {
    'crm_contact': 'contact_id', 'crm_opportunity': 'opportunity_id', 'billing_subscription': 'subscription_id',
    'billing_invoice': 'invoice_id', 'support_ticket': 'ticket_id', 'cs_goal': 'goal_id', 'pm_project': 'project_id',
    'risk': 'risk_id', 'source_account': 'source_account_id',
} -%}
{%- set events = ['billing_payment', 'cs_note', 'survey_response', 'treatment', 'usage_daily'] -%}
with newest as (

    select
        week,
        as_of_at,
        known_at
    from {{ ref('int_week_spine') }}
    where week = cast('{{ run_last_week() }}' as date)

),

hanging as (

    {% for table, key in versions.items() -%}
    select
        records.source_kind,
        records.source_system,
        records.source_instance,
        coalesce(records.source_account_id, '') as source_account_id,
        -- what was deleted since hangs no longer
        cast(count(distinct case when {{ valid_at('records', 'newest.known_at') }} then records.{{ key }} end) as bigint) as records,
        min(records.valid_from) as first_seen_at
    from newest
    inner join {{ ref('int_' ~ table ~ '_versions') }} as records on records.valid_from <= newest.known_at
    where not records.is_deleted
    group by records.source_kind, records.source_system, records.source_instance, coalesce(records.source_account_id, '')
    union all
    {% endfor -%}
    {% for table in events -%}
    select
        records.source_kind,
        records.source_system,
        records.source_instance,
        coalesce(records.source_account_id, '') as source_account_id,
        cast(count(*) as bigint) as records,
        min(records.available_at) as first_seen_at
    from newest
    inner join {{ ref('int_' ~ table) }} as records on records.available_at <= newest.known_at
    where not records.is_deleted
    group by records.source_kind, records.source_system, records.source_instance, coalesce(records.source_account_id, '')
    union all
    {% endfor -%}
    select
        uses.source_kind,
        uses.source_system,
        uses.source_instance,
        coalesce(uses.source_account_id, '') as source_account_id,
        cast(sum(uses.events) as bigint) as records,
        min(uses.first_day_at) as first_seen_at
    from newest
    inner join {{ ref('int_usage_account_weeks') }} as uses on uses.counts_from_week <= newest.week
    group by uses.source_kind, uses.source_system, uses.source_instance, coalesce(uses.source_account_id, '')

),

candidates as (

    select
        source_kind,
        source_system,
        source_instance,
        source_account_id,
        cast(sum(records) as bigint) as records,
        min(first_seen_at) as first_seen_at
    from hanging
    where records > 0
    group by source_kind, source_system, source_instance, source_account_id

),

unlinked as (

    select candidates.*
    from candidates
    cross join newest
    left join {{ ref('int_account_links_weekly') }} as links
        on
            newest.week = links.week
            and candidates.source_kind = links.source_kind
            and candidates.source_system = links.source_system
            and candidates.source_instance = links.source_instance
            and candidates.source_account_id = links.source_account_id
    where links.account_id is null

),

recurring as (

    select
        subscriptions.source_kind,
        subscriptions.source_system,
        subscriptions.source_instance,
        coalesce(subscriptions.source_account_id, '') as source_account_id,
        sum({{ converted('subscriptions.arr', 'subscriptions.currency', reporting, 'rates.rate', '1.0') }}) as amount
    from newest
    inner join {{ ref('int_billing_subscription_versions') }} as subscriptions on {{ valid_at('subscriptions', 'newest.known_at') }}
    left join {{ ref('int_currency_rates_weekly') }} as rates
        on newest.week = rates.week and subscriptions.currency = rates.currency
    where
        not subscriptions.is_deleted
        and subscriptions.started_at < newest.as_of_at
        and {{ subscription_end('subscriptions', 'newest.as_of_at', 'newest.known_at') }} is null
    group by
        subscriptions.source_kind,
        subscriptions.source_system,
        subscriptions.source_instance,
        coalesce(subscriptions.source_account_id, '')

),

invoiced as (

    select
        invoices.source_kind,
        invoices.source_system,
        invoices.source_instance,
        coalesce(invoices.source_account_id, '') as source_account_id,
        sum({{ converted('invoices.total', 'invoices.currency', reporting, 'rates.rate', '1.0') }}) as amount
    from newest
    inner join {{ ref('int_billing_invoice_versions') }} as invoices on {{ valid_at('invoices', 'newest.known_at') }}
    left join {{ ref('int_currency_rates_weekly') }} as rates
        on newest.week = rates.week and invoices.currency = rates.currency
    where
        not invoices.is_deleted
        and {{ in_window('invoices.issued_at', 'newest.as_of_at', 365) }}
        and (invoices.status is null or invoices.status not in ('draft', 'void'))
    group by
        invoices.source_kind,
        invoices.source_system,
        invoices.source_instance,
        coalesce(invoices.source_account_id, '')

)

select
    unlinked.source_kind,
    unlinked.source_system,
    unlinked.source_instance,
    unlinked.source_account_id,
    unlinked.records,
    cast(coalesce(recurring.amount, invoiced.amount) as decimal(18, 2)) as revenue_at_stake,
    case
        when suggestions.first_seen_at < unlinked.first_seen_at then suggestions.first_seen_at
        else unlinked.first_seen_at
    end as first_seen_at,
    suggestions.suggested_account_id,
    suggestions.suggestion_confidence,
    case
        when unlinked.source_account_id = '' then 'the records name no account'
        when suggestions.reason is not null then suggestions.reason
        else 'no account record of this id was matched by then'
    end as reason
from unlinked
cross join newest
left join {{ source('landing', 'identity_suggestion') }} as suggestions
    on
        unlinked.source_kind = suggestions.source_kind
        and unlinked.source_system = suggestions.source_system
        and unlinked.source_instance = suggestions.source_instance
        and unlinked.source_account_id = suggestions.source_account_id
        and suggestions.first_seen_at <= newest.known_at
left join recurring
    on
        unlinked.source_kind = recurring.source_kind
        and unlinked.source_system = recurring.source_system
        and unlinked.source_instance = recurring.source_instance
        and unlinked.source_account_id = recurring.source_account_id
left join invoiced
    on
        unlinked.source_kind = invoiced.source_kind
        and unlinked.source_system = invoiced.source_system
        and unlinked.source_instance = invoiced.source_instance
        and unlinked.source_account_id = invoiced.source_account_id
