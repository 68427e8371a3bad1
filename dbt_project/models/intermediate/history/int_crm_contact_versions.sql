{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'contact_id']) }}
{{ record_versions('crm_contact', ref('stg_crm_contact'), source('landing', 'source_load')) }}
