{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('usage_daily', ref('stg_usage_daily'), source('landing', 'source_load')) }}
