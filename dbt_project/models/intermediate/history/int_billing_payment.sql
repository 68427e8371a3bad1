{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'payment_id']) }}
{{ event_facts('billing_payment', ref('stg_billing_payment')) }}
