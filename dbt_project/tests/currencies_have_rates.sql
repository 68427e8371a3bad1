-- Currencies of subscriptions that the policy has no rate for in a week: what is in them is null in the reporting currency.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'int_active_subscriptions_weekly'}}}) }}
select
    subscriptions.week,
    subscriptions.currency,
    count(distinct subscriptions.account_id) as accounts
from {{ ref('int_active_subscriptions_weekly') }} as subscriptions
left join {{ ref('int_currency_rates_weekly') }} as rates
    on subscriptions.week = rates.week and subscriptions.currency = rates.currency
where subscriptions.days_before = 0 and rates.rate is null
group by subscriptions.week, subscriptions.currency
