{%- set reporting = "'" ~ var('reporting_currency') ~ "'" -%}
with subscriptions as (

    select * from {{ ref('int_active_subscriptions_weekly') }}

),

known_subscriptions as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_billing_subscription_versions')) }}

),

known_invoices as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_billing_invoice_versions')) }}

),

invoices as (

    select * from known_invoices
    where issued_at < as_of_at and (status is null or status not in ('draft', 'void'))

),

-- An account billed in several currencies is shown in the reporting currency: nothing is summed over currencies without a rate.
subscription_currencies as (

    select
        week,
        account_id,
        case when min(currency) = max(currency) then min(currency) else {{ reporting }} end as currency
    from subscriptions
    where days_before = 0
    group by week, account_id

),

invoice_currencies as (

    select
        week,
        account_id,
        case when min(currency) = max(currency) then min(currency) else {{ reporting }} end as currency
    from invoices
    where {{ in_window('issued_at', 'as_of_at', var('live_within_days')) }}
    group by week, account_id

),

currencies as (

    select
        spine.account_id,
        spine.week,
        coalesce(by_subscription.currency, by_invoice.currency) as currency,
        rates.rate
    from {{ ref('int_account_week_spine') }} as spine
    left join subscription_currencies as by_subscription
        on spine.week = by_subscription.week and spine.account_id = by_subscription.account_id
    left join invoice_currencies as by_invoice
        on spine.week = by_invoice.week and spine.account_id = by_invoice.account_id
    left join {{ ref('int_currency_rates_weekly') }} as rates
        on
            spine.week = rates.week
            and coalesce(by_subscription.currency, by_invoice.currency) = rates.currency

),

subscription_amounts as (

    select
        subscriptions.*,
        {{ converted('subscriptions.arr', 'subscriptions.currency', 'currencies.currency', 'rates.rate', 'currencies.rate') }} as amount
    from subscriptions
    inner join currencies
        on subscriptions.week = currencies.week and subscriptions.account_id = currencies.account_id
    left join {{ ref('int_currency_rates_weekly') }} as rates
        on subscriptions.week = rates.week and subscriptions.currency = rates.currency

),

states as (

    -- one unknown amount makes the sum unknown
    select
        week,
        account_id,
        {% for days in [0, 28, 90] -%}
        {{ count_where('days_before = %d' % days) }} as subscriptions_{{ days }}d,
        case
            when {{ count_where('days_before = %d and amount is null' % days) }} = 0
                then sum(case when days_before = {{ days }} then amount end)
        end as arr_{{ days }}d,
        {% endfor -%}
        cast(sum(case when days_before = 0 then quantity end) as bigint) as seats_licensed,
        min(case when days_before = 0 and current_period_end >= state_as_of_at then current_period_end end) as next_renewal_at,
        {{ any_true('days_before = 0 and cancel_at is not null') }} as is_notice_known,
        {{ any_true('days_before = 0 and is_partial') }} as is_notice_unknown
    from subscription_amounts
    group by week, account_id

),

periods as (

    select
        week,
        account_id,
        as_of_at,
        started_at,
        {{ subscription_end('known_subscriptions', 'as_of_at', 'known_at') }} as ended_at,
        case when source_updated_at < as_of_at then source_updated_at end as updated_at
    from known_subscriptions
    where started_at < as_of_at

),

covered as (

    select
        *,
        max(coalesce(ended_at, as_of_at)) over (
            partition by week, account_id
            order by started_at nulls last, coalesce(ended_at, as_of_at) nulls last
            rows between unbounded preceding and 1 preceding
        ) as covered_until
    from periods

),

stretches as (

    select
        *,
        sum(case when covered_until is null or started_at > {{ plus_days('covered_until', 31) }} then 1 else 0 end) over (
            partition by week, account_id
            order by started_at nulls last, coalesce(ended_at, as_of_at) nulls last
            rows between unbounded preceding and current row
        ) as stretch
    from covered

),

last_stretches as (

    select
        *,
        max(stretch) over (partition by week, account_id) as last_stretch
    from stretches

),

tenures as (

    select
        week,
        account_id,
        min(case when stretch = last_stretch then started_at end) as contiguous_since,
        {{ any_true('ended_at is not null and started_at < ' ~ plus_days('as_of_at', -28)) }} as had_ended_before,
        {{ later_of('max(started_at)', later_of('max(ended_at)', 'max(updated_at)')) }} as newest_fact_at
    from last_stretches
    group by week, account_id

),

invoice_amounts as (

    select
        invoices.*,
        {{ converted('invoices.total', 'invoices.currency', 'currencies.currency', 'rates.rate', 'currencies.rate') }} as amount
    from invoices
    inner join currencies
        on invoices.week = currencies.week and invoices.account_id = currencies.account_id
    left join {{ ref('int_currency_rates_weekly') }} as rates
        on invoices.week = rates.week and invoices.currency = rates.currency

),

invoiced as (

    select
        week,
        account_id,
        {{ count_where(in_window('issued_at', 'as_of_at', 91)) }} as invoices_91d,
        case
            when {{ count_where(in_window('issued_at', 'as_of_at', 91) ~ ' and amount is null') }} = 0
                then coalesce(sum(case when {{ in_window('issued_at', 'as_of_at', 91) }} then amount end), 0)
        end as invoiced_amount_91d,
        max(issued_at) as last_invoiced_at
    from invoice_amounts
    group by week, account_id

),

joined as (

    select
        spine.*,
        currencies.currency,
        currencies.rate,
        coalesce(states.subscriptions_0d, 0) as subscriptions_0d,
        coalesce(states.subscriptions_28d, 0) as subscriptions_28d,
        coalesce(states.subscriptions_90d, 0) as subscriptions_90d,
        states.arr_0d,
        states.arr_28d,
        states.arr_90d,
        states.seats_licensed,
        states.next_renewal_at,
        states.is_notice_known,
        states.is_notice_unknown,
        tenures.contiguous_since,
        coalesce(tenures.had_ended_before, false) as had_ended_before,
        case
            when not spine.is_billing_invoice_connected then null
            else coalesce(invoiced.invoices_91d, 0)
        end as invoices_91d,
        case
            when not spine.is_billing_invoice_connected then null
            when invoiced.account_id is null then 0
            else invoiced.invoiced_amount_91d
        end as invoiced_amount_91d,
        invoiced.last_invoiced_at,
        {{ later_of('tenures.newest_fact_at', 'invoiced.last_invoiced_at') }} as newest_fact_at
    from {{ ref('int_account_week_spine') }} as spine
    left join currencies on spine.week = currencies.week and spine.account_id = currencies.account_id
    left join states on spine.week = states.week and spine.account_id = states.account_id
    left join tenures on spine.week = tenures.week and spine.account_id = tenures.account_id
    left join invoiced on spine.week = invoiced.week and spine.account_id = invoiced.account_id

)

select
    account_id,
    week,
    currency,
    rate as currency_rate,
    {{ elapsed_days('contiguous_since', 'as_of_at') }} as account_tenure_days,
    case when subscriptions_0d > 0 then cast(arr_0d as decimal(18, 2)) end as arr,
    case
        when subscriptions_0d = 0 then null
        when currency = {{ reporting }} then cast(arr_0d as decimal(18, 2))
        else cast(round(cast(arr_0d as double) * rate, 2) as decimal(18, 2))
    end as arr_reporting,
    seats_licensed,
    case
        when subscriptions_0d > 0 and arr_90d <> 0
            then cast(arr_0d - arr_90d as double) / cast(arr_90d as double)
    end as mrr_change_share_90d,
    case
        when not is_subscription_connected or arr_0d is null then null
        when subscriptions_28d > 0 and arr_28d is null then null
        when subscriptions_28d = 0 and had_ended_before then 'reactivation'
        when subscriptions_28d = 0 then 'new'
        when arr_0d = 0 and arr_28d > 0 then 'churned'
        when arr_0d > arr_28d then 'expansion'
        when arr_0d < arr_28d then 'contraction'
        else 'unchanged'
    end as mrr_movement,
    {{ elapsed_days('as_of_at', 'next_renewal_at') }} as days_to_renewal,
    case
        when subscriptions_0d = 0 then null
        when is_notice_known then true
        when is_notice_unknown then null
        else false
    end as is_cancellation_scheduled,
    cast(invoiced_amount_91d as decimal(18, 2)) as invoiced_amount_91d,
    invoices_91d,
    {{ elapsed_days('last_invoiced_at', 'as_of_at') }} as days_since_last_invoice,
    case
        when subscriptions_0d > 0 and knows_commercial and {{ is_applicable('commercial') }} then 'measured'
        else {{ domain_status('commercial', 'joined', 'joined.newest_fact_at') }}
    end as commercial_status,
    {{ elapsed_days('newest_fact_at', 'as_of_at') }} as commercial_newest_fact_age_days
from joined
