{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('survey_response', ref('stg_survey_response'), source('landing', 'source_load')) }}
