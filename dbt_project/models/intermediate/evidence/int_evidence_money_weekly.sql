{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_subscriptions as (

    {{ known_records(weeks, links, ref('int_billing_subscription_versions')) }}

),

subscriptions as (

    select
        *,
        {{ subscription_end('known_subscriptions', 'as_of_at', 'known_at') }} as ended_at,
        coalesce(case when source_updated_at < as_of_at then source_updated_at end, started_at) as stated_then_at
    from known_subscriptions
    where started_at < as_of_at

),

known_invoices as (

    {{ known_records(weeks, links, ref('int_billing_invoice_versions')) }}

),

dated_invoices as (

    select
        *,
        {{ lifecycle_time('known_invoices', 'paid_at', 'billing', 'as_of_at', 'known_at') }} as paid_then_at,
        cast(due_date as timestamp) as due_at,
        coalesce(paid_at is null and (status = 'paid' or coalesce(amount_paid, 0) >= amount_due), false) as is_paid_some_time
    from known_invoices
    where issued_at < as_of_at and (status is null or status not in ('draft', 'void'))

),

payments as (

    {{ known_events(weeks, links, ref('int_billing_payment'), 'occurred_at', 91) }}

),

sets as (

    {%- set sets = {
        'notices': (
            'subscriptions', 'billing_subscription', 'subscription_id', 'ended_at is null and cancel_at is not null',
            'stated_then_at', 'null', 'valid_from'
        ),
        'subscriptions': (
            'subscriptions', 'billing_subscription', 'subscription_id', 'ended_at is null', 'stated_then_at', 'null', 'valid_from'
        ),
        'ended_subscriptions': (
            'subscriptions', 'billing_subscription', 'subscription_id', in_window('ended_at', 'as_of_at', 91), 'ended_at', 'null',
            'valid_from'
        ),
        'overdue_invoices': (
            'dated_invoices', 'billing_invoice', 'invoice_id',
            'due_date < cast(as_of_at as date) and paid_then_at is null and not is_paid_some_time',
            'due_at', elapsed_days('due_at', 'as_of_at'), 'valid_from'
        ),
        'invoices_paid_in_time': (
            'dated_invoices', 'billing_invoice', 'invoice_id',
            'cast(paid_then_at as date) <= due_date and ' ~ in_window('paid_then_at', 'as_of_at', 91),
            'paid_then_at', 'null', 'valid_from'
        ),
        'failed_payments': (
            'payments', 'billing_payment', 'payment_id', "status = 'failed' and " ~ in_window('occurred_at', 'as_of_at', 28),
            'occurred_at', 'null', 'available_at'
        ),
        'succeeded_payments': (
            'payments', 'billing_payment', 'payment_id', "status = 'succeeded' and " ~ in_window('occurred_at', 'as_of_at', 28),
            'occurred_at', 'null', 'available_at'
        ),
    } %}
    {% for name, (relation, table, key, condition, observed_at, value, available_at) in sets.items() -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        '{{ table }}' as source_table,
        {{ key }} as source_record_id,
        load_id,
        {{ observed_at }} as observed_at,
        {{ available_at }} as available_at,
        '{{ name }}' as record_set,
        cast({{ value }} as double) as value
    from {{ relation }}
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from sets
