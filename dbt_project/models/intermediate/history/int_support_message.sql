{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('support_message', ref('stg_support_message'), source('landing', 'source_load')) }}
