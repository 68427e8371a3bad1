{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'milestone_id']) }}
{{ record_versions('pm_milestone', ref('stg_pm_milestone'), source('landing', 'source_load')) }}
