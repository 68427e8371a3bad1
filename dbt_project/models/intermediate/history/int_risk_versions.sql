{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'risk_id']) }}
{{ record_versions('risk', ref('stg_risk'), source('landing', 'source_load')) }}
