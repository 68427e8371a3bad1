{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('risk_history', ref('stg_risk_history'), source('landing', 'source_load')) }}
