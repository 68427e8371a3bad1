{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('text_reading', ref('stg_text_reading'), source('landing', 'source_load')) }}
