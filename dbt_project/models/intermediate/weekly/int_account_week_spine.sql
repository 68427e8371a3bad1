with subscription_weeks as (

    select distinct week
    from {{ ref('int_sources_weekly') }}
    where table_name = 'billing_subscription' and records > 0

),

other_weeks as (

    select weeks.*
    from {{ ref('int_week_spine') }} as weeks
    left join subscription_weeks on weeks.week = subscription_weeks.week
    where subscription_weeks.week is null

),

invoices as (

    {{ known_records('other_weeks', ref('int_account_links_weekly'), ref('int_billing_invoice_versions')) }}

),

uses as (

    select
        weeks.week,
        weeks.as_of_at,
        links.account_id,
        newest_uses.last_occurred_at
    from other_weeks as weeks
    inner join {{ ref('int_usage_account_weeks') }} as newest_uses on newest_uses.counts_from_week <= weeks.week
    inner join {{ ref('int_account_links_weekly') }} as links
        on
            weeks.week = links.week
            and newest_uses.source_kind = links.source_kind
            and newest_uses.source_system = links.source_system
            and newest_uses.source_instance = links.source_instance
            and newest_uses.source_account_id = links.source_account_id

),

live as (

    select
        week,
        account_id
    from {{ ref('int_active_subscriptions_weekly') }}
    where days_before = 0
    union
    select
        week,
        account_id
    from invoices
    where
        {{ in_window('issued_at', 'as_of_at', var('live_within_days')) }}
        and (status is null or status not in ('draft', 'void'))
    union
    select
        week,
        account_id
    from uses
    where {{ in_window('last_occurred_at', 'as_of_at', var('live_within_days')) }}

),

account_sources as (

    select
        links.week,
        links.account_id,
        {% for domain, parts in domain_sources().items() %}
        {% set of_kinds = "sources.source_kind in ('" ~ parts['kinds'] | join("', '") ~ "')" %}
        {% set of_tables = "sources.table_name in ('" ~ parts['tables'] | join("', '") ~ "')" %}
        {{ any_true(of_kinds) }} as knows_{{ domain }},
        max(case when {{ of_kinds }} and {{ of_tables }} then sources.newest_fact_at end) as {{ domain }}_feed_at,
        {% endfor %}
        {% for table, kinds in counted_tables().items() %}
        {% set of_kinds = "sources.source_kind in ('" ~ kinds | join("', '") ~ "')" %}
        {{ any_true("sources.table_name = '" ~ table ~ "' and " ~ of_kinds) }} as is_{{ table }}_connected,
        {% endfor %}
        cast(count(distinct sources.source_kind) as bigint) as source_kinds
    from {{ ref('int_account_links_weekly') }} as links
    inner join {{ ref('int_sources_weekly') }} as sources
        on
            links.week = sources.week
            and links.source_kind = sources.source_kind
            and links.source_system = sources.source_system
            and links.source_instance = sources.source_instance
    group by links.week, links.account_id

)

select
    live.account_id,
    weeks.week,
    weeks.as_of_at,
    weeks.known_at,
    {% for domain in domain_sources() %}
    coalesce(account_sources.knows_{{ domain }}, false) as knows_{{ domain }},
    account_sources.{{ domain }}_feed_at,
    {% endfor %}
    {% for table in counted_tables() %}
    coalesce(account_sources.is_{{ table }}_connected, false) as is_{{ table }}_connected,
    {% endfor %}
    coalesce(account_sources.source_kinds, 0) as source_kinds,
    subscription_weeks.week is not null as is_subscription_connected
from live
inner join {{ ref('int_week_spine') }} as weeks on live.week = weeks.week
left join subscription_weeks on live.week = subscription_weeks.week
left join account_sources on live.week = account_sources.week and live.account_id = account_sources.account_id
