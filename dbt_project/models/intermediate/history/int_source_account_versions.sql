{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'source_account_id']) }}
{{ record_versions('source_account', ref('stg_source_account'), source('landing', 'source_load')) }}
