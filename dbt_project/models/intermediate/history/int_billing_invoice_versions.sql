{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'invoice_id']) }}
{{ record_versions('billing_invoice', ref('stg_billing_invoice'), source('landing', 'source_load')) }}
