{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('cs_note', ref('stg_cs_note'), source('landing', 'source_load')) }}
