{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'opportunity_id']) }}
{{ record_versions('crm_opportunity', ref('stg_crm_opportunity'), source('landing', 'source_load')) }}
