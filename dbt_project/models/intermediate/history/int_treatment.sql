{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'treatment_id']) }}
{{ event_facts('treatment', ref('stg_treatment')) }}
