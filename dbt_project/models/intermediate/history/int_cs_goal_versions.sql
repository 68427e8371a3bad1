{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'goal_id']) }}
{{ record_versions('cs_goal', ref('stg_cs_goal'), source('landing', 'source_load')) }}
