{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'project_id']) }}
{{ record_versions('pm_project', ref('stg_pm_project'), source('landing', 'source_load')) }}
