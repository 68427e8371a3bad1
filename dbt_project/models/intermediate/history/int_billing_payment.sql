{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('billing_payment', ref('stg_billing_payment'), source('landing', 'source_load')) }}
