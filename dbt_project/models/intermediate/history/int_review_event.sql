{{ config(incremental_strategy='overwrite_loads') }}
{{ event_facts('review_event', ref('stg_review_event'), source('landing', 'source_load')) }}
