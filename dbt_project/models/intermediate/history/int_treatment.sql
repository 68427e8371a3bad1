{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('treatment', ref('stg_treatment'), source('landing', 'source_load')) }}
