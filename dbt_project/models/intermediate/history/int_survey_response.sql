{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'response_id']) }}
{{ event_facts('survey_response', ref('stg_survey_response')) }}
