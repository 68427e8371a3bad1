{{ config(materialized='view') }}
with known_subscriptions as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_billing_subscription_versions')) }}

)

select
    active.account_id,
    active.week,
    active.source_kind,
    active.source_system,
    active.source_instance,
    active.subscription_id,
    known_subscriptions.load_id,
    cast(active.current_period_end as date) as period_ends_on,
    known_subscriptions.auto_renew as is_auto_renewing,
    cast(active.cancel_at as date) as ends_on
from {{ ref('int_active_subscriptions_weekly') }} as active
inner join known_subscriptions
    on
        active.week = known_subscriptions.week
        and active.source_kind = known_subscriptions.source_kind
        and active.source_system = known_subscriptions.source_system
        and active.source_instance = known_subscriptions.source_instance
        and active.subscription_id = known_subscriptions.subscription_id
where active.days_before = 0
