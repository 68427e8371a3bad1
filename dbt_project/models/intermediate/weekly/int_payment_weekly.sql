with known_invoices as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_billing_invoice_versions')) }}

),

payments as (

    {{ known_events(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_billing_payment'), 'occurred_at') }}

),

-- What was paid between as_of_at and known_at was still unpaid at as_of_at, whatever the status says by then.
invoices as (

    select
        *,
        {{ lifecycle_time('known_invoices', 'paid_at', 'billing', 'as_of_at', 'known_at') }} as paid_then_at,
        -- paid, or nothing left to pay, and nobody says since when
        coalesce(paid_at is null and (status = 'paid' or coalesce(amount_paid, 0) >= amount_due), false) as is_paid_some_time,
        cast(due_date as timestamp) as due_at,
        case when paid_at is null then coalesce(amount_paid, 0) else 0 end as part_paid
    from known_invoices
    where issued_at < as_of_at and (status is null or status not in ('draft', 'void'))

),

open_invoices as (

    select
        *,
        -- the due day itself is not past due
        due_date < cast(as_of_at as date) and paid_then_at is null and not is_paid_some_time as is_overdue,
        case when amount_due is null or amount_due > part_paid then amount_due - part_paid else 0 end as unpaid
    from invoices

),

amounts as (

    select
        invoices.*,
        {{ converted('invoices.unpaid', 'invoices.currency', 'commercial.currency', 'rates.rate', 'commercial.currency_rate') }} as amount
    from open_invoices as invoices
    inner join {{ ref('int_commercial_weekly') }} as commercial
        on invoices.week = commercial.week and invoices.account_id = commercial.account_id
    left join {{ ref('int_currency_rates_weekly') }} as rates
        on invoices.week = rates.week and invoices.currency = rates.currency

),

dues as (

    select
        week,
        account_id,
        case
            when {{ count_where('is_overdue and amount is null') }} = 0
                then coalesce(sum(case when is_overdue then amount end), 0)
        end as overdue_amount,
        coalesce(max(case when is_overdue then {{ days_between_dates('due_date', 'cast(as_of_at as date)') }} end), 0) as max_days_past_due,
        {{ count_where(in_window('due_at', 'as_of_at', 365) ~ ' and not is_paid_some_time') }} as due_365d,
        {{ count_where(
            in_window('due_at', 'as_of_at', 365) ~ ' and not is_paid_some_time and (is_overdue or cast(paid_then_at as date) > due_date)'
        ) }} as late_365d,
        -- of an unpaid invoice whose attributes count only later neither the due date nor the amount is known
        {{ any_true('is_partial and paid_then_at is null') }} as is_any_due_unknown,
        {{ later_of('max(issued_at)', 'max(paid_then_at)') }} as newest_fact_at
    from amounts
    group by week, account_id

),

attempts as (

    select
        week,
        account_id,
        {{ count_where("status = 'failed' and " ~ in_window('occurred_at', 'as_of_at', 28)) }} as failed_payment_count_28d,
        max(occurred_at) as newest_fact_at
    from payments
    group by week, account_id

),

joined as (

    select
        spine.*,
        case
            when spine.is_billing_payment_connected then coalesce(attempts.failed_payment_count_28d, 0)
        end as failed_payment_count_28d,
        case
            when not spine.is_billing_invoice_connected then null
            when dues.account_id is null then 0
            when not dues.is_any_due_unknown then dues.overdue_amount
        end as overdue_amount,
        case
            when not spine.is_billing_invoice_connected then null
            when dues.account_id is null then 0
            when not dues.is_any_due_unknown then dues.max_days_past_due
        end as max_days_past_due,
        coalesce(dues.is_any_due_unknown, false) as is_any_due_unknown,
        case when dues.due_365d > 0 then 1.0 * dues.late_365d / dues.due_365d end as late_payment_share_365d,
        {{ later_of('dues.newest_fact_at', 'attempts.newest_fact_at') }} as newest_fact_at
    from {{ ref('int_account_week_spine') }} as spine
    left join dues on spine.week = dues.week and spine.account_id = dues.account_id
    left join attempts on spine.week = attempts.week and spine.account_id = attempts.account_id

)

select
    account_id,
    week,
    failed_payment_count_28d,
    cast(overdue_amount as decimal(18, 2)) as overdue_amount,
    max_days_past_due,
    cast(late_payment_share_365d as double) as late_payment_share_365d,
    case
        when is_any_due_unknown and failed_payment_count_28d is null and {{ is_applicable('payment') }} then 'missing'
        else {{ domain_status('payment', 'joined', 'joined.newest_fact_at', 'false') }}
    end as payment_status,
    {{ elapsed_days('newest_fact_at', 'as_of_at') }} as payment_newest_fact_age_days
from joined
