with subscription_weeks as (

    select distinct week
    from {{ ref('int_sources_weekly') }}
    where table_name = 'billing_subscription' and records > 0

),

invoices as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_billing_invoice_versions')) }}

),

usage_days as (

    select
        links.week,
        links.account_id,
        weeks.as_of_at,
        days.last_occurred_at
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ ref('int_usage_days') }} as days on days.counts_from_week <= weeks.week
    inner join {{ ref('int_account_links_weekly') }} as links
        on
            weeks.week = links.week
            and days.source_system = links.source_system
            and days.source_instance = links.source_instance
            and days.source_account_id = links.source_account_id
    where weeks.week not in (select subscription_weeks.week from subscription_weeks)

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
        week not in (select subscription_weeks.week from subscription_weeks)
        and {{ in_window('issued_at', 'as_of_at', var('live_within_days')) }}
        and (status is null or status not in ('draft', 'void'))
    union
    select
        week,
        account_id
    from usage_days
    where {{ in_window('last_occurred_at', 'as_of_at', var('live_within_days')) }}

),

account_sources as (

    select
        links.week,
        links.account_id,
        {% for domain, parts in domain_sources().items() -%}
        {{ any_true("sources.source_kind in ('" ~ parts['kinds'] | join("', '") ~ "')") }} as knows_{{ domain }},
        max(case
            when
                sources.source_kind in ('{{ parts['kinds'] | join("', '") }}')
                and sources.table_name in ('{{ parts['tables'] | join("', '") }}')
                then sources.newest_fact_at
        end) as {{ domain }}_feed_at,
        {% endfor -%}
        {% for table in counted_tables() -%}
        {{ any_true("sources.table_name = '" ~ table ~ "'") }} as is_{{ table }}_connected{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('int_account_links_weekly') }} as links
    inner join {{ ref('int_sources_weekly') }} as sources
        on
            links.week = sources.week
            and links.source_system = sources.source_system
            and links.source_instance = sources.source_instance
    group by links.week, links.account_id

)

select
    live.account_id,
    weeks.week,
    weeks.as_of_at,
    weeks.known_at,
    subscription_weeks.week is not null as is_subscription_connected,
    {% for domain in domain_sources() -%}
    coalesce(account_sources.knows_{{ domain }}, false) as knows_{{ domain }},
    account_sources.{{ domain }}_feed_at,
    {% endfor -%}
    {% for table in counted_tables() -%}
    coalesce(account_sources.is_{{ table }}_connected, false) as is_{{ table }}_connected{{ ',' if not loop.last }}
    {% endfor %}
from live
inner join {{ ref('int_week_spine') }} as weeks on live.week = weeks.week
left join subscription_weeks on live.week = subscription_weeks.week
left join account_sources on live.week = account_sources.week and live.account_id = account_sources.account_id
