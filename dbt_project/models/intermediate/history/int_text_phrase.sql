{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('text_phrase', ref('stg_text_phrase'), source('landing', 'source_load')) }}
