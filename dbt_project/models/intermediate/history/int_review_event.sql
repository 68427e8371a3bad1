{{ config(incremental_strategy='overwrite_loads', on_schema_change='append_new_columns') }}
{{ event_facts('review_event', ref('stg_review_event'), source('landing', 'source_load')) }}
