{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'subscription_id']) }}
{{ record_versions('billing_subscription', ref('stg_billing_subscription'), source('landing', 'source_load')) }}
