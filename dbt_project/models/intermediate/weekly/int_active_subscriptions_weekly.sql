with moments as (

    {% for days in [0, 28, 90] -%}
    select
        week,
        {{ days }} as days_before,
        {{ plus_days('as_of_at', -days) }} as state_as_of_at,
        {{ plus_days('known_at', -days) }} as state_known_at
    from {{ ref('int_week_spine') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

states as (

    {{ active_subscriptions('moments', ref('int_account_links_weekly'), ref('int_billing_subscription_versions')) }}

)

select
    states.*,
    moments.days_before
from states
inner join moments on states.week = moments.week and states.state_as_of_at = moments.state_as_of_at
