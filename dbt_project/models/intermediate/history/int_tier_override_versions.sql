{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'override_id']) }}
{{ record_versions('tier_override', ref('stg_tier_override'), source('landing', 'source_load')) }}
